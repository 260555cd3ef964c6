"""Strategies shared by the twin tests: bit patterns, policies and blocks that reach the corners."""

from __future__ import annotations

from dataclasses import fields

import ml_dtypes
import numpy as np
from hypothesis import strategies as st

from mxref.policy import Policy

DTYPES = {
    "float32": (np.dtype(np.float32), np.dtype(np.uint32), 8, 23),
    "float64": (np.dtype(np.float64), np.dtype(np.uint64), 11, 52),
    "float16": (np.dtype(np.float16), np.dtype(np.uint16), 5, 10),
    "bfloat16": (np.dtype(ml_dtypes.bfloat16), np.dtype(np.uint16), 8, 7),
}

# Draws and searches, and what compiles a kernel of its own, have tests of their own in
# test_twins_policies.py; so has "raise".
_ELSEWHERE = {
    "scale_rule": {"stochastic", "mse", "mae"},
    "rounding": {"stochastic-a", "stochastic-b", "stochastic-c"},
    "neg_zero": {"drop-input"},
    "relu": {"on"},
    "input_subnormal": {"flush"},
    "element_subnormal": {"flush"},
    "scaled_intermediate": {"float32", "bfloat16", "float16"},
}
_CHOICES = {
    f.name: [
        str(member)
        for member in type(f.default)
        if str(member) not in {"raise"} | _ELSEWHERE.get(f.name, set())
    ]
    for f in fields(Policy)
}


def policies(**only):
    """Any combination of choices; `only` narrows a field (each rounding compiles a kernel)."""
    return st.fixed_dictionaries(
        {name: st.sampled_from(choices) for name, choices in {**_CHOICES, **only}.items()}
    ).map(lambda chosen: Policy(**chosen))


def _pattern(sign, exponent, mantissa, exponent_bits, mantissa_bits):
    return (((sign << exponent_bits) | exponent) << mantissa_bits) | mantissa


def patterns(source, near=None):
    """Bit patterns with short, long and one-hot mantissas; `near` narrows the exponent field."""
    _, _, exponent_bits, mantissa_bits = DTYPES[source]
    top = (1 << exponent_bits) - 1
    exponents = st.integers(0, top)
    if near is not None:
        exponents = st.integers(max(0, near - 12), min(top, near + 2)) | exponents
    one = 1 << mantissa_bits
    mantissas = (
        st.integers(0, one - 1)
        | st.integers(0, mantissa_bits - 1).map(lambda i: 1 << i)
        | st.integers(0, 15).map(lambda i: (i << (mantissa_bits - 4)) % one)
        | st.integers(0, 15).map(lambda i: ((i << (mantissa_bits - 4)) - 1) % one)
        | st.integers(0, 15).map(lambda i: ((i << (mantissa_bits - 4)) + 1) % one)
        | st.sampled_from([0, one - 1])
    )
    return st.builds(
        _pattern,
        st.integers(0, 1),
        exponents,
        mantissas,
        st.just(exponent_bits),
        st.just(mantissa_bits),
    )


@st.composite
def blocks(draw, source, size):
    """One block: members near a common exponent, some zeros, now and then a special."""
    _, _, exponent_bits, mantissa_bits = DTYPES[source]
    top = (1 << exponent_bits) - 1
    near = draw(st.integers(0, top - 1) | st.sampled_from([0, 1, 2, 127, 128, top - 1]))
    near = min(near, top - 1)
    finite = patterns(source, near)
    zeros = st.sampled_from([0, 1 << (exponent_bits + mantissa_bits)])
    special = st.sampled_from(
        [
            _pattern(sign, top, mantissa, exponent_bits, mantissa_bits)
            for sign in (0, 1)
            for mantissa in (0, 1, 1 << (mantissa_bits - 1), (1 << mantissa_bits) - 1)
        ]
    )
    kind = draw(st.integers(0, 9))
    member = zeros if kind == 0 else finite | special if kind == 1 else finite | zeros
    return draw(st.lists(member, min_size=size, max_size=size))


def as_array(bits, source):
    """Bit patterns as an array of the input type."""
    dtype, storage, _, _ = DTYPES[source]
    return np.array(bits, storage).view(dtype)
