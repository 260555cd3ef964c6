"""What the check of BDR formats says of right data, of other legal policies, and of bad input."""

import numpy as np
import pytest

from mxref import bdr
from mxref.check import bdr as check
from mxref.check.bdr.stimuli import dequantize_stimuli, quantize_stimuli
from mxref.relatives.bdr_formats import BDR_FORMATS
from mxref.relatives.bdr_policy import BDRPolicy
from mxref.relatives.bdr_profiles import BDR_PROFILES

NAMES = (
    "mx9", "mx6", "mx4", "msfp16", "msfp12", "bfp16", "vsq4:k1=32", "scaled_int8:k1=32",
    "scaled_int4:k1=32", "scaled_fp8_e4m3:k1=32", "scaled_fp8_e5m2:k1=32",
    "bdr:m=5,k1=16,k2=4,d2=2",
)  # fmt: skip
CHOICES = {
    field: [m for m in type(value) if not str(m).startswith("stochastic")]
    for field, value in ((f, getattr(BDRPolicy(), f)) for f in BDRPolicy().as_dict())
}
DEFAULT_LONG = ("vsq4", "scaled_int8", "scaled_fp8_e4m3")


def data(name, policy=None):
    fmt = bdr.bdr_format(name)
    x = quantize_stimuli(fmt).inputs[0]
    return x, bdr.quantize(x, fmt, -1, policy)


def judge(x, q, **more):
    return check.quantize(x, q.codes, q.scales, q.format, q.axis, subscales=q.subscales, **more)


@pytest.mark.parametrize("name", NAMES)
def test_right_data_conform(name):
    report = judge(*data(name))
    assert str(report.verdict) == "conforms"
    assert report.policy.name == "bdr-paper"
    assert report.ok
    assert not report.mismatches.scales
    assert not report.mismatches.elements
    assert not any("ties" in gap.what for gap in report.gaps), report.gaps
    str(report), report.to_json()


@pytest.mark.parametrize("profile", [n for n in BDR_PROFILES if n != "bdr-paper"])
def test_every_profile_is_recognised(profile):
    record = BDR_PROFILES[profile]
    for name in record.formats[:2]:
        short = f"{name}:k1=32" if name in ("vsq8", "vsq6", "vsq4") else name
        x, q = data(short, profile)
        report = judge(x, q)
        assert report.ok, str(report)
        alike = report.policy.diff(record.policy)
        assert (
            report.policy == record.policy
            or set(alike) <= {"int_min", "element_divisor"}
            or (profile in report.profiles)
        ), str(report)
        assert judge(x, q, policy=profile).verdict == "conforms"


@pytest.mark.parametrize("seed", range(24))
def test_no_legal_policy_is_called_a_defect(seed):
    rng = np.random.default_rng(seed)
    fmt = bdr.bdr_format(NAMES[seed % len(NAMES)])
    changed = [f for f in CHOICES if rng.random() < 0.4]
    policy = BDRPolicy().replace(**{f: str(rng.choice(CHOICES[f])) for f in changed})
    x = quantize_stimuli(fmt).inputs[0][:: rng.choice([3, 5, 17])]
    q = bdr.quantize(x, fmt, -1, policy)
    report = judge(x, q)
    assert str(report.verdict) in ("conforms", "conforms-as"), (policy, str(report))
    again = bdr.quantize(x, fmt, -1, report.policy)
    nan = (q.scales == 255) if q.scales.dtype == np.uint8 else np.isnan(q.scales)
    held = ~np.repeat(nan, fmt.k1, axis=1)
    assert np.array_equal(again.codes[held], q.codes[held])
    assert judge(x, q, policy=policy).verdict == "conforms"


@pytest.mark.parametrize("name", DEFAULT_LONG)
def test_long_blocks_and_whole_tensors(name):
    rng = np.random.default_rng(3)
    x = rng.standard_normal((3, 3000)).astype(np.float32)
    q = bdr.quantize(x, name, -1, pad=True)
    assert judge(x, q).verdict == "conforms"
    q.codes[1, 2222] ^= 1
    report = judge(x, q)
    assert str(report.verdict) == "unexplained"
    assert report.mismatches.elements == 1
    assert report.mismatches.first.index == (1, 2222)
    truncated = bdr.quantize(x, name, -1, "bdr-paper:rounding=toward-zero", pad=True)
    assert [f.id for f in judge(x, truncated).findings] == ["E2"]


def test_another_axis_and_a_ragged_end():
    rng = np.random.default_rng(4)
    x = rng.standard_normal((37, 5)).astype(np.float32)
    q = bdr.quantize(x, "mx6", 0, pad=True)
    assert judge(x, q).verdict == "conforms"
    q.scales[1, 2] += 1
    report = judge(x, q)
    assert report.mismatches.scales >= 1
    assert report.mismatches.first.index == (1, 2)
    assert report.mismatches.first.stage == "scale"


