"""The self-test of ``mxref doctor``: whether this machine computes what the definition says.

A few hundred fixed inputs a format go through the kernels and through ``mxref.exact``, which share
nothing; then once more with subnormals switched off, which must change no bit. It is a test of the
machine, its compiler and its installation; ``make test`` is the test of mxref.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mxref.cli._doctor_float import flushing

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Outcome", "ready_kernels", "self_test"]

_N = 512  # inputs a format: the definition takes 20 microseconds for each
_MATRIX = (4, 64, 4)  # rows, reduction, columns
_MANY = 1 << 17  # enough for several threads


@dataclass(frozen=True, slots=True)
class Outcome:
    """One line of the self-test."""

    name: str
    result: str
    """``pass``, ``fail`` or ``skip``."""
    detail: str
    seconds: float
    compiled: int
    """How many kernels it had to compile, as far as the cache on disk tells."""

    def as_dict(self) -> dict[str, Any]:
        """Return what ``--json`` prints."""
        return {
            "name": self.name,
            "result": self.result,
            "detail": self.detail,
            "seconds": round(self.seconds, 3),
            "compiled": self.compiled,
        }


class _Skipped(Exception):  # noqa: N818  # no error
    """Says why an item cannot be tried here."""


def ready_kernels() -> int:
    """Count the compiled kernels on disk; none are ready before the first conversion ever."""
    from mxref.kernels._jit import cache_directory

    folder = cache_directory()
    return len(list(folder.glob("*.nbi"))) if folder.is_dir() else 0


def _ready() -> int:
    """As `ready_kernels`, 0 where Numba does not load: the item says that."""
    try:
        return ready_kernels()
    except Exception:  # noqa: BLE001
        return 0


def self_test(budget: float) -> Iterator[Outcome]:
    """Try each item, as long as there is time: one that is begun is finished.

    Parameters
    ----------
    budget : float
        Seconds after which no further item is begun.

    Yields
    ------
    Outcome
        In the order of `_items`; nothing an item does wrong is raised.
    """
    begin = time.monotonic()
    broken = False
    for name, item in _items():
        if broken:
            return  # without kernels every other item would say the same
        start = time.monotonic()
        if start - begin >= budget:
            why = f"{budget:g} s were over before its turn; run it again, the cache is filling"
            yield Outcome(name, "skip", why, 0.0, 0)
            continue
        ready = _ready()
        try:
            result, detail = "pass", item()
        except _Skipped as reason:
            result, detail = "skip", str(reason)
        except Exception as error:  # noqa: BLE001  # whatever it is, the report must say it
            what = str(error) if isinstance(error, AssertionError) else _named(error)
            result, detail = "fail", what
            broken = name == "kernels"
        compiled = max(_ready() - ready, 0)
        yield Outcome(name, result, detail, time.monotonic() - start, compiled)


def _named(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())


def _items() -> Iterator[tuple[str, Callable[[], str]]]:
    """What takes longest to compile comes last."""
    yield "kernels", _kernels
    yield "vector files", _core_vectors
    yield "decode", _decode
    yield "encode", _encode
    yield "quantize", _quantize
    yield "dequantize", _dequantize
    yield "threads", _threads
    yield "relatives", _relatives
    yield "matmul", _matmul
    yield "under FTZ", _under_ftz


# --- inputs and comparison -------------------------------------------------------------------


def _inputs(seed: int = 0) -> NDArray[np.float32]:
    """Any bits of float32, after the numbers at which implementations differ."""
    import numpy as np

    rng = np.random.default_rng(seed)
    near = (rng.integers(-64, 65, _N // 2) / 8).astype(np.float32)  # ties and exact values
    any_bits = rng.integers(0, 1 << 32, _N // 2, np.uint32)
    any_bits[:8] = (0, 1 << 31, 1, 0x7F_FFFF, 0x7F80_0000, 0xFF80_0000, 0x7FC0_0000, 0x7F7F_FFFF)
    return np.concatenate([near, any_bits.view(np.float32)])


def _finite(seed: int, size: int) -> NDArray[np.float32]:
    """Numbers around 1, and a block of float32 subnormals, which FTZ would lose."""
    import numpy as np

    rng = np.random.default_rng(seed)
    x = rng.standard_normal(size).astype(np.float32)
    x[:32] *= np.float32(2.0**-20)
    x[32:64] = rng.integers(1, 1 << 22, 32, np.uint32).view(np.float32)
    return x


def _same(what: str, x: Any, got: Any, wanted: Any) -> None:
    """Stop at the first difference, with what it takes to repeat it."""
    import numpy as np

    got, wanted = np.asarray(got).ravel(), np.asarray(wanted, np.asarray(got).dtype).ravel()
    wrong = np.flatnonzero(got != wanted)
    if wrong.size:
        i = wrong[0]
        given = f" of {int(np.ravel(x)[i]):#x}" if x is not None else ""
        raise AssertionError(
            f"{what}: {wrong.size} of {got.size} differ from the definition, first at {i}"
            f"{given}: got {int(got[i]):#x}, expected {int(wanted[i]):#x}"
        )


def _numbers(x: NDArray[np.float32]) -> list[Any]:
    import numpy as np

    from mxref.exact import ieee

    return [ieee.from_bits(int(bits), "float32") for bits in x.view(np.uint32)]


# --- items -----------------------------------------------------------------------------------


def _kernels() -> str:
    """Whether they can be imported; what is wrong with Numba or NumPy ends here."""
    import mxref.arrays

    return f"loaded by {mxref.arrays.__name__}"


def _decode() -> str:
    import numpy as np

    import mxref
    from mxref.exact import element, ieee
    from mxref.formats import ELEMENT_FORMATS

    for name, fmt in ELEMENT_FORMATS.items():
        codes = np.arange(1 << fmt.bits, dtype=np.uint8)
        wanted = [ieee.to_bits(element.decode(int(code), name), "float32") for code in codes]
        _same(f"decode {name}", codes, mxref.decode(codes, name).view(np.uint32), wanted)
    return f"every code of {len(ELEMENT_FORMATS)} formats"


def _encode() -> str:
    import numpy as np

    import mxref
    from mxref.exact import element
    from mxref.formats import ELEMENT_FORMATS

    x = _inputs()
    numbers = _numbers(x)
    for name in ELEMENT_FORMATS:
        wanted = [element.encode(number, name) for number in numbers]
        _same(f"encode {name}", x.view(np.uint32), mxref.encode(x, name), wanted)
    return f"{_N} inputs to each of {len(ELEMENT_FORMATS)} formats"


def _quantize() -> str:
    import numpy as np

    import mxref
    from mxref.exact import block
    from mxref.formats import BLOCK_FORMATS

    x = np.concatenate([_finite(1, _N), _inputs(1)])
    numbers = _numbers(x)
    for name in BLOCK_FORMATS:
        q = mxref.quantize(x, name)
        blocks = [block.quantize(numbers[i : i + 32], name) for i in range(0, x.size, 32)]
        _same(f"scales of {name}", None, q.scales, [scale for scale, _ in blocks])
        wanted = [code for _, codes in blocks for code in codes]
        _same(f"codes of {name}", x.view(np.uint32), q.codes, wanted)
    return f"{x.size // 32} blocks to each of {len(BLOCK_FORMATS)} formats"


def _dequantize() -> str:
    import numpy as np

    import mxref
    from mxref.exact import block, ieee
    from mxref.formats import BLOCK_FORMATS

    rng = np.random.default_rng(2)
    scales = np.array([0, 1, 2, 100, 127, 150, 253, 254], np.uint8)
    for name, fmt in BLOCK_FORMATS.items():
        codes = rng.integers(0, 1 << fmt.element.bits, 32 * scales.size, np.uint16)
        codes = codes.astype(np.uint8)
        wanted = [
            ieee.to_bits(number, "float32")
            for i, scale in enumerate(scales)
            for number in block.dequantize(
                int(scale), [int(code) for code in codes[32 * i : 32 * i + 32]], name
            )
        ]
        got = mxref.dequantize(codes, scales, name).view(np.uint32)
        _same(f"values of {name}", codes, got, wanted)
    return f"{scales.size} blocks of each of {len(BLOCK_FORMATS)} formats"


def _matmul() -> str:
    import numpy as np

    import mxref
    from mxref.exact import dot, ieee

    rows, depth, columns = _MATRIX
    pairs = (("mxfp4", "mxfp4"), ("mxfp8_e4m3", "mxfp6_e2m3"), ("mxint8", "mxint8"))
    for left, right in pairs:
        a = mxref.quantize(_finite(3, rows * depth).reshape(rows, depth), left)
        b = mxref.quantize(_finite(4, depth * columns).reshape(columns, depth).T, right, axis=0)
        wanted = [
            ieee.to_bits(
                dot.dot_general(
                    _blocks(a.codes[i], a.scales[i]),
                    left,
                    _blocks(b.codes[:, j], b.scales[:, j]),
                    right,
                ),
                "float32",
            )
            for i in range(rows)
            for j in range(columns)
        ]
        got = mxref.matmul(a, b).view(np.uint32)
        _same(f"{left} times {right}", None, got, wanted)
    return f"{len(pairs)} products of {rows}x{depth}x{columns}, the sums exact"


def _blocks(codes: NDArray[Any], scales: NDArray[Any]) -> list[tuple[int, list[int]]]:
    listed = codes.tolist()
    return [(scale, listed[32 * i : 32 * i + 32]) for i, scale in enumerate(scales.tolist())]


def _relatives() -> str:
    import numpy as np

    import mxref
    from mxref.exact import bdr, nvfp4
    from mxref.exact.nvfp4_arithmetic import real

    x = _finite(5, 128)
    numbers = _numbers(x)
    q = mxref.quantize(x, "nvfp4")
    found = nvfp4.global_scales(real(_fraction(np.abs(x).max())))
    blocks = [nvfp4.quantize_block(numbers[i : i + 16], found) for i in range(0, x.size, 16)]
    _same("scales of nvfp4", None, q.scales, [b.scale for b in blocks])
    _same("codes of nvfp4", x.view(np.uint32), q.codes, [c for b in blocks for c in b.codes])
    made = mxref.quantize(x, "mx9")
    exact = [bdr.quantize(numbers[i : i + 16], "mx9") for i in range(0, x.size, 16)]
    _same("scales of mx9", None, made.scales, [scale for scale, _, _ in exact])
    wanted = [shift for _, shifts, _ in exact for shift in shifts]
    _same("sub-scales of mx9", None, made.subscales, wanted)
    wanted = [code for _, _, codes in exact for code in codes]
    _same("codes of mx9", x.view(np.uint32), made.codes, wanted)
    return "8 blocks each to nvfp4 and mx9"


def _fraction(number: Any) -> Any:
    from fractions import Fraction

    return Fraction(float(number))


def _threads() -> str:
    """Whether many elements at once, on several threads, give the bits of few."""
    import numpy as np

    import mxref
    from mxref.kernels import _jit

    numba: Any = _jit.numba  # type: ignore[attr-defined]
    if numba.get_num_threads() == 1:
        raise _Skipped("this process has one thread")
    x = np.random.default_rng(6).integers(0, 1 << 32, _MANY, np.uint32)
    x = x.view(np.float32)
    parts = [mxref.encode(part, "e4m3") for part in np.split(x, 8)]
    _same("encode e4m3", x.view(np.uint32), mxref.encode(x, "e4m3"), np.concatenate(parts))
    try:
        layer = numba.threading_layer()
    except ValueError:  # no parallel region was opened
        return f"{_MANY} inputs, no threading layer in use"
    return f"{_MANY} inputs on {numba.get_num_threads()} threads, layer {layer}"


def _under_ftz() -> str:
    with flushing() as is_on:
        if not is_on:
            raise _Skipped("how to switch subnormals off is known for Linux on x86-64 and ARM")
        for item in (_decode, _encode, _quantize, _dequantize, _matmul):
            item()
    return "decode to matmul again, subnormals switched off: no bit may change"


def _core_vectors() -> str:
    """Whether the vectors on disk are those that were shipped."""
    import hashlib
    import json

    from mxref.vectors import core_directory

    folder = core_directory()
    files = json.loads((folder / "manifest.json").read_bytes())["files"]
    for name, facts in files.items():
        digest = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        assert digest == facts["sha256"], f"{name} is not what the manifest says: reinstall mxref"  # noqa: S101  # becomes this item's failure
    return f"{len(files)} files as in their manifest"
