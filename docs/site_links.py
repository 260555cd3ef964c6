"""What pages written for GitHub need to become a site.

Our pages are plain Markdown, and their links lead to files of the repository. Below docs/ that is
what Sphinx wants as well. A link out of docs/ leads to the page of the site that includes the file
where there is one, to a copy of the file otherwise, and to nothing where it names a folder.
"""

from __future__ import annotations

import re
from os.path import relpath
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
# The pages that include a file from outside docs/: see `included`.
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "CHANGELOG.md": "project/changelog.md",
    "SECURITY.md": "project/security.md",
    "examples/c-target/README.md": "reference/c-target.md",
    "spec_vectors/README.md": "reference/vectors/set.md",
    "spec_vectors/INTERPRETING.md": "reference/vectors/interpreting.md",
    "spec_vectors/digests/README.md": "reference/vectors/digests.md",
    "spec_vectors/CHANGELOG.md": "reference/vectors/changes.md",
    "mxref/exact": "reference/api/mxref.exact.md",
}
WRITTEN = "\nWritten by `make docs` from the code; do not edit.\n"  # no news to readers of the site
FILE = re.compile(
    r"^<!-- file: (?P<name>\S+) -->\n(?:<!-- .* -->\n)*```(?P<kind>\w+)\n", re.MULTILINE
)
# Lists of pages that would be noise on GitHub, where folders list themselves.
BELOW = {
    "examples/README": "\n```{toctree}\n:hidden:\n\nc-encoder/README\nverilog-mxfp4/README\n"
    "rust-decode/README\njavascript-decode/README\n```\n"
}
INCLUDE = re.compile(r"^```\{include\} (\S+)\n```$", re.MULTILINE)
FENCED = re.compile(r"(^ *(`{3,})[^`\n]*\n.*?^ *\2`*$|(`+)[^`].*?\3)", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?P<bang>!?)\[(?P<words>(?:[^][]|\[[^]]*\])*)\]\((?P<to>[^)\s]+)\)")


def included(text, page):
    """A page with the files that it includes, their links as seen from the page."""

    def put(found):
        file = (page.parent / found[1]).resolve()
        return moved(file.read_text(encoding="utf-8"), file.parent, page.parent)

    return INCLUDE.sub(put, text)


def outside_code(change, text):
    """Apply `change` to what is no code: neither a block nor a word in backticks."""
    parts, at = [], 0
    for code in FENCED.finditer(text):
        parts += [change(text[at : code.start()]), code[0]]
        at = code.end()
    return "".join([*parts, change(text[at:])])


def links(change, text):
    """Replace each link by what `change` makes of it.

    Words of links may be code, so that code is taken out first and put back at the end.
    """
    codes = []

    def out(found):
        codes.append(found[0])
        return f"\0{len(codes) - 1}\0"

    bare = LINK.sub(change, FENCED.sub(out, text))
    return re.sub(r"\0(\d+)\0", lambda found: codes[int(found[1])], bare)


def moved(text, old, new):
    """The text of a file in folder `old`, its relative links as seen from folder `new`."""

    def change(found):
        path, mark, anchor = found["to"].partition("#")
        if "://" in path or not path or path.startswith("mailto:"):
            return found[0]
        there = Path(relpath((old / path).resolve(), new)).as_posix()
        return f"{found['bang']}[{found['words']}]({there}{mark}{anchor})"

    return links(change, text)


def inward(text, page):
    """A page whose links out of docs/ lead to pages of the site, or to copies of files."""

    def change(found):
        path, mark, anchor = found["to"].partition("#")
        if "://" in path or not path or found["bang"]:
            return found[0]
        target = (page.parent / path).resolve()
        outside = not target.is_relative_to(HERE)
        name = target.relative_to(ROOT).as_posix() if target.is_relative_to(ROOT) else ""
        if outside and name in PAGES:
            there = Path(relpath(HERE / PAGES[name], page.parent)).as_posix()
            return f"[{found['words']}]({there}{mark}{anchor})"
        if target.is_dir():
            return f"{found['words']} (`{target.relative_to(ROOT).as_posix()}/`)"
        return found[0]

    return links(change, text)


def titled(text):
    """A page whose blocks that are files have their names above them."""
    return FILE.sub(r"```{code-block} \g<kind>\n:caption: \g<name>\n\n", text)


def on_read(app, name, source):
    """Prepare a page before it is parsed."""
    page = Path(app.env.doc2path(name))
    if page.suffix == ".md":
        text = inward(included(source[0], page), page).replace(WRITTEN, "", 1)
        source[0] = titled(text) + BELOW.get(name, "")


def on_write(app, error):
    """Write the explorer beside the pages."""
    if error is None and app.builder.format == "html":
        from mxref.show import html

        (Path(app.outdir) / "explorer.html").write_text(html.page(), encoding="utf-8")


def setup(app):
    """Connect to Sphinx."""
    app.connect("source-read", on_read)
    app.connect("build-finished", on_write)
