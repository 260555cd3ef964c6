"""Mistakes planted in an independent NVFP4, and recipes of every profile, are named."""

import json
import random
from dataclasses import fields

import ml_dtypes
import naive_nvfp4 as naive
import numpy as np
import pytest

from mxref import nvfp4
from mxref.check import nvfp4 as check
from mxref.nvfp4 import PROFILES, NVFP4Policy

RNG = np.random.default_rng(7)


def _data(rows=128):
    x = RNG.standard_normal((rows, 128)) * np.exp(2 * RNG.standard_normal((rows, 8))).repeat(16, 1)
    x[3] = 0
    x[5, 16:48] *= 1e-6
    x[6:12, :64] *= np.float32(4e-5)
    ties = RNG.random(x.shape) < 0.3
    x = np.where(ties, np.round(x * 4) / 4, x).astype(np.float32)
    x[9, 20] = -0.0
    x[20, 5] = 2688 * 4  # g = 4: ties are ties
    return x


X = _data()
PLANTED = {
    "S15-half": "S15",
    "S15-first": "S15",
    "S15-signed": "S15",
    "S15-32": "S15",
    "S15-next": "S15",
    "S15-tensor": "S15",
    "S6": "S6",
    "S6-third": "S6",
    "S12": "S12",
    "S14": "S14",
    "S14-one": "S14",
    "S16-scale-inverted": "S16",
    "S16-scale-dropped": "S16",
    "S16-scale-twice": "S16",
    "S16-element-inverted": "S16",
    "S16-element-dropped": "S16",
    "S16-element-twice": "S16",
    "S16-stored-inverted": "S16",
    "S16-stored-one": "S16",
    "S16-stored-half": "S16",
    "E5-scale": "E5",
    "E7-scale": "E7",
    "E15-240": "E15",
    "E15-416": "E15",
    "sign": "S11",
    "D1": "D1",
    "D6": "D6",
    "D8": "D8",
    "D15": "D15",
    "E7": "E7",
    "E8": "E8",
    "E12": "E12",
    "E15": "E15",
    "L1": "L1",
}
LEGAL = {"E1": "E1", "E2": "E2", "E19": "E19", "scale-cut": "E2"}


def _report(wrong, x=X, **options):
    codes, scales, g = naive.quantize(x, wrong)
    return check.quantize(x, codes, scales, global_scale=g, **options)


def test_the_naive_one_conforms():
    report = _report("")
    assert report.verdict == "conforms", str(report)
    assert report.policy.name == "te-1d"


@pytest.mark.parametrize("wrong", PLANTED)
def test_a_planted_fault_is_named(wrong):
    report = _report(wrong)
    ids = {f.id for f in report.findings if f.certain}
    assert report.verdict == "defect", str(report)
    assert PLANTED[wrong] in ids, str(report)
    assert all(f.residual == 0 for f in report.findings)
    finding = next(f for f in report.findings if f.id == PLANTED[wrong])
    assert finding.witness is not None
    assert finding.witness.got_bits != finding.witness.expected_bits


@pytest.mark.parametrize("wrong", LEGAL)
def test_a_choice_is_legal(wrong):
    report = _report(wrong)
    assert report.verdict == "conforms-as", str(report)
    assert [f.id for f in report.findings] == [LEGAL[wrong]]
    assert not _report(wrong, policy="te-1d").ok


def test_two_faults_at_once_are_both_named():
    codes, _, g = naive.quantize(X, "L1")
    right, scales, _ = naive.quantize(X, "S15-half")
    mixed = right.reshape(-1, 2)[:, ::-1].reshape(X.shape)
    report = check.quantize(X, mixed, scales, global_scale=g)
    assert {f.id for f in report.findings} == {"S15", "L1"}, str(report)
    assert report.verdict == "defect"
    assert not np.array_equal(codes, mixed)


@pytest.mark.parametrize("name", [n for n, p in PROFILES.items() if "stoch" not in n])
@pytest.mark.parametrize("axis", [pytest.param(0, marks=pytest.mark.slow), 1])
def test_a_profile_is_recognised(name, axis):
    policy = PROFILES[name].policy
    q = nvfp4.quantize(X, axis, policy)
    report = check.quantize(X, q.codes, q.scales, axis, global_scale=q.global_scale)
    assert report.verdict in ("conforms", "conforms-as"), str(report)
    made = nvfp4.quantize(X, axis, report.policy)
    shown = np.repeat(q.scales & 0x7F != 0, 16, axis)
    assert np.array_equal(made.codes[shown], q.codes[shown])
    assert np.array_equal(made.scales, q.scales)
    claimed = check.quantize(X, q.codes, q.scales, axis, name, global_scale=q.global_scale)
    assert claimed.verdict == "conforms"


@pytest.mark.slow
@pytest.mark.parametrize("seed", [*range(12), 27, 39, 73, 339, 355])  # 27 on: once not recognised
def test_no_legal_policy_is_a_defect(seed):
    rng = random.Random(seed)
    changes = {"float64": "round"}
    for field in fields(NVFP4Policy):
        members = [str(m) for m in type(field.default) if str(m) != "stochastic"]
        if field.name not in changes and rng.random() < 0.3:
            changes[field.name] = rng.choice(members)
    policy = NVFP4Policy().replace(**changes)
    x = X * np.float32(rng.choice([1, 3e-3, 1e10]))
    q = nvfp4.quantize(x, 1, policy)
    report = check.quantize(x, q.codes, q.scales, global_scale=q.global_scale)
    assert report.verdict != "defect", f"{policy}\n{report}"


