"""mxref: the CPU reference implementation and conformance suite for OCP Microscaling formats.

The public names are resolved on first use, so that ``import mxref`` costs little more than
``import numpy``: Numba is loaded by the first conversion of an array.

Examples
--------
>>> import numpy as np, mxref
>>> q = mxref.quantize(np.linspace(-1, 1, 64, dtype=np.float32), "mxfp4")
>>> q.codes.shape, q.scales.tolist()
((64,), [125, 125])
>>> mxref.check.quantize(np.linspace(-1, 1, 64, dtype=np.float32), q.codes, q.scales, "mxfp4").ok
True
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

__all__ = [
    "MXArray",
    "Policy",
    "bdr",
    "block_format",
    "check",
    "checkpoints",
    "clauses",
    "compare",
    "decode",
    "dequantize",
    "diff",
    "differences",
    "encode",
    "exact",
    "explain",
    "formats",
    "get_policy",
    "interop",
    "layouts",
    "matmul",
    "nvfp4",
    "policy",
    "profiles",
    "quality",
    "quantize",
    "scalar_format",
    "show",
    "sweep",
    "vectors",
]

_HOME = {
    "MXArray": "mxref.arrays",
    "Policy": "mxref.policy",
    "block_format": "mxref.formats",
    "compare": "mxref.show.compare",
    "decode": "mxref.arrays",
    "dequantize": "mxref.conversions",
    "diff": "mxref.show.diff",
    "encode": "mxref.arrays",
    "explain": "mxref.show",
    "get_policy": "mxref.policy",
    "matmul": "mxref.matmul",
    "quantize": "mxref.conversions",
    "scalar_format": "mxref.formats",
}
_SUBMODULES = {
    "bdr",
    "check",
    "checkpoints",
    "clauses",
    "differences",
    "exact",
    "formats",
    "interop",
    "layouts",
    "matmul",
    "nvfp4",
    "policy",
    "profiles",
    "quality",
    "show",
    "sweep",
    "vectors",
}

if TYPE_CHECKING:
    from mxref import bdr as bdr
    from mxref import check as check
    from mxref import checkpoints as checkpoints
    from mxref import clauses as clauses
    from mxref import differences as differences
    from mxref import exact as exact
    from mxref import formats as formats
    from mxref import interop as interop
    from mxref import layouts as layouts
    from mxref import nvfp4 as nvfp4
    from mxref import policy as policy
    from mxref import profiles as profiles
    from mxref import quality as quality
    from mxref import sweep as sweep
    from mxref import vectors as vectors
    from mxref.arrays import MXArray as MXArray
    from mxref.arrays import decode as decode
    from mxref.arrays import encode as encode
    from mxref.conversions import dequantize as dequantize
    from mxref.conversions import quantize as quantize
    from mxref.formats import block_format as block_format
    from mxref.formats import scalar_format as scalar_format
    from mxref.matmul import matmul as matmul
    from mxref.policy import Policy as Policy
    from mxref.policy import get_policy as get_policy
    from mxref.show.codes import show as show
    from mxref.show.compare import compare as compare
    from mxref.show.diff import diff as diff
    from mxref.show.explain import explain as explain


def __getattr__(name: str) -> Any:
    if name in _SUBMODULES:
        return importlib.import_module(f"mxref.{name}")
    if name in _HOME:
        value = getattr(importlib.import_module(_HOME[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'mxref' has no attribute {name!r}{_advice(name)}")


def _advice(name: str) -> str:
    """Say what somebody may have meant by a name that does not exist."""
    if name.startswith("_"):  # what tools ask for, such as __wrapped__
        return ""
    from mxref._suggest import nearest
    from mxref.formats import BLOCK_FORMATS, ELEMENT_FORMATS, SCALE_FORMATS

    if name in {*BLOCK_FORMATS, *ELEMENT_FORMATS, *SCALE_FORMATS}:
        return f"; a format is given by its name, as in mxref.show({name!r})"
    near = nearest(name, __all__)[:2]
    if near:
        return f"; did you mean {' or '.join(f'mxref.{n}' for n in near)}?"
    return "; dir(mxref) lists what there is"


def __dir__() -> list[str]:
    """List what is meant to be used; the tools of the module stay out of tab completion."""
    dunders = [name for name in globals() if name.startswith("__")]
    return sorted({*dunders, *__all__})
