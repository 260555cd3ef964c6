"""The search for differences: complete against brute force, its witnesses small and proven."""

import dataclasses
import json
from itertools import combinations

import numpy as np
import pytest

import mxref
from mxref.differences import _inputs, _search, compare, differences
from mxref.differences._classes import size_keys
from mxref.differences._probes import BlockProbe, CastProbe
from mxref.differences._subjects import subject
from mxref.formats import BLOCK_FORMATS, ELEMENT_FORMATS, block_format, element_format
from mxref.policy import Policy
from mxref.profiles import PROFILES


def test_torchao_even_and_tosa_differ_for_e4m3_only():
    found = compare("torchao-even", "tosa-1.1")
    assert found.differing == ("mxfp8_e4m3",)
    assert found.conclusion.startswith("They differ for mxfp8_e4m3 only; equal on ")
    first = found.differences[0]
    assert (first.output, first.kind, first.fields) == (
        "scale code",
        "ordinary amax",
        ("scale_rule",),
    )
    assert first.shown == "[1.875, 0, ...]"  # between (448 + 16) / 256 and 2 - 1/16
    assert [o.bits for o in first.outcomes] == [(0x77, 0x7E), (0x78, 0x77)]
    assert {d.output for d in found.differences} == {"scale code"}


def test_rules_that_agree_elsewhere_and_the_one_more_value_of_int8():
    found = compare("ocp:scale_rule=even", "tosa-1.1", ["mxfp4", "mxint8"])
    (only,) = found.differences
    assert (only.format, only.output, only.fields) == ("mxint8", "element codes", ("int8_min",))
    assert [o.bits[1] for o in only.outcomes] == [0x81, 0x80]


@pytest.mark.parametrize("name", PROFILES)
def test_nothing_differs_from_itself(name):
    assert differences(name, PROFILES[name].policy, PROFILES[name].formats[:1]) == []


# One field of each kind, and the first witness in MXFP4 and its casts.
ONE_FIELD = [
    ("scale_rule=ceil", "[1.5, 0, ...]", "scale code"),
    ("scale_rule=rceil", "[1.75, 0, ...]", "scale code"),
    ("scale_rule=even-down", "[1.875, 0, ...]", "scale code"),
    ("scale_rule=plus-one", "[1, 0, ...]", "scale code"),
    ("scale_zero_block=one", "[0, 0, ...]", "scale code"),
    ("scale_nan=ignore", "[NaN (0x7fc00000), 0, ...]", "scale code"),
    ("scale_inf=saturate", "[Inf, 0, ...]", "scale code"),
    ("scale_inf=raise", "[Inf, 0, ...]", "scale code"),
    ("rounding=up", "[4, 2^-149, ...]", "element codes"),
    ("neg_zero=drop", "[1, -", "element codes"),
    ("nan_element=zero", "NaN (0x7fc00000)", "code"),
    ("e8m0_rounding=up", "1.25", "code"),
    ("e8m0_negative=magnitude", "-1", "code"),
    ("decode_nan=signed", "scale 0xff = NaN, 0x8 = -0", "value"),
]


@pytest.mark.parametrize(("change", "shown", "output"), ONE_FIELD)
def test_one_field(change, shown, output):
    found = compare("ocp", f"ocp:{change}", ["mxfp4"])
    assert found.differences
    assert {d.fields for d in found.differences} == {(change.partition("=")[0],)}
    assert output in {d.output for d in found.differences}
    if "2^" not in shown:
        assert any(d.shown.startswith(shown) for d in found.differences)


def test_a_refusal_is_an_outcome():
    found = compare("ocp", "ocp:scale_nan=raise", ["mxfp4"], ["quantize"])
    assert {d.kind for d in found.differences} == {"NaN", "NaN and infinity"}
    for difference in found.differences:
        assert difference.outcomes[1].text == "refused"
        assert difference.outcomes[1].bits == ()


# --- complete --------------------------------------------------------------------------------

CASTS = [
    "rounding=nearest-away",
    "rounding=toward-zero",
    "rounding=up",
    "rounding=to-odd",
    "fp8_overflow=overflow",
    "fp8_overflow=propagate",
    "nan_payload=quiet-signed",
    "nan_element=signed-max",
    "neg_zero=drop",
    "neg_zero=drop-input",
    "int8_min=used",
    "relu=on",
    "element_subnormal=flush",
    "input_subnormal=flush",
    "scaled_intermediate=bfloat16",
    "scaled_intermediate=float16",
]


@pytest.mark.slow
@pytest.mark.parametrize("element", ELEMENT_FORMATS)
def test_whatever_differs_among_all_16_bit_numbers_is_found(element):
    """Brute force over every bfloat16 and float16 number finds nothing that the search lacks."""
    halves = np.arange(1 << 16, dtype=np.uint16)
    numbers = [(halves.astype(np.uint32) << 16).view(np.float32), halves.view(np.float16)]
    with np.errstate(invalid="ignore"):  # signalling NaNs
        x = np.concatenate([numbers[0], numbers[1].astype(np.float32)])
    base = next(f for f in BLOCK_FORMATS.values() if f.element.name == element)
    expected = mxref.encode(x, element)
    for change in CASTS:
        differs = mxref.encode(x, element, f"ocp:{change}") != expected
        found = differences("ocp", f"ocp:{change}", [base.name], ["encode"])
        assert bool(found) >= bool(differs.any()), change
        if not found or not differs.any():
            continue
        # The smallest witness is no larger than the smallest of the brute force.
        keys = size_keys(x[differs].view(np.uint32)[:, None])
        witness = size_keys(np.array([[found[0].inputs[0]]], np.uint32))[0]
        assert tuple(witness) <= min(map(tuple, keys)), change


