"""What our docstrings need from Sphinx that its extension for numpydoc does otherwise.

Types in docstrings are prose ("array_like", "uint8, shape (n,)"), and no references to anything.
"""

from __future__ import annotations

import importlib
import inspect
import re


class _Prose:
    """Parts of the parser of docstrings, put in place of its own."""

    def attributes(self, _section):
        """Return the attributes as parameters look, in place of references to their types."""
        return self._format_fields("Attributes", self._consume_fields())

    def attribute(self):
        """Return the text of a property; what is before a colon in it is no type."""
        return self._consume_to_end()


def on_missing(_app, _env, node, content):
    """Leave types alone that no page describes: those of other packages, and those of ours inside.

    A name of ours has to exist, so that one that is misspelt is an error.
    """
    target = node.get("reftarget", "")
    types = node.get("reftype") in {"class", "exc", "obj", "data", "attr"}
    if node.get("refdomain") == "py" and types and (_exists(target) or "mxref." not in target):
        return content
    return None


def _exists(name):
    """Whether the code has an object of this name: ``mxref.relatives.bdr_choices.Shift``."""
    module, _, attribute = name.rpartition(".")
    try:
        return hasattr(importlib.import_module(module), attribute)
    except (ImportError, ValueError):
        return False


# What Python makes of numpy's types of annotations, in place of what stands in the code. A tilde
# before a name tells Sphinx to print its last part only.
_P = r"~?(?:\w+\.)*"
_ARRAY_LIKE = re.compile(
    rf"{_P}_Buffer \| {_P}_SupportsArray\[{_P}dtype\[.*?\]\] \| {_P}_NestedSequence\[.*?\]\]\]"
    rf" \| complex \| bytes \| str \| {_P}_NestedSequence\[complex \| bytes \| str\]"
)
_ARRAY = re.compile(rf"{_P}ndarray\[{_P}tuple\[.*?\.\.\.\], {_P}dtype\[((?:[~\w.]|\[.*?\])+)\]\]")


def short(signature):
    """A signature with numpy's types as the code has them."""
    return _ARRAY.sub(r"NDArray[\1]", _ARRAY_LIKE.sub("ArrayLike", signature))


def on_signature(_app, _what, _name, _value, _options, arguments, returned):
    """Shorten a signature."""
    return arguments and short(arguments), returned and short(returned)


# Modules that can be called, which are described as the function that a call goes to.
CALLED = {"mxref.matmul": "mxref.matmul", "mxref.show": "mxref.show.codes"}


def on_docstring(_app, what, name, _value, _options, lines):
    """Put the text of the function in place of that of the module."""
    if what == "function" and name in CALLED:
        function = getattr(importlib.import_module(CALLED[name]), name.rpartition(".")[2])
        lines[:] = inspect.getdoc(function).splitlines()


def setup(app):
    """Connect to Sphinx."""
    app.connect("autodoc-process-docstring", on_docstring, priority=1)  # before napoleon reads it
    app.connect("autodoc-process-signature", on_signature)
    from sphinx.ext.napoleon import docstring  # so that tests without Sphinx can import this file

    parser = docstring.GoogleDocstring
    parser._parse_attributes_section = _Prose.attributes
    parser._parse_attribute_docstring = _Prose.attribute
    app.connect("missing-reference", on_missing)
