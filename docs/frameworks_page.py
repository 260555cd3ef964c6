"""The part of docs/frameworks.md that the code knows: what is shared, and what is copied.

The rest is written by hand. `examples` finds the blocks of Python on it, which the tests run.
"""

from __future__ import annotations

import re

import ml_dtypes
import numpy as np

from mxref import _inputs
from mxref.formats import BLOCK_FORMATS
from mxref.interop import cupy_arrays, jax_arrays, torch_tensors

PART = re.compile(r"(<!-- written: (?P<name>\S+) -->\n).*?(<!-- end -->)", re.DOTALL)
EXAMPLE = re.compile(
    r"(?:<!-- needs: (?P<needs>\S+) -->\n)?^```python\n(?P<code>>>> .*?)^```$",
    re.MULTILINE | re.DOTALL,
)
WORDS = {
    torch_tensors: ("shared", "copied"),
    jax_arrays: ("shared¹", "copied"),
    cupy_arrays: ("", "copied"),
}


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def sharing():
    """A row for each element, and one for the scales."""
    assert np.dtype(ml_dtypes.float8_e4m3fn).itemsize == 1  # so that ml_dtypes is always a view
    rows = []
    elements = {fmt.element.name: f"`{name}`" for name, fmt in BLOCK_FORMATS.items()}
    for element, title in {**elements, "e8m0": "scale codes"}.items():
        row = [title, f"`{np.dtype(_inputs.CODE_DTYPES[element][0]).name}`, shared"]
        for module, (shared, copied) in WORDS.items():
            word = copied if element in module.COPIED else shared
            row.append(f"`{module.DTYPES[element]}`, {word}")
        rows.append(row)
    return table(("", "ml_dtypes, NumPy", "torch", "JAX", "CuPy"), rows)


PARTS = {"sharing": sharing}


def frameworks_page(path):
    """The page with its parts of now."""
    text = path.read_text(encoding="utf-8")
    return PART.sub(lambda part: f"{part[1]}\n{PARTS[part['name']]()}\n\n{part[3]}", text)


def examples(path):
    """The examples of the page: what each needs, if anything, and its text."""
    text = path.read_text(encoding="utf-8")
    return [(found["needs"], found["code"]) for found in EXAMPLE.finditer(text)]
