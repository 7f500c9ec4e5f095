"""The site's sources: examples run, public names are in the API, formulas lead to functions and tests that exist."""

import importlib
import os
import re
import runpy
from pathlib import Path

import matplotlib
import pytest

import fastlr

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
GALLERY = sorted(path.name for path in (DOCS / "gallery").glob("*.py"))
SAY = {  # what an example prints, with the data that come with scikit-learn or are made
    "plot_binary_neuron.py": r"test accuracy 8\d%",
    "plot_calibration.py": r"as fitted +test log loss 0\.68[\s\S]*leave-one-out +test log loss 0\.5[45]",
    "plot_iris.py": r"accuracy 0\.97",
    "plot_memory_mapped.py": r"bit for bit: True",
    "plot_mnist.py": r"test accuracy 0\.9[67]",
    "plot_multi_label.py": r"prime +0\.9\d+ right",
    "plot_probe_sweep.py": r"25 values of C in \d+ passes",
    "plot_soft_labels.py": r"hard: cross-entropy 1\.[\s\S]*soft: cross-entropy 0\.62",
    "plot_text.py": r"test accuracy 0\.9\d",
}


@pytest.fixture
def pictures(monkeypatch):
    """Figures that are shown, in place of windows."""
    matplotlib.use("Agg")
    from matplotlib import pyplot

    pyplot.close("all")
    shown = []
    monkeypatch.setattr(pyplot, "show", lambda: (shown.extend(pyplot.get_fignums()), pyplot.close("all")))
    yield shown
    pyplot.close("all")


@pytest.mark.parametrize("name", GALLERY)
def test_examples_run_and_show_pictures(name, pictures, capsys, monkeypatch):
    monkeypatch.setenv("FASTLR_DATA", str(DOCS))  # a folder that has no data
    runpy.run_path(str(DOCS / "gallery" / name))
    assert pictures
    assert re.search(SAY[name], capsys.readouterr().out)


@pytest.mark.parametrize(("name", "says"), [
    ("plot_binary_neuron.py", r"weights \[5\.0453 3\.4349\] bias -0\.7931\ntest accuracy 96%"),
    ("plot_mnist.py", r"test accuracy 0\.92"),
])
def test_examples_with_the_lectures_data(name, says, pictures, capsys):
    if not Path(os.environ.get("FASTLR_DATA", ""), "lecture", "toydata.txt").is_file():
        pytest.skip("no lecture/toydata.txt; set FASTLR_DATA to a folder that holds lecture and mnist")
    runpy.run_path(str(DOCS / "gallery" / name))
    assert pictures
    assert re.search(says, capsys.readouterr().out)


def test_public_names_are_in_the_api():
    text = (DOCS / "api.rst").read_text()
    named = set(re.findall(r"^   ([\w.]+)$", text, re.MULTILINE))
    expected = set(fastlr.__all__) - {"__version__", "datasets"}
    for module in ("datasets", "plotting"):
        expected |= {f"{module}.{name}" for name in importlib.import_module(f"fastlr.{module}").__all__}
    assert named == expected | {"dask.DaskLogisticRegression", "c_api.function_address"}


def formulas():
    """The lines of the page on mathematics that say what computes a formula."""
    text = (DOCS / "mathematics.md").read_text()
    return [" ".join(item.split()) for item in re.findall(r"^- (.*(?:\n  .*)*)", text, re.MULTILINE)]


@pytest.mark.parametrize("line", formulas())
def test_formulas_lead_to_functions_and_tests(line):
    roles = re.findall(r"\{(?:func|class)\}`fastlr\.(\w+)`", line)
    dotted = re.findall(r"(?<!\})`(\w+)\.\w+`", line.split(": `")[0])
    assert roles or dotted
    assert all(hasattr(fastlr, name) for name in roles + dotted)
    (test, page), = re.findall(r"`(test_\w+)` in `(tests/\w+\.py)`", line)
    assert f"def {test}(" in (ROOT / page).read_text()


def test_llms_txt_names_pages():
    targets = re.findall(r"\]\((.*?)\)", (DOCS / "llms.txt").read_text())
    assert len(targets) > 10
    generated = {"examples/index.html", "api.html"}
    listed = set(re.findall(r"^   ([\w.]+)$", (DOCS / "api.rst").read_text(), re.MULTILINE))
    for target in targets:
        page = target.removeprefix("_sources/")
        is_api = target.startswith("api/fastlr.") and target[11:].removesuffix(".html") in listed
        assert target in generated or is_api or (page != target and (DOCS / page).is_file()), target


def test_the_check_finds_what_is_broken(tmp_path):
    faults = runpy.run_path(str(DOCS / "build.py"))["faults"]
    (tmp_path / "notes").mkdir()
    (tmp_path / "empty.png").touch()
    (tmp_path / "notes" / "a%b.html").write_text('<a href="../index.html#here">good</a>')
    (tmp_path / "index.html").write_text('''<h1 id="here">Title</h1><a href="https://example.org">net</a>
        <a href="#here">good</a> <a href="notes/a%25b.html">good</a> <a href="#there">bad</a>
        <a href="gone.html">bad</a>
        <img src="empty.png"> <img src="data:image/png;base64,AA=="> <script src="https://example.org/x.js"></script>''')
    assert sorted(faults(tmp_path)) == [
        "index.html fetches https://example.org/x.js", "index.html: #there names no place of that page",
        "index.html: empty.png is missing or empty", "index.html: gone.html is missing or empty",
    ]
