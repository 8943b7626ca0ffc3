"""Settings of Sphinx. Build with ``sphinx-build docs docs/_build/html``."""

import anyjac

project = "anyjac"
author = "The anyjac founders"
copyright = author
release = version = anyjac.__version__

extensions = ["sphinx.ext.autodoc", "sphinx.ext.autosummary", "numpydoc"]
exclude_patterns = ["_build"]
default_role = "py:obj"
nitpicky = False

autosummary_generate = True
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # numpydoc's sections say it
numpydoc_show_class_members = False

html_theme = "alabaster"
html_theme_options = {"description": "Jacobians of stateful Python code, on any array backend"}
