"""Each replay reproduces the numbers of its report, and `mxref.check` names it."""

from functools import partial

import numpy as np
import pytest
import storage
from judging import CASES, JUDGES, REPLAYS, driven, judged, on_random_data
from replayed import (
    E2M1,
    E4M3,
    TYPES,
    nearest,
    ocp_scale,
    quantizer,
    scale_value,
    value_table,
    with_nan,
)
from replays_dots import scaled_dot, some_dots
from replays_random import stochastic

from mxref import check
from mxref.check.stochastic import stochastic as check_stochastic

DRIVEN = [case for case in CASES if case[0].driven]
GIVEN = [case for case in CASES if case[0].given is not None]
WRITERS = [(r, f) for r, f in CASES if r.op in ("quantize", "encode") and f != "e8m0"]
# What Gaussian numbers need not show: ties, NaN, zeros, the largest number of E5M2, subnormals.
HIDDEN = {"SC16", "EL01", "EL02", "EL03", "SB01", "SB03", "OV10", "SP03", "SP05"}


def ids(cases):
    return [f"{replay.key}-{fmt}" for replay, fmt in cases]


def assert_named(replay, report):
    assert {finding.id for finding in report.findings} == set(replay.names), report
    assert report.findings[0].id == replay.names[0], report
    assert report.verdict == ("conforms-as" if replay.legal else "defect"), report
    for finding in report.findings:
        assert finding.residual == 0, report
        assert finding.witness is not None or replay.op == "stochastic", report
        assert finding.explains > 0, report
    if replay.op != "stochastic":  # statistics need neither a witness nor a single wrong code
        assert report.mismatches.scales + report.mismatches.elements > 0


def test_there_are_enough_and_no_key_twice():
    keys = [replay.key for replay in REPLAYS]
    assert len(set(keys)) == len(keys)
    assert len({replay.url for replay in REPLAYS}) >= 24


@pytest.mark.parametrize("replay", REPLAYS, ids=[r.key for r in REPLAYS])
def test_it_does_what_the_report_says(replay):
    claims = list(replay.reported())
    assert claims
    for what, got, said in claims:
        assert got == said, what


@pytest.mark.parametrize(("replay", "fmt"), DRIVEN, ids=ids(DRIVEN))
def test_a_driven_kernel_is_named(replay, fmt):
    assert_named(replay, driven(replay, fmt))


@pytest.mark.parametrize(("replay", "fmt"), GIVEN, ids=ids(GIVEN))
def test_given_arrays_are_named(replay, fmt):
    assert_named(replay, judged(replay, fmt))


@pytest.mark.parametrize(("replay", "fmt"), WRITERS, ids=ids(WRITERS))
def test_random_numbers_never_lead_astray(replay, fmt):
    """Gaussian numbers hide much, ties and specials above all; what they show is named as well."""
    report = on_random_data(replay, fmt)
    if report.verdict == "conforms":
        assert replay.key in HIDDEN, report
    elif replay.key == "SC12":  # no amax is 448 times a power of two: a sound rule, rounded up
        assert [f.id for f in report.findings] == ["S10"], report
        assert report.verdict == "conforms-as", report
    else:
        assert report.findings[0].id == replay.names[0], report
        assert report.findings[0].residual == 0, report
        assert report.verdict == ("conforms-as" if replay.legal else "defect"), report


@pytest.mark.parametrize("replay", REPLAYS, ids=[r.key for r in REPLAYS])
def test_it_says_what_it_is(replay):
    assert replay.driven or replay.given
    assert replay.url.startswith("https://github.com/")
    assert replay.mistake.endswith(".")
    assert len(replay.mistake) < 100


def test_what_is_sound_conforms():
    """The parts of which replays are made are right, so that the mistake is all that is wrong."""
    for t in set(TYPES.values()):
        assert check.kernel(partial(quantizer(ocp_scale), t), t.block).verdict == "conforms"
        report = check.kernel(lambda x, t=t: with_nan(t, nearest(t, x), x), t.name, "encode")
        assert report.verdict == "conforms", report
        assert check.kernel(lambda c, t=t: value_table(t)[c], t.name, "decode").ok

    def widened(codes):
        with np.errstate(over="ignore"):
            return scale_value(codes).astype(np.float32)

    assert check.kernel(widened, "e8m0", "decode").ok


def test_sound_tensors_and_products_are_no_defects():
    x = storage.matrix()
    codes, plane = storage.quantized(E4M3, x)
    stored = storage.swizzled(plane)
    judge = partial(JUDGES["quantize_tensor"], x, codes, format="mxfp8_e4m3")
    assert judge(stored, scale_layout="128x4").verdict == "conforms"
    assert judge(plane).verdict == "conforms"
    codes, plane = storage.quantized(E2M1, x)
    packed = storage.pairs(codes)
    y = storage.decoded(E2M1, storage.unpaired(packed, x.shape), plane)
    read = JUDGES["dequantize_tensor"](packed, plane, y, "mxfp4", packing="nibbles-low-first")
    assert read.verdict == "conforms", read
    operands = some_dots(E4M3)
    d = scaled_dot(E4M3, *operands)
    report = JUDGES["dot"](*operands, d, "mxfp8_e4m3")
    assert report.verdict in ("conforms", "conforms-as"), report


def test_sound_random_rounding_is_no_defect():
    rng = np.random.default_rng(4)
    report = check_stochastic(
        lambda x: stochastic(E2M1, x, rng.integers(0, 65536, x.shape)), "e2m1"
    )
    assert report.ok, report
    assert not [finding for finding in report.findings if not finding.legal], report
