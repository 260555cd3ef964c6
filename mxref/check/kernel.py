"""Drives a black-box kernel with designed inputs: the strongest form of a check."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mxref._policy_base import Choices
from mxref._suggest import unknown_name
from mxref.check._call import Caller
from mxref.check._drive import INPUT_DTYPES, Drive
from mxref.check._guard import GuardedKernel, signature
from mxref.check.parts import Mismatches, Trouble, Verdict
from mxref.check.report import Report
from mxref.check.target import OPS, TargetError
from mxref.faults.legal import require_judgeable
from mxref.formats import BlockFormat, ElementFormat, ScaleFormat, block_format, scalar_format
from mxref.policy import Policy, get_policy
from mxref.relatives import family_of
from mxref.relatives.bdr_format import BDRFormat
from mxref.relatives.nvfp4_format import NVFP4Format

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["LEVELS", "TIMEOUT", "kernel"]

LEVELS = ("smoke", "core", "full", "exhaustive")
"""How much is tried: about ten easy cases; everything that is designed for the format, in at most
64 calls; 32 million numbers more; everything there is."""

TIMEOUT = 120.0
"""Seconds that one call may take."""

_PRODUCTS = ("dot", "matmul")

Fmt = BlockFormat | ElementFormat | ScaleFormat


def kernel(  # noqa: PLR0913  # options of a test bench, by keyword
    fn: Callable[..., Any],
    format: str | Fmt | NVFP4Format | BDRFormat,  # noqa: A002
    op: str = "quantize",
    policy: Choices | str | None = None,
    level: str = "core",
    *,
    input_dtype: str = "float32",
    arrays: str = "numpy",
    timeout: float | None = TIMEOUT,
    progress: Callable[[int, int], None] | None = None,
    **layout: Any,
) -> Report:
    """Check a function that implements one operation on one format.

    Parameters
    ----------
    fn : callable
        The kernel. It is called on fresh, contiguous arrays:

        - ``quantize``: float32 (n, k) to codes (n, k) and scale codes (n, 1) or (n,); for NVFP4
          float32 (n, 64) to codes, scale codes (n, 4) and the global scale, a tensor a call; for
          BDR formats with a second level also sub-scales (n, k1 / k2)
        - ``dequantize``: codes (n, k) and scale codes (n, 1) to float32 (n, k)
        - ``encode``: float32 (n,) to codes (n,)
        - ``decode``: codes (n,) to float32 (n,)
        - ``quantize_tensor``: float32 (rows, columns) to the bytes of elements and of scales
        - ``dequantize_tensor``: bytes of elements and scales, and the shape, to float32
        - ``dot``: codes (n, K) and scale codes (n, K / k) of a, then of b, to float32 (n,)
        - ``matmul``: codes (M, K) and scale codes (M, K / k) of a, then codes (K, N) and scale
          codes (K / k, N) of b, to float32 (M, N)

        Codes and scale codes are uint8, one a byte; one-byte types of ml_dtypes and of torch, and
        an object with ``codes`` and ``scales`` are accepted from `fn` as well.
    format : str or format
        A block format for blocks, tensors, dots and products of matrices
        (``"mxfp4-mxfp8_e4m3"`` for two of them), else an element format or ``"e8m0"``.
    op : str
        One of the above.
    policy : Policy or str, optional
        The policy that `fn` claims to follow. Without one the check finds out which it follows.
    level : str
        ``"smoke"``: the easy cases alone. ``"core"``: everything that is designed for the format,
        in at most 64 calls of at most 2^20 numbers. ``"full"``: 32 million numbers more.
        ``"exhaustive"``: every input of a cast, every amax and element of a quantizer.
    input_dtype : str
        What `fn` takes where it takes numbers: ``"float32"``, ``"bfloat16"`` or ``"float16"``.
    arrays : str
        What `fn` takes instead of NumPy arrays: ``"torch"``, ``"torch:cuda"``, ``"jax"``,
        ``"cupy"``. What it returns may be any of them.
    timeout : float or None
        Seconds that one call may take, 120 by default; None for no limit.
    progress : callable, optional
        Called with (chunks done, chunks in all) at the two highest levels.
    **layout
        For tensors: ``axis``, ``packing`` and ``scale_layout``, as `mxref.check.quantize_tensor`
        takes them.

    Returns
    -------
    Report
        Its coordinates count along the designed inputs, ``mxref.check.stimuli``. A target that
        raises, hangs, returns something else than the above, writes into its input, is not
        deterministic, or is wired wrongly (values instead of codes, exchanged nibbles, ...) gives
        a report that is not ``ok``, with ``trouble`` set.

    Raises
    ------
    TypeError, ValueError
        If `fn` is no function, or the format, the operation, the policy, the level or the input
        type does not exist, or the policy is stochastic or searches for scales.

    Examples
    --------
    >>> import mxref
    >>> report = mxref.check.kernel(lambda x: mxref.quantize(x, "mxfp4"), "mxfp4")
    >>> report.ok
    True
    >>> mxref.check.kernel(lambda x: x, "mxfp4").trouble.kind
    'mis-wired'
    """
    if not isinstance(op, str) or op not in OPS:
        hint = "; the function comes first: kernel(fn, format, op)" if callable(op) else ""
        raise ValueError(unknown_name("operation", op, OPS) + hint)
    if level not in LEVELS:
        raise ValueError(unknown_name("level", level, LEVELS))
    if input_dtype not in INPUT_DTYPES:
        raise ValueError(unknown_name("input type", input_dtype, INPUT_DTYPES))
    if not callable(fn):
        raise TypeError(f"fn must be a function, got {type(fn).__name__}{_by_name(fn)}")
    if layout and not op.endswith("_tensor"):
        raise TypeError(
            f"{', '.join(layout)}: only operations on tensors take it, and {op} is none"
        )
    if family_of(format) != "mx":
        fn = _adapted(fn, arrays)
        return _drive_relative(fn, format, op, policy, level, input_dtype, timeout, progress)
    asked = None if policy is None else get_policy(policy)
    if asked is not None and op in ("quantize", "encode", "quantize_tensor"):
        require_judgeable(asked)
    name, fmt = _format(format, op)
    caller = Caller(_adapted(fn, arrays), signature(op, input_dtype), timeout)
    try:
        if op in _PRODUCTS:
            return _drive_product(caller, fmt, op, asked, level)
        if op.endswith("_tensor"):
            return _drive_tensor(caller, fmt[0], op, asked, level, layout)
        guarded = GuardedKernel(caller, op, fmt[0])
        return Drive(guarded, fmt[0], op, asked, input_dtype, progress).run(level)
    except TargetError as error:
        return troubled(op, name, asked, Trouble(error.kind, f"{error}."))


def _drive_relative(  # those of `kernel`
    fn: Callable[..., Any],
    format: Any,  # noqa: A002
    op: str,
    policy: Any,
    level: str,
    input_dtype: str,
    timeout: float | None,
    progress: Callable[[int, int], None] | None,
) -> Report:
    """Drive a kernel of NVFP4 or of a BDR format."""
    if op not in ("quantize", "dequantize"):
        raise ValueError(
            f"op={op!r} is for MX formats; kernels of {getattr(format, 'name', format)} are driven "
            "as 'quantize' or 'dequantize'"
        )
    if family_of(format) == "nvfp4":
        from mxref.check import nvfp4

        return nvfp4.drive(
            fn, op, policy, level, input_dtype=input_dtype, timeout=timeout, progress=progress
        )
    from mxref.check import bdr

    return bdr.drive(fn, format, op, policy, level, input_dtype=input_dtype, timeout=timeout)


def troubled(op: str, name: str, asked: Policy | None, trouble: Trouble) -> Report:
    """Return the report of a target about which nothing can be said, and why."""
    nothing = Mismatches(0, 0, 0, 0)
    verdict = Verdict.UNEXPLAINED if trouble.kind == "nondeterministic" else Verdict.NOT_TESTABLE
    return Report(op, name, verdict, None, asked, (), nothing, trouble=trouble)


def _by_name(fn: object) -> str:
    """A hint for somebody who gives the name of a target."""
    if not isinstance(fn, str):
        return ""
    return "; a target by its name is for `mxref conform`, or for mxref.check.identify"


def _format(given: Any, op: str) -> tuple[str, tuple[Any, ...]]:
    """Return the name of a format, and what it stands for: two block formats for a product."""
    if op in _PRODUCTS:
        first, _, second = str(getattr(given, "name", given)).partition("-")
        pair = block_format(first), block_format(second or first)
        return f"{pair[0].name}-{pair[1].name}", pair
    find: Callable[[Any], Fmt] = scalar_format if op in ("encode", "decode") else block_format
    fmt = find(given)
    return fmt.name, (fmt,)


def _adapted(fn: Callable[..., Any], arrays: str) -> Callable[..., Any]:
    if arrays == "numpy":
        return fn
    from mxref.check.targets.foreign import adapted

    return adapted(fn, arrays)


def _drive_product(
    caller: Caller, pair: tuple[BlockFormat, BlockFormat], op: str, asked: Policy | None, level: str
) -> Report:
    from mxref.check.dot import drive_dot, drive_matmul

    drive = drive_dot if op == "dot" else drive_matmul
    return drive(caller, *pair, asked, level=level)


def _drive_tensor(
    caller: Caller,
    fmt: BlockFormat,
    op: str,
    asked: Policy | None,
    level: str,
    layout: Mapping[str, Any],
) -> Report:
    from mxref.check.tensor import drive_tensor

    return drive_tensor(caller, fmt, op, asked, level=level, **layout)
