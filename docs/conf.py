"""Sphinx's settings: `python docs/build.py` builds the site into build/site. Nothing is fetched, here or by readers."""

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from pygments.lexers import PythonLexer

import fastlr

project = "fastlr"
author = "fastlr developers"
copyright = author
version = release = fastlr.__version__

extensions = [
    "sphinx.ext.autodoc", "sphinx.ext.autosummary", "numpydoc", "myst_parser", "sphinx_gallery.gen_gallery",
]
source_suffix = {".rst": "restructuredtext", ".md": "markdown"}
templates_path = ["_templates"]
exclude_patterns = ["_templates", "gallery"]
default_role = "py:obj"  # `name` in docstrings is a link where there is such a name
smartquotes = False  # "auto" in a docstring is code
toc_object_entries_show_parents = "hide"
highlight_language = "none"  # of indented blocks, which are formulas

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3

autosummary_generate = True
autosummary_ignore_module_all = False
autodoc_typehints = "none"
autodoc_mock_imports = ["dask", "distributed"]
numpydoc_show_class_members = False

sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "examples",
    "backreferences_dir": "examples/backreferences",
    "doc_module": ("fastlr",),
    "within_subsection_order": "FileNameSortKey",
    "nested_sections": False,
    "abort_on_example_error": True,
    "capture_repr": (),
    "download_all_examples": False,
    "min_reported_time": 1e9,
    "write_computation_times": False,
    "show_signature": False,
}

html_theme = "pydata_sphinx_theme"
html_title = "fastlr"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_extra_path = ["llms.txt"]
html_sourcelink_suffix = ""
html_show_sourcelink = False
html_show_search_summary = False  # a page that is opened from a file may not fetch others
html_theme_options = {
    "logo": {"text": "fastlr"},
    "header_links_before_dropdown": 7,
    "show_toc_level": 2,
    "secondary_sidebar_items": ["page-toc"],
    "article_header_start": ["breadcrumbs"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "show_prev_next": False,
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
html_sidebars = {page: [] for page in ("index", "start", "mathematics")}
html_context = {"default_mode": "auto"}


def visit_math(self, node):
    self.body.append(tex2mathml(node.astext()))
    raise nodes.SkipNode


def visit_displaymath(self, node):
    self.body.append(f'<div class="formula">{tex2mathml(node.astext(), as_block=True)}</div>\n')
    raise nodes.SkipNode


def skip_foreign(app, what, name, obj, skip, options):
    """Leave out what scikit-learn's base classes bring: its documentation says more."""
    return skip or not (getattr(obj, "__module__", None) or "fastlr").startswith("fastlr")


def setup(app):
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_displaymath, None))
    app.config.html_math_renderer = "mathml"
    app.add_lexer("numba", PythonLexer)
    app.connect("autodoc-skip-member", skip_foreign)
