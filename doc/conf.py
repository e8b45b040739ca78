"""Sphinx configuration: ``python -m sphinx doc doc/_build``."""

import sklearn_pttf

project = "sklearn_pttf"
author = "the sklearn_pttf developers"
copyright = "2026, the sklearn_pttf developers"
version = release = sklearn_pttf.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
]
autosummary_generate = True
numpydoc_show_class_members = False
exclude_patterns = ["_build"]
html_theme = "pydata_sphinx_theme"
html_title = f"{project} {version}"

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "within_subsection_order": "FileNameSortKey",
    "download_all_examples": False,
    "doc_module": "sklearn_pttf",
    "backreferences_dir": "generated",
}
