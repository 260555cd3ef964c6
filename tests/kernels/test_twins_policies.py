"""Every policy: the kernels against the definition, where a policy compiles kernels of its own."""

import os
import random
import subprocess
import sys
from pathlib import Path

import any_policy
import ml_dtypes
import numpy as np
import pytest
from strategies import as_array

import mxref
from mxref import arrays
from mxref.exact import block as exact_block
from mxref.exact import element as exact_element
from mxref.exact import ieee, random_bits
from mxref.exact import scale as exact_scale
from mxref.formats import ELEMENT_FORMATS, block_format
from mxref.policy import Policy


@pytest.mark.parametrize("seed", range(2))
def test_any_policy_without_a_compiler(seed):
    """Thousands of policies on NumPy arrays: the same programs, parameters and tables."""
    done = subprocess.run(
        [sys.executable, any_policy.__file__, str(seed), "1500"],
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
        cwd=Path(any_policy.__file__).parent,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]


@pytest.mark.parametrize("seed", range(4))
def test_any_scale_selection(seed):
    """Compiled: what selects a scale is data to a kernel, so that these compile few of them."""
    assert any_policy.run(1000 + seed, 150, element_fields=0) is None


ELEMENT_CHANGES = [
    {"relu": "on"},
    {"relu": "on", "fp8_overflow": "overflow", "nan_payload": "signed"},
    {"input_subnormal": "flush", "neg_zero": "drop-input"},
    {"neg_zero": "drop-input", "rounding": "down"},
    {"element_subnormal": "flush"},
    {"element_subnormal": "flush", "rounding": "up", "neg_zero": "drop"},
    {"scaled_intermediate": "float16"},
    {"scaled_intermediate": "bfloat16", "fp8_overflow": "propagate"},
    {"scaled_intermediate": "float32", "fp8_overflow": "sat-none", "rounding": "up"},
    {"scaled_intermediate": "float16", "fp8_overflow": "overflow", "nan_payload": "negative"},
    {"fp8_overflow": "propagate"},
    {"fp8_overflow": "sat-none", "rounding": "to-odd", "nan_payload": "payload"},
]


@pytest.mark.parametrize("change", ELEMENT_CHANGES, ids=lambda c: ",".join(c.values()))
def test_elements_of_blocks(change):
    """Compiled: each part of the encoder, in blocks, for a float and a fixed-point element."""
    rng = random.Random(str(change))
    for name in ("mxfp8_e5m2", "mxfp8_e4m3", "mxfp4", "mxint8"):
        for source in ("float32", "float64"):
            for _ in range(6):
                wrong = any_policy.compare(rng, source, block_format(name, 40), Policy(**change))
                assert not wrong, wrong[0]


@pytest.mark.parametrize("change", ELEMENT_CHANGES, ids=lambda c: ",".join(c.values()))
@pytest.mark.parametrize("element", ELEMENT_FORMATS.values(), ids=lambda f: f.name)
def test_casts_of_all_float16(change, element):
    policy = Policy(**change)
    bits = np.arange(1 << 16, dtype=np.uint16)
    got = arrays.encode(as_array(bits, "float16"), element, policy)
    expected = [
        exact_element.encode(ieee.from_bits(int(b), "float16"), element, policy, source="float16")
        for b in bits[::7]
    ]
    assert got[::7].tolist() == expected


@pytest.mark.parametrize("intermediate", ["bfloat16", "float16"])
@pytest.mark.parametrize("name", ["e4m3", "e5m2", "e2m1"])
def test_double_rounding_is_a_chain_of_casts(name, intermediate):
    """A third way: numpy and ml_dtypes round to the intermediate type, mxref from there on."""
    rng = np.random.default_rng(5)
    x = (rng.standard_normal(1 << 16) * 2.0 ** rng.integers(-30, 18, 1 << 16)).astype(np.float32)
    narrow = {"bfloat16": ml_dtypes.bfloat16, "float16": np.float16}[intermediate]
    with np.errstate(over="ignore"):
        chained = mxref.encode(x.astype(narrow), name)
    policy = f"ocp:scaled_intermediate={intermediate}"
    assert np.array_equal(mxref.encode(x, name, policy), chained)
    assert (chained != mxref.encode(x, name)).any()


