"""`matmul`: products of matrices in block formats, exact or as a named machine sums them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ml_dtypes
import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from mxref import _inputs as inputs
from mxref._suggest import unknown_name
from mxref.kernels.gemm import cpu
from mxref.kernels.gemm.rounding import MODES
from mxref.matmul._accumulator import Accumulator, accumulator
from mxref.matmul._exact import OUTPUTS, exact_product, round_array
from mxref.matmul._operands import Operands, operands_of
from mxref.matmul._relatives import RelativeOperands, is_relative, relatives_of
from mxref.matmul._relatives_exact import exact_relatives
from mxref.matmul._terms import product_of
from mxref.matmul.orders import Order
from mxref.mxarray import MXArray

if TYPE_CHECKING:
    from mxref.bdr import BDRArray
    from mxref.nvfp4 import NVFP4Array

__all__ = ["matmul"]

_EXACT = "exact"
_NEAREST = "nearest-even"


def matmul(  # noqa: PLR0913  # what a product has
    a: MXArray | NVFP4Array | BDRArray,
    b: MXArray | NVFP4Array | BDRArray,
    c: ArrayLike | None = None,
    accumulate: str | Accumulator | Order = _EXACT,
    dtype: DTypeLike | None = None,
    *,
    rounding: str = _NEAREST,
    out: NDArray[Any] | None = None,
    path: str | None = None,
    full_output: bool = False,
) -> Any:
    """Return ``a @ b + c``: the exact sums rounded once, or what a named machine gives.

    Parameters
    ----------
    a : MXArray, NVFP4Array or BDRArray, shape (M, K)
        The left operand, blocked along axis 1.
    b : MXArray, NVFP4Array or BDRArray, shape (K, N)
        The right operand, blocked along axis 0. Its element format may be another one
        (MX-1.0/6.1/mixed-types); its block size may not, where both are MXArrays. An exact product
        takes any two families and block sizes.
    c : array_like of float32, float64, float16 or bfloat16, optional
        An addend that broadcasts to (M, N). It counts exactly, as it is.
    accumulate : str, Accumulator or Order
        ``"exact"``: the infinitely precise sum of all products and the addend, rounded once.
        Otherwise how a machine or a program sums: ``"ocp-fp32"``, ``"float32-pairwise"``,
        ``"nv-hopper-fp8"``, ``"torch-scaled-mm-hopper"`` ...; `mxref.matmul.accumulators` lists
        them, docs/matmul.md says where each comes from.
    dtype : dtype, optional
        The type of the result: float32, float64, float16 or bfloat16. Default: float32 for exact
        sums, and whatever the machine gives for the others; another one is a rounding behind it.
    rounding : str
        How the exact sum is rounded: ``"nearest-even"``, ``"nearest-away"``, ``"nearest-down"``,
        ``"toward-zero"``, ``"up"``, ``"down"`` or ``"to-odd"``. Overflow goes to infinity or to the
        largest number as IEEE 754 has it for each.
    out : ndarray, optional
        Where to write the result.
    path : str, optional
        Which instructions to use, ``"portable"``, ``"avx512-vnni"`` or ``"amx-int8"``. The bits are
        the same. Default: the environment variable MXREF_GEMM, then the fastest that the processor
        has.
    full_output : bool
        Whether to return also a `MatmulInfo`: how many results needed which means. For exact sums.

    Returns
    -------
    ndarray, shape (M, N)
        A sum that is exactly zero is +0. NaN is the quiet one with sign 0 where `accumulate` is
        exact (OP-DOT-NAN), whatever hardware gives elsewhere. A NaN scale, a NaN element, infinity
        times zero and infinities of both signs give NaN. Where K is 0 the result is the addend.

    Raises
    ------
    TypeError
        If an operand is no array of a block format, or a dtype is none of the four.
    ValueError
        If an operand is not blocked along K, if shapes or block sizes do not fit, if there is no
        such accumulation or rounding, or if the machine has no instruction for the operands.

    Notes
    -----
    MX-1.0/6.1/dot, MX-1.0/6.2/dot-general, MX-1.0/6.2/float32. MX-1.0/6.1/precision leaves order
    and precision open: OP-DOT-PRECISION, OP-DOT-GROUPING, OP-DOT-SCALE-PLACE, OP-DOT-OUTPUT.

    The value of an NVFP4 element is E2M1 times E4M3 times the global scale, that of a BDR element
    as its format's `formula` says: real numbers, of which none is rounded. A scale that is NaN or
    infinite makes its elements so.

    Examples
    --------
    >>> import numpy as np, mxref
    >>> x = np.array([1.0, 2.0**-12, 2.0**-30])
    >>> a = mxref.quantize(np.pad(x[:, None], ((0, 0), (0, 31))).reshape(1, -1), "mxfp8_e4m3")
    >>> b = mxref.quantize(np.pad(x[:, None], ((0, 0), (0, 31))).reshape(-1, 1), "mxfp8_e4m3", 0)
    >>> float(mxref.matmul(a, b)[0, 0]) - 1 == 2**-23  # 1 + 2^-24 + 2^-60: float64 gives a tie
    True
    >>> float((a.dequantize().astype(float) @ b.dequantize()).astype(np.float32)[0, 0]) - 1
    0.0
    """
    operands = relatives_of(a, b, c) if is_relative(a, b) else operands_of(a, b, c)
    if rounding not in MODES:
        raise ValueError(unknown_name("rounding", rounding, list(MODES)))
    name = None if dtype is None else _dtype_name(dtype)
    if isinstance(accumulate, str) and accumulate == _EXACT:
        return _exact(operands, name or "float32", rounding, out, path, full_output, (a, b, c))
    if full_output or path is not None:
        raise ValueError(
            f"full_output and path belong to accumulate='exact'; got {accumulate!r}: leave them out"
        )
    return _as_machine(operands, _model_of(accumulate), name, rounding, out, (a, b, c))


def _exact(  # what a product has
    operands: Operands | RelativeOperands,
    name: str,
    rounding: str,
    out: NDArray[Any] | None,
    path: str | None,
    full_output: bool,  # noqa: FBT001
    given: tuple[Any, Any, Any],
) -> Any:
    chosen = cpu.best_path(path)
    found = _output(out, operands.shape, _dtype_of(name), given)
    target = found if found.flags.c_contiguous else np.empty(found.shape, found.dtype)
    if isinstance(operands, RelativeOperands):
        info = exact_relatives(operands, name, rounding, target, chosen)
    else:
        info = exact_product(product_of(operands), name, rounding, target, chosen)
    if target is not found:
        found[...] = target
    return (found, info) if full_output else found


def _as_machine(
    operands: Operands | RelativeOperands,
    model: Accumulator,
    name: str | None,
    rounding: str,
    out: NDArray[Any] | None,
    given: tuple[Any, Any, Any],
) -> NDArray[Any]:
    reason = model.why_not(operands)
    if reason:
        raise ValueError(f"accumulate={model.name!r} cannot be applied: {reason}")
    kind = name or model.dtype
    if kind == model.dtype and rounding != _NEAREST:
        raise ValueError(
            f"rounding={rounding!r} has no effect here: accumulate={model.name!r} gives {kind}, "
            "rounded as it does; leave it out, or ask for another dtype"
        )
    if out is not None:
        _output(out, operands.shape, _dtype_of(kind), given)
    values = model.sums(operands)
    if kind != model.dtype:
        values = round_array(values, kind, rounding)
    if out is None:
        return values
    out[...] = values
    return out


def _model_of(accumulate: Any) -> Accumulator:
    if isinstance(accumulate, Accumulator):
        return accumulate
    if isinstance(accumulate, Order):
        return accumulate.model()
    if isinstance(accumulate, str):
        return accumulator(accumulate)
    raise TypeError(
        f"accumulate is a {type(accumulate).__name__}; expected a name such as 'exact' or "
        "'ocp-fp32', an Accumulator or an Order"
    )


def _output(
    out: Any, shape: tuple[int, ...], kind: np.dtype[Any], given: tuple[Any, Any, Any]
) -> NDArray[Any]:
    a, b, c = given
    found = inputs.as_output(out, shape, kind, a.codes)
    if out is not None:
        more = [getattr(side, "subscales", None) for side in (a, b)]
        for array in (a.scales, b.codes, b.scales, c, *more):
            if isinstance(array, np.ndarray) and np.may_share_memory(out, array):
                raise ValueError("out overlaps an operand in memory; give it memory of its own")
    return found


def _dtype_of(name: str) -> np.dtype[Any]:
    return np.dtype(ml_dtypes.bfloat16) if name == "bfloat16" else np.dtype(name)


def _dtype_name(dtype: Any) -> str:
    try:
        is_named = isinstance(dtype, str) and dtype == "bfloat16"
        name = "bfloat16" if is_named else np.dtype(dtype).name
    except TypeError:
        name = repr(dtype)
    if name not in OUTPUTS:
        raise TypeError(f"dtype is {name}; expected one of {', '.join(OUTPUTS)}")
    return name
