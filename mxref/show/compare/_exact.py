"""A few numbers in any format by the definitions: for so few, no kernel is worth compiling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from mxref import _choices as choice
from mxref._inputs import SOURCE_OF
from mxref.exact import bdr, block, ieee, nvfp4
from mxref.exact import element as exact_element
from mxref.exact import scale as exact_scale
from mxref.exact.bdr_elements import decode as decode_bdr
from mxref.exact.number import Number, NumberClass
from mxref.exact.nvfp4_arithmetic import fl
from mxref.formats import BlockFormat
from mxref.policy import Policy
from mxref.quality._candidates import Candidate
from mxref.quality._formats import AnyFormat
from mxref.relatives import nvfp4_choices
from mxref.relatives.bdr_format import BDRFormat
from mxref.relatives.bdr_policy import BDRPolicy
from mxref.relatives.nvfp4_format import NVFP4
from mxref.relatives.nvfp4_policy import NVFP4Policy

__all__ = ["Made", "is_top", "made", "scale_value"]

_F = "float32"


@dataclass(frozen=True, slots=True)
class Made:
    """What became of the numbers; equal if all bits are.

    Attributes
    ----------
    codes : tuple of int
        Of each number.
    scales : tuple of int
        Of each block: scale codes, or bits of float32 scales.
    subscales : tuple of int
        BDR formats' second scales, of whole blocks.
    global_scale : int or None
        Bits of NVFP4's float32 multiplier.
    bits : tuple of int
        What the codes are worth, as bits of float32.
    """

    codes: tuple[int, ...]
    scales: tuple[int, ...]
    subscales: tuple[int, ...]
    global_scale: int | None
    bits: tuple[int, ...]


def made(x: NDArray[Any], candidate: Candidate) -> Made:
    """Quantize a vector as `Candidate.quantize` does, and decode it, number by number.

    Raises
    ------
    TypeError, ValueError
        If the policy refuses a number, or float64.

    Examples
    --------
    >>> from mxref.quality._candidates import candidates
    >>> (floor,) = candidates(["mxfp4"], ["floor"])
    >>> import numpy as np
    >>> found = made(np.array([1.0, 8.0]), floor)
    >>> found.codes, found.scales, [hex(word) for word in found.bits]
    ((1, 6), (128,), ['0x3f800000', '0x41000000'])
    """
    source = SOURCE_OF[x.dtype]
    words = x.view(f"u{x.dtype.itemsize}").tolist()
    numbers = [ieee.from_bits(word, source) for word in words]
    fmt, policy = candidate.format, candidate.policy
    if isinstance(fmt, BlockFormat) and isinstance(policy, Policy):
        return _mx(numbers, fmt, policy, source)
    if isinstance(fmt, BDRFormat) and isinstance(policy, BDRPolicy):
        return _bdr(numbers, fmt, policy, source)
    assert isinstance(policy, NVFP4Policy)  # noqa: S101  # a format's policy is of its family
    return _nvfp4(numbers, policy, source)


def _cut(numbers: Sequence[Number], size: int | None) -> list[Sequence[Number]]:
    """Cut numbers into blocks; the last may be short."""
    size = len(numbers) if size is None else size
    return [numbers[i : i + size] for i in range(0, len(numbers), size)]


def _mx(numbers: list[Number], fmt: BlockFormat, policy: Policy, source: str) -> Made:
    policy = policy.replace(block_tail=choice.BlockTail.ZERO_PAD)
    codes: list[int] = []
    scales: list[int] = []
    bits: list[int] = []
    for part in _cut(numbers, fmt.block_size):
        scale, of_part = block.quantize(part, fmt, policy, source=source)
        scales.append(scale)
        codes += of_part
        values = block.dequantize(scale, of_part, fmt, policy)
        bits += [ieee.to_bits(value, _F, policy) for value in values]
    return Made(tuple(codes), tuple(scales), (), None, tuple(bits))


def _bdr(numbers: list[Number], fmt: BDRFormat, policy: BDRPolicy, source: str) -> Made:
    codes: list[int] = []
    scales: list[int] = []
    shared: list[int] = []
    bits: list[int] = []
    for part in _cut(numbers, fmt.k1):
        scale, subscales, of_part = bdr.quantize(part, fmt, policy, source=source)
        scales.append(scale)
        shared += subscales
        codes += of_part
        values = bdr.dequantize(scale, subscales, of_part, fmt)
        bits += [ieee.to_bits(value, _F) for value in values]
    return Made(tuple(codes), tuple(scales), tuple(shared), None, tuple(bits))


def _nvfp4(numbers: list[Number], policy: NVFP4Policy, source: str) -> Made:
    if source == "float64" and policy.float64 is nvfp4_choices.Float64.REFUSE:
        raise TypeError(
            "x has dtype float64, and the policy has float64=refuse: NVFP4 is made from float32, "
            "bfloat16 or float16; convert it first, for example with .astype(np.float32)"
        )
    numbers = [fl(number) for number in numbers]
    of = nvfp4.global_scales(nvfp4.block_amax(numbers, policy), policy)
    blocks = [
        nvfp4.quantize_block([*part, *_zeros(NVFP4.block_size - len(part))], of, policy)
        for part in _cut(numbers, NVFP4.block_size)
    ]
    codes = [code for found in blocks for code in found.codes][: len(numbers)]
    bits = [
        ieee.to_bits(nvfp4.value(code, blocks[i // NVFP4.block_size].scale, of.decode, policy), _F)
        for i, code in enumerate(codes)
    ]
    scales = tuple(found.scale for found in blocks)
    return Made(tuple(codes), scales, (), ieee.to_bits(of.decode, _F), tuple(bits))


def _zeros(count: int) -> list[Number]:
    return [Number.zero(0)] * count


def scale_value(scale: int, fmt: AnyFormat) -> float:
    """Return what a scale of `Made` stands for.

    Examples
    --------
    >>> from mxref.quality._formats import any_format
    >>> [scale_value(0x7E, any_format(name)) for name in ("mxfp4", "nvfp4", "mx9")]
    [0.5, 448.0, 0.5]
    """
    if isinstance(fmt, BlockFormat):
        number = exact_scale.decode(scale, fmt.scale)
    elif isinstance(fmt, BDRFormat):
        number = bdr.decode_scale(scale, fmt)
    else:
        number = nvfp4.decode_scale(scale & 0x7F)  # UE4M3 has no sign
    if number.cls is NumberClass.FINITE:
        return float(number.value)
    return float(str(number))


def is_top(code: int, fmt: AnyFormat) -> bool:
    """Whether a code is the largest of its sign that a number may be clamped to.

    Examples
    --------
    >>> from mxref.quality._formats import any_format
    >>> [is_top(code, any_format("mxfp4")) for code in (0x6, 0x7, 0xF)]
    [False, True, True]
    """
    if isinstance(fmt, BDRFormat):
        number = decode_bdr(code, fmt)
        largest = fmt.largest if fmt.float_element else fmt.largest / fmt.step  # M, an integer
    else:
        number, largest = exact_element.decode(code, fmt.element), fmt.element.max
    return number.cls is NumberClass.FINITE and number.magnitude >= largest