def test_stochastic_rounding_takes_the_stated_share():
    """Over all R, as many results go up as the fraction says."""
    words = np.arange(256, dtype=np.uint32)
    for value, share in ((1.125, 64), (1.25, 128), (-3.5, 128), (5.0, 128), (0.25, 128), (3.0, 0)):
        x = np.full(256, value, np.float32)
        codes = arrays.encode(
            x, "e2m1", "ocp:rounding=stochastic-a,stochastic_bits=8", random=words
        )
        lower = arrays.encode(x[:1], "e2m1", "ocp:rounding=toward-zero")[0]
        assert np.count_nonzero(codes != lower) == share, value


@pytest.mark.parametrize("sharing", ["ptx-x4", "te-x4"])
@pytest.mark.parametrize("name", ["e4m3", "e3m2", "e2m1"])
def test_shared_bits_reach_their_elements(name, sharing):
    rng = np.random.default_rng(3)
    x = rng.standard_normal((5, 8)).astype(np.float32)
    words = rng.integers(0, 1 << 32, (5, 2), np.uint32)
    policy = Policy(rounding="stochastic-a", stochastic=sharing)
    element = ELEMENT_FORMATS[name]
    got = arrays.encode(x, name, policy, random=words)
    for (row, column), value in np.ndenumerate(x):
        R = random_bits.of_place(int(words[row, column // 4]), column % 4, element, policy)
        number = ieee.from_bits(int(value.view(np.uint32)), "float32")
        assert got[row, column] == exact_element.encode(number, element, policy, random=R)


def test_random_bits_that_do_not_fit_are_refused():
    x = np.ones((2, 32), np.float32)
    rule = "ocp:rounding=stochastic-a,stochastic_bits=8"
    bits = np.zeros(x.shape, np.uint32)
    for bad, error, text in (
        ({}, ValueError, r"random=rng.integers\(0, 2\*\*8"),
        ({"random": bits[:1]}, ValueError, r"shape \(1, 32\); expected \(2, 32\)"),
        ({"random": bits + 256}, ValueError, "numbers of 8 bits"),
        ({"random": bits.astype(int)}, TypeError, "unsigned integers"),
    ):
        with pytest.raises(error, match=text):
            mxref.quantize(x, "mxfp4", policy=rule, **bad)
        with pytest.raises(error, match=text):
            mxref.encode(x, "e2m1", rule, **bad)
    with pytest.raises(ValueError, match="draws nothing"):
        mxref.quantize(x, "mxfp4", random=bits)
    with pytest.raises(ValueError, match="draws nothing"):
        mxref.quantize(x, "mxfp4", scale_random=bits[:, :1])
    with pytest.raises(ValueError, match="scale_random=rng"):
        mxref.quantize(x, "mxfp4", policy="ocp:scale_rule=stochastic")
    with pytest.raises(ValueError, match="compares rounding errors"):
        mxref.quantize(x, "mxfp4", policy=rule + ",scale_rule=mse", random=bits)
    with pytest.raises(ValueError, match="no multiple of 4"):
        mxref.encode(x[:, :3], "e2m1", "ocp:rounding=stochastic-a,stochastic=ptx-x4")
    with pytest.raises(ValueError, match="infinity"):
        mxref.encode(np.array([np.inf]), "e2m1", "ocp:inf_element=raise")


def test_draws_and_searches_along_any_axis_and_with_a_ragged_end():
    rng = np.random.default_rng(8)
    x = rng.standard_normal((70, 5)).astype(np.float32)
    bits = rng.integers(0, 1 << 16, x.shape, np.uint32)
    scale_bits = rng.integers(0, 1 << 16, (3, 5), np.uint32)
    policy = "ocp:rounding=stochastic-b,scale_rule=stochastic"
    down = arrays.quantize(
        x, "mxfp4", axis=0, policy=policy, pad=True, random=bits, scale_random=scale_bits
    )
    turned = (a.T.copy() for a in (x, bits, scale_bits))
    x_t, bits_t, scale_bits_t = turned
    along = arrays.quantize(
        x_t, "mxfp4", policy=policy, pad=True, random=bits_t, scale_random=scale_bits_t
    )
    assert np.array_equal(down.codes.T, along.codes)
    assert np.array_equal(down.scales.T, along.scales)
    searched = arrays.quantize(x, "mxfp4", axis=0, policy="ocp:scale_rule=mse", pad=True)
    again = arrays.quantize(x_t, "mxfp4", policy="ocp:scale_rule=mse", pad=True)
    assert np.array_equal(searched.codes.T, again.codes)


def test_a_search_never_leaves_more_error_than_floor():
    rng = np.random.default_rng(2)
    x = (rng.standard_t(3, (400, 32)) * 2.0 ** rng.integers(-9, 9, (400, 1))).astype(np.float32)
    for name in ("mxfp4", "mxfp6_e2m3", "mxint8"):
        by_floor = arrays.quantize(x, name)
        for rule, power in (("mse", 2), ("mae", 1)):
            searched = arrays.quantize(x, name, policy=f"ocp:scale_rule={rule}")
            errors = [
                (np.abs(q.dequantize().astype(np.float64) - x) ** power).sum(1)
                for q in (searched, by_floor)
            ]
            assert (errors[0] <= errors[1] * (1 + 1e-12)).all()
            assert (searched.scales != by_floor.scales).any()


CASTS = [
    {"e8m0_rounding": "nearest-even"},
    {"e8m0_rounding": "up", "e8m0_subnormal": "bits"},
    {"e8m0_rounding": "nearest", "e8m0_subnormal": "bits", "e8m0_underflow": "nan"},
    {"e8m0_underflow": "nan", "e8m0_zero": "nan"},
    {"e8m0_rounding": "nearest-even", "e8m0_underflow": "nan", "e8m0_overflow": "nan"},
]


@pytest.mark.parametrize("change", CASTS, ids=lambda c: ",".join(c.values()))
@pytest.mark.parametrize("source", ["float32", "float64", "float16", "bfloat16"])
def test_casts_to_e8m0(change, source):
    rng = random.Random(11)
    policy = Policy(**change)
    bits = [any_policy.draw_pattern(rng, source, n) for n in [0, 1, 2, 100, 127, 254] * 60]
    got = arrays.encode(as_array(bits, source), "e8m0", policy)
    expected = [exact_scale.encode(ieee.from_bits(b, source), "e8m0", policy) for b in bits]
    assert got.tolist() == expected


@pytest.mark.parametrize(
    "policy",
    [
        "ocp:inf_element=raise",
        "ocp:inf_element=raise,scale_inf=flush-block",
        "ocp:nan_element=raise,scale_nan=ignore",
        "ocp:scale_nan=raise,scale_inf=ignore",
        "ocp:scale_inf=raise,scale_nan=ignore",
    ],
)
@pytest.mark.parametrize("name", ["mxfp4", "mxfp8_e4m3"])
def test_both_twins_refuse_the_same_blocks(name, policy):
    fmt = block_format(name, 2)
    for member in (1.0, np.inf, -np.inf, np.nan):
        x = np.array([1.0, member], np.float32)
        numbers = [ieee.from_bits(int(b), "float32") for b in x.view(np.uint32)]
        results = []
        for convert in (
            lambda x=x: arrays.quantize(x, fmt, policy=policy).codes.tolist(),
            lambda numbers=numbers: list(exact_block.quantize(numbers, fmt, policy)[1]),
        ):
            try:
                results.append(convert())
            except ValueError:
                results.append("refused")
        assert results[0] == results[1], member