@pytest.mark.slow
@pytest.mark.parametrize("fmt", BLOCK_FORMATS)
def test_whatever_scale_differs_among_all_bfloat16_is_found(fmt):
    rules = ("ceil", "rceil", "even", "even-down", "tosa", "nearest-log", "plus-one", "p3109")
    blocks = np.zeros((1 << 16, 32), np.float32)
    blocks[:, 0] = (np.arange(1 << 16, dtype=np.uint32) << 16).view(np.float32)
    codes = {
        rule: mxref.quantize(blocks, fmt, policy=f"ocp:scale_rule={rule}").scales for rule in rules
    }
    brute = np.array([tuple(key) for key in size_keys(blocks[:, :1].view(np.uint32))])
    probe = BlockProbe(block_format(fmt))
    ours = {rule: probe.run(Policy(scale_rule=rule))[0][:, 0] for rule in rules}
    searched = probe.keys()
    for a, b in combinations(rules, 2):
        there, here = (codes[a] != codes[b]).ravel(), ours[a] != ours[b]
        if there.any():
            smallest = min(map(tuple, searched[here]), default=None)
            assert smallest is not None, (a, b)
            assert smallest <= min(map(tuple, brute[there])), (a, b)


@pytest.mark.parametrize("fmt", ["mxfp8_e4m3", "mxint8"])
def test_the_sets_hold_what_they_promise(fmt):
    """Each step of a scale rule is there in each binade, with both of its neighbours."""
    fmt = block_format(fmt)
    amax = set(_inputs.blocks(fmt)[:, 0].tolist())
    top = fmt.element.max / 2**fmt.element.emax
    half = 2.0 ** (-fmt.element.mantissa_bits - 1)
    for step in (1.0, 1.5, float(top), float(top) + half, 2 - half):
        start = int(np.float32(step).view(np.uint32))
        for exponent in range(-126, 128):
            for near in (-1, 0, 1):
                bits = start + near + (exponent << 23)
                assert bits in amax or not 0 < bits < _inputs.INF


# --- proven, and honest ----------------------------------------------------------------------


def test_a_contradiction_between_kernels_and_definition_is_an_error(monkeypatch):
    right = CastProbe._call

    def wrong(self, policy, given):
        codes = right(self, policy, given)
        return codes ^ 1 if policy.neg_zero == "drop" else codes

    monkeypatch.setattr(CastProbe, "_call", wrong)
    with pytest.raises(RuntimeError, match="contradicts itself"):
        differences("ocp", "ocp:neg_zero=drop", ["mxfp4"], ["encode"])


def test_fields_that_only_remove_a_difference_together():
    a, b = Policy(), Policy(rounding="up", neg_zero="drop", relu="on")

    def judge(policy):
        return (int(policy.rounding == "up") + int(policy.neg_zero == "drop") * 2 >= 3,)

    def either(policy):
        return (policy.rounding == "up",)

    assert _search._responsible(a, b, either) == (("rounding",), False)
    # From b's side either field alone gives what a gives.
    assert _search._responsible(a, b, judge) == (("rounding", "neg_zero"), False)

    def both(policy):
        return (int(policy.rounding == "up") + 2 * int(policy.neg_zero == "drop"),)

    assert _search._responsible(a, b, both) == (("rounding", "neg_zero"), True)


def test_elements_below_a_nan_scale_are_not_compared():
    found = differences("ocp", "ocp:nan_payload=signed,nan_element=zero", operations=["quantize"])
    assert found == []


def test_stochastic_policies_are_refused():
    with pytest.raises(ValueError, match=r"random bits.*nearest-even"):
        compare("ocp", "ocp:rounding=stochastic-a")
    with pytest.raises(ValueError, match=r"random bits.*floor"):
        compare("ocp:scale_rule=stochastic", "ocp")
    assert differences("ocp", "ocp:rounding=stochastic-a", ["mxfp4"], ["dequantize"]) == []


def test_subjects():
    assert subject(PROFILES["cuda"]) == subject("cuda")
    changed = subject("cuda:rounding=up")
    assert changed.operations == PROFILES["cuda"].operations
    assert changed.divergences == ()  # they were said of the profile as it is
    assert subject(Policy()).formats == tuple(BLOCK_FORMATS)
    assert not subject("riscv-zvfofp").scale_cast


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("te-mxfp8", "cuda"), "no operation in common"),
        (("trainium", "gguf-mxfp4"), "no format in common"),
        (("ocp", "opc"), "did you mean 'ocp'"),
        (("ocp", "ocp", ["mxpf4"]), "did you mean 'mxfp4'"),
        (("ocp", "ocp", None, ["encod"]), "did you mean 'encode'"),
    ],
)
def test_refusals(arguments, said):
    with pytest.raises(ValueError, match=said):
        compare(*arguments)


def test_what_is_asked_for_is_compared_although_a_profile_lacks_it():
    assert compare("te-mxfp8", "cuda", operations=["encode"]).searched


def test_documents():
    found = compare("ocp", "ml_dtypes", ["mxfp8_e5m2"])
    document = json.loads(json.dumps(found.to_dict()))
    assert document["differing"] == ["e5m2", "e8m0"]
    assert len(document["differences"]) == len(found.differences)
    assert {tuple(d["fields"]) for d in document["differences"]} >= {("fp8_overflow",)}
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.differences[0].count = 0


def test_casts_are_no_sample():
    """Every midpoint of a format, and both neighbours of it, with both signs."""
    element = element_format("e2m1")
    bits = set(_inputs.casts(element).tolist())
    for midpoint in (0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5.0, 7.0):
        start = int(np.float32(midpoint).view(np.uint32))
        assert {start - 1, start, start + 1, start | _inputs.SIGN} <= bits
