"""Decoders of NVFP4 with planted mistakes, and quantizers that are driven."""

import naive_nvfp4 as naive
import numpy as np
import pytest

from mxref import nvfp4
from mxref.check import nvfp4 as check
from mxref.faults import nvfp4 as faults
from mxref.faults.nvfp4_elements import decode_faults
from mxref.nvfp4 import PROFILES

RNG = np.random.default_rng(3)
CODES = RNG.integers(0, 16, (64, 256), dtype=np.uint8)
SCALES = RNG.integers(0, 0x80, (64, 16), dtype=np.uint8)
G = np.float32(0.3)
PLANTED = {
    "D1": "D1",
    "D8": "D8",
    "D15": "D15",
    "D6": "D6",
    "D3": "D3",
    "L1": "L1",
    "S16-dropped": "S16",
    "S16-inverted": "S16",
    "S16-twice": "S16",
}


def test_the_naive_decoder_conforms():
    y = naive.dequantize(CODES, SCALES, G)
    assert check.dequantize(CODES, SCALES, y, global_scale=G).verdict == "conforms"


@pytest.mark.parametrize("wrong", PLANTED)
def test_a_planted_decoder_is_named(wrong):
    y = naive.dequantize(CODES, SCALES, G, wrong)
    report = check.dequantize(CODES, SCALES, y, global_scale=G)
    assert report.verdict == "defect", str(report)
    assert [f.id for f in report.findings] == [PLANTED[wrong]], str(report)


def test_a_constant_is_read_off():
    y = naive.dequantize(CODES, SCALES, np.float32(G * np.float32(1.7)))
    report = check.dequantize(CODES, SCALES, y, global_scale=G)
    assert report.findings[0].id == "S16"
    assert "times it" in report.findings[0].detail


def test_the_other_order_is_legal():
    y = nvfp4.dequantize(CODES, SCALES, G, policy="torchao")
    report = check.dequantize(CODES, SCALES, y, global_scale=G)
    assert report.verdict == "conforms-as"
    assert "torchao" in report.profiles


def test_garbage_is_unexplained():
    y = RNG.standard_normal(CODES.shape).astype(np.float32)
    report = check.dequantize(CODES, SCALES, y, global_scale=G)
    assert report.verdict == "unexplained"
    assert str(report)


_SLOW = [pytest.param(n, marks=pytest.mark.slow) for n in ("te-2d", "torchao", "mlx", "cublas")]


@pytest.mark.parametrize("name", ["te-1d", "modelopt", *_SLOW])
def test_a_driven_profile_is_recognised(name):
    report = check.drive(lambda x: nvfp4.quantize(x, policy=name))
    assert report.policy == PROFILES[name].policy, str(report)
    if name != "te-1d":
        assert name in report.profiles


@pytest.mark.parametrize(
    "wrong", ["E12", *(pytest.param(w, marks=pytest.mark.slow) for w in ("D1", "S14", "L1"))]
)
def test_a_driven_fault_is_named(wrong):
    report = check.drive(lambda x: naive.quantize(x, wrong))
    # What the naive one makes of NaN follows no rule.
    assert report.verdict in ("defect", "unexplained"), str(report)
    assert wrong.split("-")[0] in {f.id for f in report.findings}, str(report)


def test_a_target_that_refuses_or_raises():
    def refuses(x):
        if not np.isfinite(x).all():
            raise ValueError("not finite")
        return nvfp4.quantize(x)

    report = check.drive(refuses)
    assert report.verdict == "conforms"
    assert any("refuses nan" in note for note in report.notes)

    def raises(x):
        raise RuntimeError(f"no kernel for {x.shape}")

    report = check.drive(raises)
    assert report.verdict == "not-testable"
    assert "no kernel" in report.trouble.text


@pytest.mark.parametrize("name", ["te-1d", "torchao", "modelopt", "mlx", "compressed-tensors"])
def test_the_model_of_the_faults_agrees_with_the_kernels(name):
    policy = PROFILES[name].policy
    x = (RNG.standard_normal((64, 64)) * np.exp(3 * RNG.standard_normal((64, 1)))).astype(
        np.float32
    )
    q = nvfp4.quantize(x, policy=policy)
    g, scales, codes = faults.correct("nvfp4_quantize_tensor", policy)(x, 1)
    assert g == q.global_scale
    assert np.array_equal(scales, q.scales)
    shown = np.repeat(scales > 0, 16, 1)
    assert np.array_equal(codes[shown], q.codes[shown])


def test_every_fault_of_the_decoder_shows_or_is_an_alias():
    right = faults.correct("nvfp4_dequantize", nvfp4.get_policy())
    args = G, SCALES.reshape(-1), CODES.reshape(-1, 16)
    due = right(*args)
    for fault in faults.implementations("nvfp4_dequantize", nvfp4.get_policy()):
        found = fault.subject(*args)
        assert not np.array_equal(found, due, equal_nan=True), (fault.id, fault.detail)
    assert len(decode_faults()) > 40
