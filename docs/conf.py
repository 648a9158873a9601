"""The documentation site: the repository's own Markdown, and the docstrings of every public name.

    sphinx-build -n -W --keep-going -c docs . build/site

The source folder is the repository, so that a link between two Markdown files is right both in the repository
and on the site. `-n -W` fails at a link that leads nowhere, and at what `public_names.py` warns of: a public
name that no page documents, or that has no docstring.
"""

import sys
from importlib.metadata import version as version_of
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "site"), str(HERE.parent)]

project = "mmcache"
author = "the mmcache contributors"
copyright = f"2026, {author}"
version = release = version_of("mmcache")

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "public_names",
    "return_sections",
    "readme_parts",
]
root_doc = "docs/index"
include_patterns = [
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "docs/**",
    "notebooks/*.ipynb",
    "adapters/README.md",
    "demos/**/README.md",
]
exclude_patterns = ["docs/site", "**/build"]

# Markdown
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 4
myst_links_external_new_tab = False

# Notebooks are shown with the outputs that are stored in them; a test runs them anew.
nb_execution_mode = "off"
nb_merge_streams = True

highlight_language = "none"  # of blocks that name none: what commands print

# Docstrings: Google's sections, names in single backticks.
default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
autodoc_default_options = {"members": True, "undoc-members": True}
napoleon_numpy_docstring = False
napoleon_use_ivar = True
# Types of other projects, and of our own that are no public names, are shown without a link.
nitpick_ignore_regex = [(r"py:.*", r".*")]

# Page
html_theme = "furo"
html_title = "mmcache"
html_extra_path = ["site/index.html"]
html_static_path = ["site/static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