def test_a_scale_of_other_data_is_no_defect():
    whole = np.concatenate([X, 4 * X])
    codes, scales, g = naive.quantize(whole)
    n = len(X)
    report = check.quantize(X, codes[:n], scales[:n], global_scale=g)
    assert report.verdict == "conforms", str(report)
    assert any("global_amax" in note for note in report.notes)
    amax = np.abs(whole).max()
    known = check.quantize(X, codes[:n], scales[:n], global_scale=g, global_amax=amax)
    assert known.verdict == "conforms"
    assert not any("global_amax" in note for note in known.notes)


def test_ragged_and_other_types():
    x = X[:, :40].copy()
    padded = np.concatenate([x, np.zeros((len(x), 8), np.float32)], 1)
    codes, scales, g = naive.quantize(padded)
    report = check.quantize(x, codes[:, :40], scales, global_scale=g)
    assert report.verdict == "conforms"
    brain = X.astype(ml_dtypes.bfloat16)
    codes, scales, g = naive.quantize(brain.astype(np.float32))
    typed = scales.view(ml_dtypes.float8_e4m3fn)
    assert check.quantize(brain, codes, typed, global_scale=g).verdict == "conforms"


def test_specials_do_not_hurt():
    x = X.copy()
    x[0, 0], x[1, 1], x[2, 2] = np.nan, np.inf, -np.inf
    for name in ("te-1d", "torchao", "modelopt"):
        q = nvfp4.quantize(x, policy=name)
        report = check.quantize(x, q.codes, q.scales, global_scale=q.global_scale)
        assert report.verdict != "defect", str(report)
        str(report)
    zeros = np.zeros((4, 32), np.float32)
    q = nvfp4.quantize(zeros)
    report = check.quantize(zeros, q.codes, q.scales, global_scale=q.global_scale)
    assert report.verdict == "conforms"
    none = np.zeros((0, 32), np.float32)
    empty = check.quantize(none, none.astype(np.uint8), np.zeros((0, 2), np.uint8), global_scale=1)
    assert empty.verdict == "not-testable"


def test_errors_help():
    codes, scales, g = naive.quantize(X)
    with pytest.raises(ValueError, match="global_scale is missing"):
        check.quantize(X, codes, scales)
    with pytest.raises(ValueError, match="single number"):
        check.quantize(X, codes, scales, global_scale=np.ones(3))
    with pytest.raises(TypeError, match="dtype"):
        check.quantize(X, codes, scales, global_scale="big")
    with pytest.raises(ValueError, match="unpack"):
        check.quantize(X, codes[:, ::2], scales, global_scale=g)
    with pytest.raises(ValueError, match="scales have shape"):
        check.quantize(X, codes, scales[:, ::2], global_scale=g)
    with pytest.raises(TypeError, match="float32"):
        check.quantize(X.astype(int), codes, scales, global_scale=g)
    bad = codes.copy()
    bad[4, 4] = 99
    with pytest.raises(ValueError, match="0x63"):
        check.quantize(X, bad, scales, global_scale=g)
    with pytest.raises(ValueError, match="bit 7"):
        check.dequantize(codes, scales | 0x80, X, global_scale=g)


@pytest.mark.parametrize("wrong", ["", "S15-half", "E1", "S16-stored-inverted"])
def test_every_form_of_a_report(wrong):
    report = _report(wrong)
    text = str(report)
    assert "te-1d" in text
    document = json.loads(report.to_json())
    assert document["format"] == "nvfp4"
    assert "nvfp4" in report.to_markdown()
    assert "nvfp4" in report.to_html()
    assert "nvfp4" in report.to_junit()
    assert all(len(line) <= 80 or "=" in line or "http" in line for line in text.splitlines())


def test_gaps_say_what_would_tell_recipes_apart():
    x = np.array([[2688.0, *[1.0] * 15]], np.float32)
    q = nvfp4.quantize(x)
    report = check.quantize(x, q.codes, q.scales, global_scale=q.global_scale)
    unseen = [gap.what for gap in report.gaps]
    assert "NaN" in unseen
    assert "whether it is te-fast-math" in unseen
    gap = next(gap for gap in report.gaps if gap.what == "whether it is te-fast-math")
    assert "0x" in gap.needs or "global scale" in gap.needs


def test_stochastic_rounding_with_and_without_its_draws():
    policy = "te-1d:rounding=stochastic"
    drawn = RNG.integers(0, 256, X.shape, np.uint32)
    q = nvfp4.quantize(X, policy=policy, random=drawn)
    given = {"policy": policy, "global_scale": q.global_scale}
    known = check.quantize(X, q.codes, q.scales, random=drawn, **given)
    assert known.verdict == "conforms"
    assert not any("neighbours" in note for note in known.notes)
    report = check.quantize(X, q.codes, q.scales, **given)
    assert report.verdict == "conforms", str(report)
    assert any("neighbours" in note for note in report.notes)
    wrong = q.codes.copy()
    at = np.argwhere((wrong & 7) == 1)[0]
    wrong[tuple(at)] ^= 7  # 0.5 becomes 4
    report = check.quantize(X, wrong, q.scales, **given)
    assert report.verdict == "unexplained"
    assert report.mismatches.elements == 1
