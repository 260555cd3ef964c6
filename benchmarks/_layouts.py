"""Packing and unpacking, against copies of the larger side: the codes or the packed bytes."""

from __future__ import annotations

import functools

import numpy as np

from benchmarks._page import GIGA, mark, table
from benchmarks._timing import paired, thread_counts, threads
from mxref.layouts.packings import PACKINGS, pack_codes, unpack_codes
from mxref.layouts.records import RECORDS, pack_records, unpack_records
from mxref.layouts.scale_orders import SCALE_ORDERS, pack_scales, unpack_scales

__all__ = ["packings", "records", "scale_orders"]

HEAD = ["threads", "G codes/s", "of `copyto`", "of `copy()`", "reached"]


def _random(size, bits):
    return np.random.default_rng(1).integers(0, 1 << bits, size, np.uint8)


def _rows(name, count, size, larger, calls, rounds):
    """Rows of one packing: each call into reused memory (or None) and into fresh memory."""
    copied = np.empty_like(larger)
    for what, reused, fresh in calls:
        against_copy = paired(fresh, larger.copy, rounds)
        ratios, seconds = [against_copy.ratio], against_copy.seconds
        if reused:
            against_copyto = paired(reused, lambda: np.copyto(copied, larger), rounds)
            ratios, seconds = [against_copyto.ratio, *ratios], against_copyto.seconds
        yield [
            f"{what} {name}",
            str(count),
            f"{size / seconds / GIGA:.2f}",
            f"{ratios[0]:.2f}" if reused else "-",
            f"{ratios[-1]:.2f}",
            # What is to be reached is stated for the larger number of threads.
            mark(min(ratios)) if count == thread_counts()[0] else "-",
        ]


def packings(size, rounds):
    """Yield the table of element packings; codes are checked for their range on the way."""
    rows = []
    for name, packing in PACKINGS.items():
        codes = _random(size, packing.bits)
        packed = pack_codes(codes, packing)
        unpacked = np.empty_like(codes)
        larger = max(codes, packed, key=len)
        calls = [
            (
                "pack",
                functools.partial(pack_codes, codes, packing, out=packed),
                functools.partial(pack_codes, codes, packing),
            ),
            (
                "unpack",
                functools.partial(unpack_codes, packed, packing, size, out=unpacked),
                functools.partial(unpack_codes, packed, packing, size),
            ),
        ]
        for count in thread_counts():
            with threads(count):
                rows += _rows(name, count, size, larger, calls, rounds)
    yield from table(["operation", *HEAD], rows)


def records(size, rounds):
    """Yield the table of records of scale codes and element codes."""
    rows = []
    for name, record in RECORDS.items():
        codes, scales = _random(size, record.bits), _random(size // record.block_size, 8)
        micro = _random(size // 2, 1) if record.micro_starts else None
        packed = pack_records(scales, codes, record, micro)
        calls = [
            (
                "pack",
                functools.partial(pack_records, scales, codes, record, micro, out=packed),
                functools.partial(pack_records, scales, codes, record, micro),
            ),
            ("unpack", None, functools.partial(unpack_records, packed, record)),
        ]
        for count in thread_counts():
            with threads(count):
                rows += _rows(name, count, size, max(codes, packed, key=len), calls, rounds)
    yield from table(["operation", *HEAD], rows)


def scale_orders(size, rounds):
    """Yield the table of orders of scale codes: square planes of about `size` bytes."""
    side = int(size**0.5)
    scales, back = _random((side, side), 8), np.empty((side, side), np.uint8)
    rows = []
    for name in SCALE_ORDERS:
        packed = pack_scales(scales, name)
        calls = [
            (
                "pack",
                functools.partial(pack_scales, scales, name, out=packed),
                functools.partial(pack_scales, scales, name),
            ),
            (
                "unpack",
                functools.partial(unpack_scales, packed, name, scales.shape, out=back),
                functools.partial(unpack_scales, packed, name, scales.shape),
            ),
        ]
        for count in thread_counts():
            with threads(count):
                rows += _rows(
                    name, count, scales.size, max(scales, packed, key=np.size), calls, rounds
                )
    yield from table(["operation", *HEAD], rows)
