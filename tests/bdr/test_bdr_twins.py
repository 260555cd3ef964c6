"""The kernels and the definition: equal for any policy, format and input type."""

from dataclasses import fields

import ml_dtypes
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mxref import bdr
from mxref.exact import bdr as exact
from mxref.exact import ieee

SOURCES = {
    "float32": (np.float32, 23, 8),
    "float64": (np.float64, 52, 11),
    "float16": (np.float16, 10, 5),
    "bfloat16": (ml_dtypes.bfloat16, 7, 8),
}
# Blocks that are no power of two, or too long for a vector, run on NumPy arrays: any policy is
# quick to try there. The others are compiled for each rounding.
NUMPY_FORMATS = (
    "mx9:k1=6",
    "mx4:k1=12",
    "bdr:m=3,k1=12,k2=3,d1=4,d2=3",
    "bdr:m=1,k1=6,k2=1,d1=5,d2=5",
    "bdr:m=7,k1=6,element=twos-complement",
    "bdr:m=5,k1=12,k2=6,d2=2,element=twos-complement",
)
SCALED = (
    "scaled_int8:k1=8",
    "scaled_int4:k1=tensor",
    "vsq8:k1=16,k2=4",
    "vsq4:k1=8,k2=8",
    "scaled_fp8_e4m3",
    "scaled_fp8_e5m2",
    "bdr:m=4,k1=8,k2=4,d2=2,scale=float32,d1=32",
    "bdr:m=3,k1=8,k2=1,d2=5,scale=float32,d1=32,element=twos-complement",
    "bdr:m=5,k1=8,scale=float32,d1=32",
)
COMPILED = ("mx9", "mx4", "msfp16", "bdr:m=5,k1=16,k2=4,d2=2", "bfp16")
POLICIES = (
    "bdr-paper",
    "quark-torch",
    "quark-bfpprime-dpu",
    "quark-compiler",
    "bdr-paper:shared_exponent=after-rounding,rounding=nearest-away",
    "bdr-paper:zero_subblock=unshifted,neg_zero=drop,nan=max,inf=clamp,zero_block=one",
    "bdr-paper:shift=off,scale_above=nan-scale,scale_below=flush,inf=zero",
)


@st.composite
def policies(draw):
    names = draw(st.lists(st.sampled_from([f.name for f in fields(bdr.BDRPolicy)]), max_size=6))
    kinds = {f.name: list(type(f.default)) for f in fields(bdr.BDRPolicy)}
    return bdr.BDRPolicy().replace(**{n: str(draw(st.sampled_from(kinds[n]))) for n in names})


def words(rng, source, n):
    """Numbers with neighbouring exponents, ties, zeros and specials; or any bits at all."""
    dtype, mantissa, exponent = SOURCES[source]
    width = 1 + mantissa + exponent
    bits = rng.integers(0, 1 << 62, n).astype(object) * 4 + rng.integers(0, 4, n)
    bits = np.array([int(b) & ((1 << width) - 1) for b in bits], dtype=f"uint{width}")
    if rng.random() < 0.2:
        return bits.view(dtype)
    last = (1 << exponent) - 1
    top = rng.integers(0, last) if rng.random() < 0.5 else last // 2 + rng.integers(-9, 9)
    field = np.clip(top - rng.integers(0, rng.integers(1, 12), n), 0, last - 1)
    if rng.random() < 0.2:
        field[rng.random(n) < 0.1] = last
    keep = rng.integers(0, mantissa + 1)
    part = np.array([int(b) % (1 << mantissa) >> keep << keep for b in bits], object)
    part[rng.random(n) < 0.1] = (1 << mantissa) - 1
    part[rng.random(n) < 0.1] = 0
    sign = rng.integers(0, 2, n)
    made = [
        (int(s) << (width - 1)) | (int(f) << mantissa) | int(p)
        for s, f, p in zip(sign, field, part, strict=True)
    ]
    numbers = np.array(made, dtype=f"uint{width}")
    numbers[rng.random(n) < 0.1] &= np.array(1 << (width - 1), numbers.dtype)
    return numbers.view(dtype)


