"""Accumulators that are specified rather than reverse-engineered.

* ``riscv-rvbna``: the RISC-V bulk normalisation algorithm, over sets of four products (FP8 to
  float32), each set's float32 result added to the accumulator; -n8, -n16 and -n32 are larger sets.
  The manual leaves the size of a set, and the order of adding them, to the implementation. It knows
  no block scales: here both scales go into the reference exponent of each product, which with scale
  codes of 127 is the manual's own algorithm. An INT8 element counts as a significand of exponent 0.
  Where the manual's functional description contradicts its prose, the prose is followed: the last
  rounding is to odd (the description's mask never sees a lost bit, so that it would truncate), and
  a result below the normal range is first denormalised and then rounded.
* ``x86-ace``: the block-scaled outer products of ACE, four products at a time: their exact sum
  times both scales is rounded to float32, and added in float32. Subnormals are zeros in the addend
  and in each result. **Elements that are NaN or infinite are read as numbers** (E4M3 0x7F as 480,
  E5M2 0x7C as 65536): the specification's pseudocode has no case for them; a scale of NaN makes a
  NaN. There are instructions for E4M3, E5M2 (mixed or not) and INT8 pairs; FP6 and FP4 are widened
  to FP8 first, which is exact.
* ``p3109-block-dot``: BlockDotProduct of IEEE P3109, exact for each block and projected once to
  binary32 (nearest even, SatNone); the blocks, and the addend, are added one after the other with
  its Add, which is projected likewise. Every zero is +0.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mxref.formats import BlockFormat, ElementFormat, Kind
from mxref.matmul._accumulator import Accumulator
from mxref.matmul._operands import Operands
from mxref.matmul._panels import INFINITE, Side, Table, element_integers, has_infinity, result_of

__all__ = ["ACCUMULATORS"]

Run = Callable[[Operands], NDArray[np.float32]]

ABSENT = -4096  # the reference exponent of zero: it never leads
SINGLE_DIGITS = 24
ROOM = 60  # bits of a sum in one int64
MAX_BLOCK = 1 << 14  # products that two limbs can sum


def _digits(element: ElementFormat) -> int:
    """How many bits a significand has, the leading one included."""
    return element.mantissa_bits + 1


@functools.cache
def _split_table(element: ElementFormat, *, has_specials: bool, has_scales: bool) -> Table:
    """The significand of each code, not normalised, and its exponent.

    With `has_scales`, the exponent of its leading place, the scale's included, and `ABSENT` for
    zero; without, how many places the significand is shifted from that of the least subnormal.
    """
    significands = np.zeros(256, np.int16)
    shifts = np.zeros(256, np.int16)
    is_absent = np.ones(256, bool)
    integers, _ = element_integers(element)
    for code, integer in enumerate(integers):
        magnitude = code & (element.sign_mask - 1)
        field = 0 if element.kind is Kind.FIXED else magnitude >> element.mantissa_bits
        if has_specials and magnitude in element.nan_magnitudes:
            continue
        if has_specials and magnitude == element.inf_magnitude:
            significands[code] = INFINITE if integer > 0 else -INFINITE
            continue
        is_absent[code] = integer == 0
        shift = max(field, 1) - 1
        significands[code] = integer // (1 << shift)
        shifts[code] = shift
    exponents = np.tile(shifts, (256, 1))
    if has_scales:
        exponents += np.arange(256, dtype=np.int16)[:, None] + np.int16(element.emin - 127)
        exponents[:, is_absent] = ABSENT
        exponents[255] = ABSENT
    every = np.tile(significands, 256)
    if has_scales:
        every[255 << 8 :] = 0
    return Table(every, exponents.ravel(), np.ones(1 << 16, bool))


def _formats(operands: Operands) -> tuple[BlockFormat, BlockFormat]:
    return operands.a_format, operands.b_format


def _bulk(operands: Operands, group: int) -> NDArray[np.float32]:
    guard = (group - 1).bit_length()
    a, b = _formats(operands)
    pad = SINGLE_DIGITS + 1 + guard - _digits(a.element) - _digits(b.element)
    has_inf = has_infinity(operands)

    def step(left: Side, right: Side, acc: NDArray[np.uint32]) -> None:
        from mxref.kernels import sums_specified

        sums_specified.bulk_sums(
            left.fields,
            right.fields,
            acc,
            group,
            pad,
            SINGLE_DIGITS - 1 + guard,
            has_special=has_inf,
            is_paired=operands.is_paired,
        )

    tables = (
        _split_table(a.element, has_specials=True, has_scales=True),
        _split_table(b.element, has_specials=True, has_scales=True),
    )
    return result_of(operands, tables, group, step)


def _exact(operands: Operands, group: int, *, is_ace: bool) -> NDArray[np.float32]:
    a, b = _formats(operands)
    tables = (
        _split_table(a.element, has_specials=not is_ace, has_scales=False),
        _split_table(b.element, has_specials=not is_ace, has_scales=False),
    )
    places = [element_integers(fmt.element)[1] for fmt in (a, b)]
    largest = [max(map(abs, element_integers(fmt.element)[0])) for fmt in (a, b)]
    is_wide = (largest[0] * largest[1] * group).bit_length() > ROOM
    has_inf = not is_ace and has_infinity(operands)

    def step(left: Side, right: Side, acc: NDArray[np.uint32]) -> None:
        from mxref.kernels import sums_specified

        sums_specified.exact_sums(
            left.fields,
            right.fields,
            (left.scales, right.scales),
            acc,
            group,
            operands.block // group,
            sum(places),
            is_wide=is_wide,
            is_flushed=is_ace,
            has_special=has_inf,
            is_paired=operands.is_paired,
        )

    return result_of(operands, tables, group, step, is_element_nan=not is_ace)


def _run_ace(operands: Operands) -> NDArray[np.float32]:
    return _exact(operands, 4, is_ace=True)


def _refuses_ace(operands: Operands) -> str:
    kinds = {fmt.element.kind for fmt in _formats(operands)}
    if len(kinds) > 1:
        return "ACE has no instruction for INT8 with a floating-point format"
    if operands.block % 4:
        return f"ACE scales four products at a time, and blocks of {operands.block} are cut by that"
    return ""


def _run_p3109(operands: Operands) -> NDArray[np.float32]:
    return _exact(operands, operands.block, is_ace=False)


def _refuses_p3109(operands: Operands) -> str:
    if operands.block > MAX_BLOCK:
        return f"the model sums blocks of up to {MAX_BLOCK}, got blocks of {operands.block}"
    return ""


_RVBNA = (
    "RISC-V ISA manual, src/unpriv/rvbna.adoc, commit 1d472b8 (2026-08-21); its use by "
    "Zvfqwdota8f: riscv-misc, isa/ldot-bdot/ldot-bdot.adoc, commit b38069a (2026-01-28)"
)


def _bulk_model(name: str, group: int) -> Accumulator:
    return Accumulator(
        name=name,
        text=f"by RISC-V's bulk normalisation of {group} products, then added, rounding to odd",
        dtype="float32",
        run=lambda operands: _bulk(operands, group),
        source=_RVBNA,
        evidence="written from the text; no implementation was at hand",
    )


ACCUMULATORS: tuple[Accumulator, ...] = (
    _bulk_model("riscv-rvbna", 4),
    _bulk_model("riscv-rvbna-n8", 8),
    _bulk_model("riscv-rvbna-n16", 16),
    _bulk_model("riscv-rvbna-n32", 32),
    Accumulator(
        name="x86-ace",
        text="by x86 ACE: the exact sum of four products, scaled, in float32, then added there",
        dtype="float32",
        run=_run_ace,
        refuses=_refuses_ace,
        source=(
            "x86 ACE specification 1.15, sections 14.1, 14.2 and 16.5, as two emulators render its "
            "pseudocode: Bochs, cpu/avx/amx_top.cc, commit d651ee9, and AndreasKoestler/ace-rs, "
            "src/top.rs, commit c82d975"
        ),
        evidence=(
            "unvalidated: the specification itself was not at hand. Both emulators agree on "
            "rounding to nearest even, on flushing and on NaN scales; the bits of a NaN are those "
            "that Bochs found in Intel's emulator (0x7FC00000)"
        ),
    ),
    Accumulator(
        name="p3109-block-dot",
        text="as P3109's BlockDotProduct, exact in each block, the blocks then added in float32",
        dtype="float32",
        run=_run_p3109,
        refuses=_refuses_p3109,
        source="IEEE P3109 interim report 4.0 (2026-06-28), 5.3.2, 4.7 and 4.8.2",
        evidence="written from the text; the order of adding blocks is a choice made here",
    ),
)
