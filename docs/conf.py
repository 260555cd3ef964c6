"""How Sphinx makes a site of docs/: `make docs`, or ``sphinx-build -n -W docs build/docs``."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from pygments.lexers.shell import BashSessionLexer

HERE = Path(__file__).parent
ROOT = HERE.parent
sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(HERE))

import docstrings  # noqa: E402  # these lie beside this file
import site_links  # noqa: E402

import mxref  # noqa: E402  # likewise

project = "mxref"
author = "The mxref contributors"
project_copyright = author
version = release = mxref.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
]
root_doc = "index"
exclude_patterns = ["**/README.txt", "_build"]
nitpicky = True
suppress_warnings = ["myst.header"]  # tables written by code may begin below a heading of level 1
language = "en"

# --- Markdown -----------------------------------------------------------------------------------
myst_heading_anchors = 6  # the names that GitHub gives to headings
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_dmath_double_inline = False

# --- docstrings -----------------------------------------------------------------------------------
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
napoleon_google_docstring = False
napoleon_use_param = False  # types in docstrings are prose: "array_like", "shape (n,)"
napoleon_use_rtype = False
default_role = "code"  # `name` in our docstrings is code, not a reference
python_maximum_signature_line_length = 72

# --- pages ----------------------------------------------------------------------------------------
html_theme = "furo"
html_title = f"mxref {version}"
html_static_path = ["_static"]
html_css_files = ["mxref.css"]
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "navigation_with_keys": True,
    "light_css_variables": {"color-brand-primary": "#0b57a4", "color-brand-content": "#0b57a4"},
    "dark_css_variables": {"color-brand-primary": "#8ab8ff", "color-brand-content": "#8ab8ff"},
}
pygments_style = "friendly"
pygments_dark_style = "github-dark"
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

# --- links to the world (make docs-links) ---------------------------------------------------------
linkcheck_timeout = 20
linkcheck_retries = 2
linkcheck_workers = 8
linkcheck_anchors = False  # pages that are made by scripts have none
linkcheck_ignore = [r"https?://(localhost|127\.0\.0\.1)", r"file://"]


class Session(BashSessionLexer):
    """Sessions as our pages have them: a prompt is a dollar, and never "(256, 64)"."""

    _ps1rgx = re.compile(r"^(\$ )(.*\n?)")


def setup(app):
    """Connect what our Markdown and our docstrings need to become a site."""
    site_links.setup(app)
    docstrings.setup(app)
    app.add_lexer("console", Session)