def agree(fmt, policy, source, seed, short=0):
    """Check arrays of a few blocks along an axis that is drawn."""
    rng = np.random.default_rng(seed)
    k1 = fmt.k1 or 7
    shape = (2, 2 * k1 - short) if seed % 2 else (2 * k1 - short, 2)
    axis = 1 if seed % 2 else 0
    x = words(rng, source, shape[0] * shape[1]).reshape(shape)
    random = None
    if "stochastic" in policy.rounding:
        random = rng.integers(0, 1 << int(policy.stochastic_bits), shape).astype(np.uint32)
    q = bdr.quantize(x, fmt, axis, policy, pad=True, random=random)
    decoded = q.dequantize().view(np.uint32)
    bits = x.view(f"uint{8 * x.itemsize}")
    arrays = [bits, q.codes, decoded, random]
    if fmt.k1 is None:
        lines = [[None if a is None else a.reshape(-1) for a in arrays]]
        shared = [(q.scales.reshape(1), None)]
        k1 = x.size
    else:
        moved = [None if a is None else np.moveaxis(a, axis, -1) for a in arrays]
        lines = [[None if a is None else a[i] for a in moved] for i in range(2)]
        subs = q.subscales
        shared = [
            (
                np.moveaxis(q.scales, axis, -1)[i],
                None if subs is None else np.moveaxis(subs, axis, -1)[i],
            )
            for i in range(2)
        ]
    for (given_bits, codes, values, drawn), (scales, subs) in zip(lines, shared, strict=True):
        scale_bits = scales if scales.dtype == np.uint8 else scales.view(np.uint32)
        for j in range(0, len(given_bits), k1):
            numbers = [ieee.from_bits(int(b), source) for b in given_bits[j : j + k1]]
            R = None if drawn is None else [int(r) for r in drawn[j : j + k1]]
            want = exact.quantize(numbers, fmt, policy, source=source, random=R)
            each = k1 // fmt.k2 if fmt.has_subscales else 0
            first = j // k1 * each
            ours = (
                int(scale_bits[j // k1]),
                () if subs is None else tuple(int(s) for s in subs[first : first + each]),
                tuple(int(c) for c in codes[j : j + k1]),
            )
            assert ours == want
            back = [ieee.to_bits(v, "float32") for v in exact.dequantize(*want, fmt)]
            assert back == [int(v) for v in values[j : j + k1]]


MANY = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
SOME = settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))


@MANY
@given(
    st.sampled_from(NUMPY_FORMATS),
    policies(),
    st.sampled_from(sorted(SOURCES)),
    st.integers(0, 2**32),
    st.integers(0, 2),
)
def test_any_policy_on_arrays(name, policy, source, seed, short):
    agree(bdr.bdr_format(name), policy, source, seed, short)


@pytest.mark.slow
@settings(MANY, max_examples=60)
@given(
    st.sampled_from(SCALED),
    policies(),
    st.sampled_from(sorted(SOURCES)),
    st.integers(0, 2**32),
    st.integers(0, 2),
)
def test_any_policy_with_float32_scales(name, policy, source, seed, short):
    agree(bdr.bdr_format(name), policy, source, seed, short)


@pytest.mark.parametrize("name", SCALED)
@SOME
@given(st.sampled_from(sorted(SOURCES)), st.integers(0, 2**32), st.integers(0, 2))
def test_float32_scales_of_the_default(name, source, seed, short):
    policy = "vs-quant" if name.startswith("vsq4") else "bdr-paper"
    agree(bdr.bdr_format(name), bdr.get_policy(policy), source, seed, short)


@pytest.mark.slow
@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("name", COMPILED)
@SOME
@given(st.sampled_from(sorted(SOURCES)), st.integers(0, 2**32), st.integers(0, 2))
def test_compiled_forms_of_many_policies(name, policy, source, seed, short):
    agree(bdr.bdr_format(name), bdr.get_policy(policy), source, seed, short)


@pytest.mark.parametrize("name", COMPILED)
@SOME
@given(st.integers(0, 2**32), st.integers(0, 2))
def test_compiled_forms_of_the_default(name, seed, short):
    agree(bdr.bdr_format(name), bdr.get_policy(), "float32", seed, short)


@SOME
@given(st.integers(0, 2**32))
def test_compiled_stochastic_rounding(seed):
    agree(bdr.FORMATS["mx6"], bdr.get_policy("bdr-paper:rounding=stochastic-c"), "float32", seed)