def test_differences_without_effect_are_noted():
    x = np.zeros((4, 16), np.float32)
    x[2:] = 1.0
    x[3, 2:4] = 0
    q = bdr.quantize(x, "mx9")
    q.scales[0] = 200
    q.subscales[3, 1] ^= 1
    report = judge(x, q)
    assert str(report.verdict) == "conforms"
    assert any("all-zero" in note for note in report.notes)
    assert any("sub-scales of zeros" in note for note in report.notes)


def test_a_stochastic_rounding_is_judged_as_far_as_it_goes():
    rng = np.random.default_rng(5)
    x = rng.standard_normal((64, 16)).astype(np.float32)
    policy = "bdr-paper:rounding=stochastic-a"
    bits = rng.integers(0, 1 << 16, x.shape, dtype=np.uint32)
    q = bdr.quantize(x, "mx6", -1, policy, random=bits)
    report = judge(x, q, policy=policy)
    assert str(report.verdict) == "conforms", str(report)
    assert any("neighbours" in note for note in report.notes)
    assert any("stochastic" in note for note in judge(x, q).notes)
    q.codes[0, 0] ^= 4
    assert not judge(x, q, policy=policy).ok


def test_input_that_does_not_fit_is_refused_with_a_reason():
    x, q = data("mx9")
    with pytest.raises(ValueError, match="subscales are missing"):
        check.quantize(x, q.codes, q.scales, "mx9")
    with pytest.raises(ValueError, match="codes have shape"):
        check.quantize(x, q.codes[1:], q.scales, "mx9", subscales=q.subscales)
    with pytest.raises(ValueError, match="scales"):
        check.quantize(x, q.codes, q.scales[1:], "mx9", subscales=q.subscales)
    with pytest.raises(ValueError, match="out of range"):
        check.quantize(x, q.codes, q.scales, "mx6", subscales=q.subscales)
    with pytest.raises(TypeError, match="dtype"):
        check.quantize(x, q.codes.astype(np.float32), q.scales, "mx9", subscales=q.subscales)
    with pytest.raises(TypeError, match="dtype"):
        check.quantize(np.zeros(x.shape, int), q.codes, q.scales, "mx9", subscales=q.subscales)
    with pytest.raises(ValueError, match="mx9"):
        check.quantize(x, q.codes, q.scales, "mx8", subscales=q.subscales)
    empty = np.zeros((0, 16))
    report = check.quantize(
        empty, empty.astype(np.uint8), np.zeros((0, 1), np.uint8), "mx9",
        subscales=np.zeros((0, 8), np.uint8),
    )  # fmt: skip
    assert str(report.verdict) == "not-testable"


@pytest.mark.parametrize("name", ["mx9", "msfp12", "vsq4:k1=64", "scaled_fp8_e5m2"])
def test_the_project_itself_is_driven(name):
    fmt = bdr.bdr_format(name)
    report = check.drive(lambda x: bdr.quantize(x, fmt), fmt)
    assert str(report.verdict) == "conforms", str(report)

    def decode(codes, scales, subscales=None):
        return bdr.dequantize(codes, scales, fmt, -1, subscales=subscales)

    if fmt.k1 is not None:
        report = check.drive(decode, fmt, "dequantize")
        assert str(report.verdict) == "conforms", str(report)


def test_targets_that_cannot_be_judged_say_why():
    def trouble(fn, **more):
        report = check.drive(fn, "mx9", **more)
        assert str(report.verdict) in ("not-testable", "unexplained")
        return report.trouble

    assert trouble(lambda x: x).kind == "mis-wired"
    assert "subscales" in trouble(lambda x: (x, x)).text

    def q(x):
        return bdr.quantize(x, "mx9")

    assert trouble(lambda x: (q(x).codes[:, :8], q(x).scales, q(x).subscales)).kind == "mis-wired"
    rng = np.random.default_rng(0)

    def noisy(x):
        return q(x).codes ^ rng.integers(0, 2, x.shape, np.uint8), q(x).scales, q(x).subscales

    assert trouble(noisy).kind == "nondeterministic"

    def refuses(x):
        if not np.isfinite(x).all():
            raise ValueError("no NaN here")
        return q(x)

    assert "no NaN here" in trouble(refuses).text
    with pytest.raises(ValueError, match="unknown operation"):
        check.drive(q, "mx9", "quantise")


def test_decoding_in_a_narrower_type():
    codes, scales, shifts = dequantize_stimuli(BDR_FORMATS["mx9"]).inputs
    keep = (scales[:, 0] > 120) & (scales[:, 0] < 134)
    codes, scales, shifts = codes[keep], scales[keep], shifts[keep]
    y = bdr.dequantize(codes, scales, "mx9", subscales=shifts).astype(np.float16)
    assert check.dequantize(codes, scales, y, "mx9", subscales=shifts).verdict == "conforms"
