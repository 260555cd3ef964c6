"""Each lint fires on the code that it exists to stop, and is silent on the code next to it."""

import pytest

from lint_kernels import kernel_findings
from lint_rules import (
    LAYERS,
    MAX_LINES,
    clause_findings,
    house_findings,
    layer_findings,
)


def rules(findings):
    return {finding.rule for finding in findings}


LAYER_CASES = {
    # file, source, rules that fire
    "earlier layer": ("mxref/exact/dot.py", "from mxref.policy import Policy", set()),
    "own layer": ("mxref/arrays.py", "import mxref.layouts.nibbles", set()),
    "later layer": ("mxref/policy.py", "from mxref.exact import element", {"layer"}),
    "later, plain import": ("mxref/policy.py", "import mxref.exact.element", {"layer"}),
    "later, by name": ("mxref/formats.py", "from mxref import arrays", {"layer"}),
    "later, relative": ("mxref/exact/dot.py", "from ..kernels import element", {"layer"}),
    "sibling, relative": ("mxref/exact/dot.py", "from . import element", set()),
    "sibling, from init": ("mxref/exact/__init__.py", "from .element import decode", set()),
    "in a function": ("mxref/faults/a.py", "def f():\n from mxref.cli import main", {"layer"}),
    "by string": ("mxref/faults/a.py", "import_module('mxref.cli.main')", {"layer"}),
    "public name": ("mxref/exact/dot.py", "from mxref import quantize", {"layer"}),
    "public name, on top": ("mxref/cli/main.py", "import mxref", set()),
    "version": ("mxref/vectors/write.py", "from mxref import __version__", set()),
    "helper": ("mxref/formats.py", "from mxref._errors import UnknownName", set()),
    "helper reaches up": ("mxref/_errors.py", "from mxref.policy import Policy", {"layer"}),
    "for mypy only": (
        "mxref/formats.py",
        "if TYPE_CHECKING:\n from mxref.arrays import MXArray\n import numba",
        set(),
    ),
    "else of it": ("mxref/formats.py", "if TYPE_CHECKING: pass\nelse: import numba", {"fence"}),
    "new module": ("mxref/novelty.py", "", {"unknown"}),
    "numba in kernels": ("mxref/kernels/element.py", "from numba import njit", set()),
    "numba outside": ("mxref/arrays.py", "def f():\n import numba.core", {"fence"}),
    "ml_dtypes outside": ("mxref/arrays.py", "import ml_dtypes", set()),
    "ml_dtypes in exact": ("mxref/exact/element.py", "import ml_dtypes", {"fence"}),
    "ml_dtypes in kernels": ("mxref/kernels/a.py", "from ml_dtypes import bfloat16", {"fence"}),
    "root, eager": ("mxref/__init__.py", "from mxref.formats import FORMATS", {"eager"}),
    "root, relative": ("mxref/__init__.py", "from .formats import FORMATS", {"eager"}),
    "root, lazy": ("mxref/__init__.py", "def __getattr__(n):\n from mxref import cli", set()),
    "root, helper": ("mxref/__init__.py", "from mxref._lazy import attach", set()),
}


@pytest.mark.parametrize(("file", "source", "expected"), LAYER_CASES.values(), ids=LAYER_CASES)
def test_layers(file, source, expected):
    assert rules(layer_findings(file, source)) == expected


def test_no_unit_has_two_layers():
    units = [unit for layer in LAYERS for unit in layer]
    assert len(units) == len(set(units))


