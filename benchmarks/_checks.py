"""Checks: what a passing one costs beside the conversion itself, and how long a name takes."""

from __future__ import annotations

import functools

import numpy as np

import mxref
from benchmarks._conversions import sample
from benchmarks._page import mark, table
from benchmarks._timing import paired, thread_counts, threads
from mxref.formats import BLOCK_FORMATS

__all__ = ["named", "passing", "passing_tensors"]

MUST, AIM = 3.0, 1.5  # times as long as the conversion
NAMED_SIZE, NAMED_MUST = 1 << 20, 5.0  # elements, seconds


def _row(names, check, conversion, rounds):
    assert check().ok
    times = 1 / paired(check, conversion, rounds).ratio
    return [*names, f"{times:.2f}", mark(-times, -MUST, -AIM)]


def passing(size, rounds):
    """Yield the table of passing checks of blocks, in units of quantizing the same array."""
    x = sample(size)
    rows = []
    with threads(thread_counts()[0]):
        for name in BLOCK_FORMATS:
            q = mxref.quantize(x, name)
            check = functools.partial(mxref.check.quantize, x, q.codes, q.scales, name)
            rows.append(
                _row([name], check, functools.partial(mxref.quantize, x, name, out=q), rounds)
            )
    yield from table(["passing `check.quantize`", "times as long", "reached"], rows)


def _swizzled(plane):
    """Scales in tiles of 128 x 4, as cuBLAS has them."""
    rows, columns = plane.shape
    full = np.zeros((-(-rows // 128) * 128, -(-columns // 4) * 4), np.uint8)
    full[:rows, :columns] = plane
    tiles = full.reshape(-1, 4, 32, full.shape[1] // 4, 4)
    return tiles.transpose(0, 3, 2, 1, 4).reshape(-1)


def _stored(x, name):
    """A matrix, what it was converted to, its bytes, and how they are declared."""
    q = mxref.quantize(x, name)
    if name != "mxfp4":
        return q, q.codes, "bytes"
    return q, q.codes[:, ::2] | q.codes[:, 1::2] << 4, "nibbles-low-first"


def _matrix(size):
    return sample(size).reshape(-1, 1 << max(7, size.bit_length() // 2))


def passing_tensors(size, rounds):
    """Yield the table of passing checks of stored tensors, in units of the conversion."""
    x = _matrix(size)
    rows = []
    with threads(thread_counts()[0]):
        for name in ("mxfp8_e4m3", "mxfp4"):
            q, elements, packing = _stored(x, name)
            y = q.dequantize()
            for layout, scales in (("row-major", q.scales), ("128x4", _swizzled(q.scales))):
                declared = {"packing": packing, "scale_layout": layout}
                pairs = (
                    (
                        "check.quantize_tensor",
                        functools.partial(
                            mxref.check.quantize_tensor, x, elements, scales, name, **declared
                        ),
                        functools.partial(mxref.quantize, x, name, out=q),
                    ),
                    (
                        "check.dequantize_tensor",
                        functools.partial(
                            mxref.check.dequantize_tensor, elements, scales, y, name, **declared
                        ),
                        functools.partial(q.dequantize, out=np.empty_like(y)),
                    ),
                )
                for what, check, conversion in pairs:
                    title = f"`{what}` {name}, {packing}, {layout}"
                    rows.append(_row([title], check, conversion, rounds))
    yield from table(["passing, a matrix in bytes", "times as long", "reached"], rows)


def _faulty(x):
    """Yield (what is wrong, its name, the check): one fault each."""
    for name in ("mxfp8_e4m3", "mxfp4"):
        q, elements, packing = _stored(x, name)
        zeros = mxref.quantize(x, name, policy="ocp:rounding=toward-zero")
        late = np.roll(q.scales.reshape(-1), 1).reshape(q.scales.shape)
        blocks = functools.partial(mxref.check.quantize, x, format=name)
        tensor = functools.partial(mxref.check.quantize_tensor, x, format=name, packing=packing)
        yield f"{name}: rounded toward zero", functools.partial(blocks, zeros.codes, q.scales)
        yield f"{name}: scale codes of the block before", functools.partial(blocks, q.codes, late)
        yield (
            f"{name}: a tensor's scales not swizzled",
            functools.partial(tensor, elements, _padded(q.scales), scale_layout="128x4"),
        )


def _padded(plane):
    size = _swizzled(plane).size
    return np.pad(plane.reshape(-1), (0, size - plane.size))


def named(size, rounds):
    """Yield the table of naming one fault, in seconds and in units of quantizing."""
    x = _matrix(min(size, NAMED_SIZE))
    rows = []
    with threads(thread_counts()[0]):
        for what, check in _faulty(x):
            name = what.partition(":")[0]
            q = mxref.quantize(x, name)
            quantize = functools.partial(mxref.quantize, x, name, out=q)
            measured = paired(check, quantize, rounds)
            found = " ".join(f.id for f in check().findings) or "-"
            rows.append(
                [
                    what,
                    found,
                    f"{measured.seconds:.2f}",
                    f"{1 / measured.ratio:.0f}",
                    "must" if measured.seconds <= NAMED_MUST else "**no**",
                ]
            )
    head = [f"one fault in {x.size} elements", "named", "seconds", "times as long as quantizing"]
    yield from table([*head, "reached"], rows)
