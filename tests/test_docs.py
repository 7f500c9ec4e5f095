"""README.md and docs/: python blocks run, links and file names lead somewhere, lines are of at most 120 characters."""

import ast
import re
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
WITH_CODE = [
    "README.md", "docs/blocks.md", "docs/choosing.md", "docs/features.md", "docs/guide.md", "docs/mathematics.md",
    "docs/running.md", "docs/scaling.md", "docs/sparse.md", "docs/start.md", "docs/switch.md", "docs/trainer.md",
]
PAGES = sorted(
    str(path.relative_to(ROOT)) for pattern in ("*.md", "docs/*.md", "docs/notes/*.md") for path in ROOT.glob(pattern)
)
CURRENT = [page for page in PAGES if not page.startswith(("docs/notes/", "CHANGELOG"))]
needs_sources = pytest.mark.skipif(not (ROOT / "csrc").exists(), reason="an installed package, without its sources")


def python_blocks(page):
    """Code of each block of a page, with as many empty lines before it as a traceback needs to name the page's line."""
    text = (ROOT / page).read_text()
    for block in re.finditer(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        yield "\n" * text[: block.start(1)].count("\n") + block[1]


@pytest.mark.parametrize("page", WITH_CODE)
def test_blocks_run_one_after_the_other(page, capsys):
    blocks, names = list(python_blocks(page)), {}
    assert blocks
    for block in blocks:
        if "sklearn.callback" in block and find_spec("sklearn.callback") is None:  # scikit-learn before 1.9
            continue
        if "distributed" in block and find_spec("distributed") is None:
            continue
        exec(compile(block, str(ROOT / page), "exec"), names)


@needs_sources
@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    targets = re.findall(r"\]\(([^)#]+)[^)]*\)", (ROOT / page).read_text())
    missing = [t for t in targets if "://" not in t and not (ROOT / page).parent.joinpath(t).exists()]
    assert not missing


@needs_sources
@pytest.mark.parametrize("page", CURRENT)
def test_files_that_are_named_exist(page):
    """Of the kind `csrc/drivers/pass.c`; notes tell of files that are gone."""
    named = re.findall(r"`((?:bench|csrc|docs|examples|fastlr|tests)/[\w./*-]+)`", (ROOT / page).read_text())
    assert not [name for name in named if not list(ROOT.glob(name.rstrip("/")))]


@needs_sources
def test_constants_that_switch_paths_are_where_the_notes_say():
    """The names of each row are in one of its files."""
    folders = ("csrc", "fastlr/model", "fastlr/solvers", "fastlr/_search", "fastlr")
    missing, count = [], 0
    for line in (ROOT / "docs/notes/path-constants.md").read_text().splitlines():
        constants, *cells = re.split(r" *\| *", line.strip("| ")) if line.startswith("|") else ("",)
        names = [name for name in re.findall(r"`(\w+)`", constants) if name.isupper()]
        patterns = re.findall(r"[\w/*]+\.(?:c|h|py|pxi)\b", cells[0]) if cells else []
        paths = {path for folder in folders for pattern in patterns for path in (ROOT / folder).glob(f"**/{pattern}")}
        text = "".join(path.read_text() for path in paths)
        count += len(names) if text else 0
        missing += [name for name in names if text and not re.search(rf"\b{name}\b", text)]
    assert count > 150
    assert not missing


@needs_sources
def test_tuning_constants_are_listed():
    """Names in capitals of fastlr/model/ and fastlr/solvers/ are those of the notes' two lists."""
    names = Counter(
        (path.name, name.id)
        for folder in ("model", "solvers") for path in (ROOT / "fastlr" / folder).glob("*.py")
        for node in ast.parse(path.read_text()).body if isinstance(node, ast.Assign)
        for target in node.targets for name in ast.walk(target) if isinstance(name, ast.Name) and name.id.isupper()
    )
    text = (ROOT / "docs/notes/tuning.md").read_text()
    lists = [
        Counter((row[2], name) for row in re.finditer(r"^\| (`.*`) \| (\w+\.py) \|", part, re.MULTILINE)
                for name in re.findall(r"`(\w+)`", row[1]))
        for part in text.split("\n## ")[1:]
    ]
    assert len(lists) == 2
    assert lists[0] + lists[1] == names
    assert f"There are {lists[0].total()} tuning constants" in text


@needs_sources
def test_environment_variables_are_listed():
    """Those of users in their page, all others where the work on the package is described."""
    sources = [ROOT / "setup.py", *(p for name in ("fastlr", "csrc", "bench") for p in (ROOT / name).rglob("*.py"))]
    read = set(re.findall(r"""["'](FASTLR_[A-Z_]+)["']""", "".join(path.read_text() for path in sources)))
    assert len(read) > 4
    guide, rest = ((ROOT / page).read_text() for page in ("docs/running.md", "CONTRIBUTING.md"))
    internal = {"FASTLR_FAILING_ALLOCATIONS"}  # by which a benchmark tells its own child
    assert not [name for name in read - internal if f"`{name}" not in guide + rest]
    users = set(re.findall(r"^\| `(FASTLR_[A-Z_]+)`", guide, re.MULTILINE))
    assert users <= read


@pytest.mark.parametrize("page", CURRENT)
def test_lines_are_short(page):
    long = [line for line in (ROOT / page).read_text().splitlines() if len(line) > 120 and not line.startswith("|")]
    assert not long
