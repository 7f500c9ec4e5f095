"""Build the site and check it: a warning, a link that leads nowhere or a page that fetches from the net is an error.

    python docs/build.py [FOLDER]

FOLDER is build/site by default. Needs the extra `docs`. Examples that did not change since the last build are not run
again.
"""

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

DOCS = Path(__file__).resolve().parent
FETCHED = {"script": "src", "img": "src", "source": "src", "iframe": "src", "link": "href"}


class Page(HTMLParser):
    """What an HTML page links to and fetches, and the places in it that links may name."""

    def __init__(self, path):
        super().__init__()
        self.path = path
        self.places, self.targets, self.fetched = set(), set(), set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.places |= {attributes.get("id"), attributes.get("name")} - {None}
        if tag == "a" and attributes.get("href"):
            self.targets.add(attributes["href"])
        elif tag in FETCHED and attributes.get(FETCHED[tag]):
            self.fetched.add(attributes[FETCHED[tag]])


def pages_of(site):
    """The pages of a built site, without the theme's own files."""
    return sorted(path for path in site.rglob("*.html") if path.relative_to(site).parts[0] != "_static")


def faults(site):
    """What is wrong with the links and pictures of a built site, a line for each."""
    pages = {path: Page(path) for path in pages_of(site)}
    for path, page in pages.items():
        name = path.relative_to(site)
        for target in sorted(page.targets | page.fetched):
            url = urlsplit(target)
            if url.scheme == "data":
                continue
            if url.scheme or url.netloc:
                if target in page.fetched:
                    yield f"{name} fetches {target}"
                continue
            goal = (path.parent / unquote(url.path)).resolve() if url.path else path
            if not goal.is_file() or not goal.stat().st_size:
                yield f"{name}: {target} is missing or empty"
            elif url.fragment and goal in pages and unquote(url.fragment) not in pages[goal].places:
                yield f"{name}: {target} names no place of that page"


def main(site):
    from sphinx.cmd.build import main as build

    status = build(["-b", "html", "-W", "--keep-going", "-q", str(DOCS), str(site)])
    found = list(faults(site.resolve()))
    print(*found, sep="\n", end="\n" if found else "")
    print(f"{site}: {len(pages_of(site))} pages, {len(found)} faults" + (", and Sphinx has warned" if status else ""))
    return 1 if status or found else 0


if __name__ == "__main__":
    if len(sys.argv) > 2:
        sys.exit(__doc__)
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else DOCS.parent / "build" / "site")))
