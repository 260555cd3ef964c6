"""What a replay is, and the sound parts that every replay is built from.

A replay is one public defect, written anew from its report. Whatever the report does not speak of
is done right, by the two or three functions here, so that the reported mistake is all that is
wrong. They know nothing of `mxref`: tables of values, nearest entry, ties to the even code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any

import numpy as np

K = 32
NAN_SCALE = 0xFF
GITHUB = "https://github.com/"


@dataclass(frozen=True)
class Type:
    """An element type as a kernel's author keeps it in a small struct."""

    name: str
    block: str
    ebits: int
    mbits: int
    bias: int
    emax: int
    max: float
    top: int  # code of the largest finite number

    @property
    def emin(self):
        return 1 - self.bias

    @property
    def sign(self):
        return 1 << (self.ebits + self.mbits)


E4M3 = Type("e4m3", "mxfp8_e4m3", 4, 3, 7, 8, 448.0, 0x7E)
E5M2 = Type("e5m2", "mxfp8_e5m2", 5, 2, 15, 15, 57344.0, 0x7B)
E3M2 = Type("e3m2", "mxfp6_e3m2", 3, 2, 3, 4, 28.0, 0x1F)
E2M3 = Type("e2m3", "mxfp6_e2m3", 2, 3, 1, 2, 7.5, 0x1F)
E2M1 = Type("e2m1", "mxfp4", 2, 1, 1, 2, 6.0, 0x7)
TYPES = {name: t for t in (E4M3, E5M2, E3M2, E2M3, E2M1) for name in (t.name, t.block)}


@dataclass(frozen=True, kw_only=True)
class Replay:
    """One public defect.

    Attributes
    ----------
    key : str
        Where it stands in the survey of defects that the catalogue rests on; else its source.
    project, url : str
    mistake : str
        What the code did, in one sentence.
    op : str
        Operation of `mxref.check.kernel`, or ``"stochastic"`` for that check.
    formats : tuple of str
    fn : callable
        ``fn(type, *inputs)`` as the faulty code computed; the type is None for E8M0 and INT8.
    names : tuple of str
        What the check has to name, all of it, with nothing left over.
    reported : callable
        Gives (what, computed here, said in the report): it must reproduce the report.
    legal : bool
        Whether all of it is a choice that some policy allows.
    driven : bool
        Whether the kernel can be driven; else the arrays of `given` are judged.
    given : callable, optional
        ``given(type)`` gives inputs on which the defect shows, for a check of given arrays.
    options : Mapping
        What the check has to know: how a tensor is declared to lie, how long a row is.
    policy : str, optional
        What the code claimed to do, if it is not what is expected of everybody.
    note : str
        Why it goes by another name than in the survey, or what the report leaves open.
    """

    key: str
    project: str
    url: str
    mistake: str
    op: str
    formats: tuple[str, ...]
    fn: Callable[..., Any]
    names: tuple[str, ...]
    reported: Callable[[], Iterable[tuple[str, Any, Any]]]
    legal: bool = False
    driven: bool = True
    given: Callable[..., tuple[Any, ...]] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    policy: str | None = None
    note: str = ""

    def kernel(self, fmt):
        """Return the faulty kernel for one format."""
        return partial(self.fn, TYPES.get(fmt))


# --- numbers and bits ----------------------------------------------------------------------------


def f32(*values):
    return np.array(values, np.float32)


def bits_of(x):
    """Bits of float32, as int64: no step of an algorithm below wraps by accident."""
    return np.ascontiguousarray(x, np.float32).view(np.uint32).astype(np.int64)


def from_bits(bits):
    return np.asarray(bits).astype(np.uint32).view(np.float32)


def hexes(codes):
    return [f"{int(c):#x}" for c in np.ravel(codes)]


# --- sound elements ------------------------------------------------------------------------------


@cache
def magnitudes(t):
    """Values of the codes from 0 to the largest finite one, in order."""
    code = np.arange(t.top + 1)
    field, man = code >> t.mbits, (code & ((1 << t.mbits) - 1)) / (1 << t.mbits)
    return np.ldexp(np.where(field > 0, 1 + man, man), np.maximum(field, 1) - t.bias)


@cache
def value_table(t):
    """Value of every code."""
    table = np.full(2 * t.sign, np.nan, np.float32)
    table[: t.top + 1] = magnitudes(t)
    if t is E5M2:
        table[0x7C] = np.inf
    table[t.sign :] = -table[: t.sign]
    return table


def nearest(t, v):
    """Codes of the nearest values, ties to the even code, saturating; NaN counts as zero."""
    a, grid = np.abs(np.nan_to_num(v, posinf=np.inf, neginf=-np.inf)), magnitudes(t)
    middle = (grid[1:] + grid[:-1]) / 2
    below, above = np.searchsorted(middle, a, "left"), np.searchsorted(middle, a, "right")
    code = np.where(below % 2 == 0, below, above)
    return with_sign(t, code, v)


def with_sign(t, code, v):
    return np.where(np.signbit(v), code + t.sign, code).astype(np.uint8)


def with_nan(t, code, x):
    """NaN as the format has it; a format without NaN gets its largest number."""
    nan = 0x7F if t in (E4M3, E5M2) else t.top
    return np.where(np.isnan(x), nan, code).astype(np.uint8)


# --- sound blocks --------------------------------------------------------------------------------


def block_amax(x):
    return np.max(np.abs(x), axis=-1, keepdims=True)


def floor_log2(x):
    return np.frexp(x)[1].astype(np.int64) - 1


def scale_byte(exponent, amax):
    """Biased and clamped; a block of zeros gets the least scale, NaN and infinity get NaN."""
    byte = np.clip(exponent + 127, 0, 254)
    byte = np.where(amax == 0, 0, byte)
    return np.where(np.isfinite(amax), byte, NAN_SCALE).astype(np.uint8)


def ocp_scale(t, amax):
    return scale_byte(floor_log2(amax) - t.emax, amax)


def under(x, scales):
    """x divided by its scale, exact in double precision; zeros under a NaN scale."""
    with np.errstate(invalid="ignore"):  # a signalling NaN on its way to double precision
        finite = np.where(scales == NAN_SCALE, 0.0, x.astype(np.float64))
    return np.ldexp(finite, 127 - scales.astype(np.int64))


def quantizer(rule):
    """A quantizer that is right but for its scale: `rule(type, amax)` gives the scale codes."""

    def quantize(t, x):
        scales = rule(t, block_amax(x))
        v = under(x, scales)
        return with_nan(t, nearest(t, v), v), scales

    return quantize


def encoding(encode):
    """A quantizer with the right scale whose elements `encode(type, v)` makes."""

    def quantize(t, x):
        scales = ocp_scale(t, block_amax(x))
        return encode(t, under(x, scales)), scales

    return quantize


def scale_value(scales):
    value = np.ldexp(1.0, scales.astype(np.int64) - 127)
    return np.where(scales == NAN_SCALE, np.nan, value)


def products(elements, scales):
    """Elements times scales in double precision, then one rounding to float32."""
    with np.errstate(all="ignore"):
        return (elements.astype(np.float64) * scales).astype(np.float32)


def one_block(*values):
    """Make a block (1, 32) that begins with the values; zeros follow."""
    block = np.zeros((1, K), np.float32)
    block[0, : len(values)] = values
    return block