KERNEL_CASES = {
    # body of a kernel, rules that fire
    "cast step": ("y = u32(x & u32(0x7F))", set()),
    "np cast": ("y = np.uint32(x & np.uint32(0x7F))", set()),
    "constant folded in a cast": ("y = u32(1 << 23)", set()),
    "negative constant": ("y = i32(-127)", set()),
    "float literal": ("y = u32(x * 2.0)", {"float"}),
    "float call": ("y = float(x)", {"float"}),
    "np.float32": ("y = np.float32(x)", {"float"}),
    "view as float": ("y = x.view(np.float32)", {"float"}),
    "math": ("y = math.ldexp(x, n)", {"float"}),
    "a name that is not a float": ("half = u32(u32(1) << x)", set()),
    "true division": ("y = u32(x / x)", {"division"}),
    "true division in place": ("i /= 2", {"division"}),
    "power": ("y = u32(x ** x)", {"power"}),
    "literal and data": ("y = u32(x + 1)", {"literal"}),
    "literal and data, compared": ("y = x if x > 1 else x", {"literal"}),
    "negative literal": ("y = i32(x + -1)", {"literal"}),
    "constant of the module": ("y = u32(x >> MBITS)", {"literal"}),
    "constant of the module, cast": ("y = u32(x >> u32(MBITS))", set()),
    "cast constant of the module": ("y = u32(x & MASK)", set()),
    "literal bound": ("y = 0", {"literal"}),
    "literal bound in a branch": ("y = x if x else 0", {"literal"}),
    "literal returned": ("return 0", {"literal"}),
    "literal handed to a function": ("y = encode(x, 3)", {"literal"}),
    "literal stored": ("out[i] = 0", {"literal"}),
    "flag bound": ("is_nan = False", set()),
    "index literal": ("y = out[2 * x + 1]", set()),
    "slice": ("y = out[32 * i : 32 * i + 32]", set()),
    "range": ("for i in range(0, n + 1, 32):\n  pass", set()),
    "prange": ("for i in prange(n // 32):\n  pass", set()),
    "index arithmetic": (
        "n_blocks = x.shape[0] // 32\n base = i * 32 + 1\n k0 = len(x) - 1",
        set(),
    ),
    "index compared": ("while i + 1 < n_blocks:\n  i += 1", set()),
    "index returned": ("return i + 1", set()),
    "index against data": ("y = u32(x + i * 2 + 1)", {"literal"}),
    "uncast step": ("y = x & x", {"width"}),
    "uncast step, annotated": ("y: int = x & x", {"width"}),
    "uncast step in a branch": ("y = x if x else x << x", {"width"}),
    "uncast step in a tuple": ("y, z = x, x - x", {"width"}),
    "uncast step, stored": ("out[i] = x | x", {"width"}),
    "uncast step, returned": ("return x | x", {"width"}),
    "uncast inversion": ("y = ~x", {"width"}),
    "uncast negation": ("y = -x", {"width"}),
    "in place": ("x |= x", {"width"}),
    "in place, element": ("out[i] += u32(1)", set()),
    "wrap seen by a shift": ("y = u32((x + x) >> x)", {"width"}),
    "wrap as a shift amount": ("y = u32(x << (x - x))", {"width"}),
    "wrap seen by a comparison": ("y = x if (x - x) < x else x", {"width"}),
    "wrap seen by max": ("y = max(x - x, x)", {"width"}),
    "wrap cast": ("y = u32(u32(x + x) >> x)", set()),
    "wrap masked": ("y = u32(((x + x) & x) >> x)", set()),
    "wrap that no bit sees": ("y = u32((x + x) | x)", set()),
    "flags": ("is_inf = x == x\n special = (x > x) & is_inf | (not x)", set()),
    "two widths": ("y = u32(x)\n y = u64(x)", {"rebound"}),
    "two widths in branches": ("y = u32(x) if x else i32(x)", {"rebound"}),
    "one width in two spellings": ("y = u32(x)\n y = np.uint32(x)", set()),
    "index made data": ("base = i * 32\n base = u32(x)", {"rebound"}),
}

KERNEL_FRAME = """
MBITS = (1 << 3) - 1
MASK = u32(0x7F)
{decorator}
def f(x, out, n, i):
 {body}
"""


@pytest.mark.parametrize(("body", "expected"), KERNEL_CASES.values(), ids=KERNEL_CASES)
@pytest.mark.parametrize("decorator", ["@kernel", "@_jit.parallel_kernel", "@inline()"])
def test_kernels(body, expected, decorator):
    source = KERNEL_FRAME.format(body=body, decorator=decorator)
    assert rules(kernel_findings(source)) == expected


@pytest.mark.parametrize("body", [body for body, expected in KERNEL_CASES.values() if expected])
def test_python_beside_the_kernels_is_free(body):
    assert kernel_findings(KERNEL_FRAME.format(body=body, decorator="")) == []


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("@kernel(fastmath=True)\ndef f(): pass", {"fastmath"}),
        ("jit = partial(njit, fastmath={'contract'})", {"fastmath"}),
        ("jit = partial(njit, fastmath=False)", set()),
        ("@njit\ndef f(): pass", {"decorator"}),
        ("@numba.njit(cache=True)\ndef f(): pass", {"decorator"}),
        ("@kernel\ndef f(x: NDArray[np.float32]): pass", {"float"}),
        ("def make(mbits):\n @kernel\n def f(x):\n  return x + 1", {"literal", "width"}),
    ],
)
def test_kernel_modules(source, expected):
    assert rules(kernel_findings(source)) == expected


def test_clause_ids():
    known = {"OP-NEG-ZERO"}
    pattern = r"\bOP-[A-Z0-9-]+\b"
    assert clause_findings("# see OP-NEG-ZERO\n", pattern, known) == []
    (finding,) = clause_findings("x = 1\ny = 2  # OP-NEG-ZEROS\n", pattern, known)
    assert (finding.line, finding.rule) == (2, "clause")


@pytest.mark.parametrize(
    ("file", "source", "expected"),
    [
        ("mxref/a.py", "x = 1\n" * MAX_LINES, set()),
        ("mxref/a.py", "x = 1\n" * (MAX_LINES + 1), {"long"}),
        ("mxref/clauses.py", "x = 1\n" * (MAX_LINES + 1), set()),
        ("mxref/a.py", "cache = '/t" + "mp/mxref'", {"path"}),
        ("mxref/a.py", "# as in /wo" + "rk/main", {"path"}),
        ("mxref/a.py", "url = 'https://example.org/work/x'", set()),
        ("mxref/a.py", "print('hello')", {"print"}),
        ("mxref/a.py", "def f():\n    '''>>> print(1)'''\n", set()),
        ("mxref/cli/main.py", "print('hello')", set()),
    ],
)
def test_house_rules(file, source, expected):
    assert rules(house_findings(file, source)) == expected
