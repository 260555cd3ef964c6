"""Functions of a shared library as targets: ``so:./lib.so:symbol``.

The library is loaded and called in a process of its own (`mxref.check.targets.isolated`), so that
a wild pointer is an answer and not our end. ``docs/protocols.md`` has the signatures.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from mxref.check.target import Kernel, Target, TargetError, TargetOptions
from mxref.check.targets._escape import escaped
from mxref.check.targets.command import require_program_op
from mxref.check.targets.isolated import Worker

__all__ = ["SIGNATURES", "load_library"]

SIGNATURES = {
    "quantize": "const float *x, size_t n, size_t k, uint8_t *codes, uint8_t *scales",
    "dequantize": "const uint8_t *codes, const uint8_t *scales, size_t n, size_t k, float *values",
    "encode": "const float *x, size_t n, uint8_t *codes",
    "decode": "const uint8_t *codes, size_t n, float *values",
}
"""The parameters of a function for each operation; all return int, 0 if all is well."""


def load_library(
    name: str, path: str, symbol: str, wanted: tuple[str, str] | None, options: TargetOptions
) -> Target:
    """Return the target of a library.

    Parameters
    ----------
    name : str
        As the user gave it.
    path : str
        The library.
    symbol : str
        One function; empty for all that are named ``mxref_OPERATION_FORMAT``.
    wanted : (str, str) or None
        Operation and format of `symbol`.
    options : TargetOptions
        How it is run.

    Raises
    ------
    TargetError
        If it cannot be loaded, or has no such functions.
    """
    if not Path(path).is_file() and "/" in path:
        raise TargetError(
            f"no library {escaped(path)!r}: give the path of a shared library, so:./libmx.so:SYMBOL"
        )
    if wanted is not None:
        require_program_op(wanted[0])
    offered = {symbol: wanted} if wanted is not None else _conventional()
    worker = Worker({"how": "so", "path": path, "symbols": list(offered)}, options.timeout)
    found = worker.start()
    if not found:
        worker.close()
        raise TargetError(_nothing_found(path, symbol))
    kernels = [
        Kernel(*claim, partial(worker.request, {"symbol": each, "op": claim[0]}))
        for each, claim in offered.items()
        if each in found and claim is not None
    ]
    return Target(name, escaped(name.partition(":")[2], 100), tuple(kernels), worker.close)


def _conventional() -> dict[str, tuple[str, str] | None]:
    from mxref.formats import BLOCK_FORMATS, ELEMENT_FORMATS, SCALE_FORMATS

    scalars = [*ELEMENT_FORMATS, *SCALE_FORMATS]
    return {
        f"mxref_{op}_{fmt}": (op, fmt)
        for op in SIGNATURES
        for fmt in (scalars if op in ("encode", "decode") else BLOCK_FORMATS)
    }


def _nothing_found(path: str, symbol: str) -> str:
    shown = escaped(path, 100)
    if symbol:
        return (
            f"{shown} has no symbol {escaped(symbol, 100)!r}: `nm -D {shown}` lists what it has; "
            'C++ needs extern "C"'
        )
    return (
        f"{shown} has no function named as mxref looks for, such as mxref_quantize_mxfp4: name one "
        f"of its own with so:{shown}:SYMBOL"
    )
