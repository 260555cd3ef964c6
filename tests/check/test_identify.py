"""Every profile is recognised by its own bits, and what rules the others out is true."""

import sys
from pathlib import Path

import numpy as np
import pytest

import mxref
from mxref import check
from mxref.check.identify import identification_set, identify, identify_data
from mxref.check.target import TargetError, load_target
from mxref.differences import differences
from mxref.formats import BLOCK_FORMATS, ELEMENT_FORMATS, block_format
from mxref.profiles import PROFILES

sys.path.insert(0, str(Path(__file__).parent))
import naive

CASES = [
    (op, name, fmt)
    for name, profile in PROFILES.items()
    for op in profile.operations
    for fmt in dict.fromkeys((profile.formats[0], profile.formats[-1]))
]


def kernel_of(op, fmt, policy):
    """A kernel under a policy, and the name of its format."""
    element = block_format(fmt).element.name
    if op == "quantize":
        return lambda x: mxref.quantize(x, fmt, policy=policy), fmt
    if op == "dequantize":
        return lambda codes, scales: mxref.dequantize(codes, scales, fmt, policy=policy), fmt
    cast = mxref.encode if op == "encode" else mxref.decode
    return lambda given: cast(given, element, policy=policy), element


@pytest.mark.parametrize(("op", "name", "fmt"), CASES)
def test_a_profile_is_identified_by_its_own_bits(op, name, fmt):
    fn, format_name = kernel_of(op, fmt, PROFILES[name].policy)
    found = identify(fn, format_name, op)
    assert name in found.names
    assert name not in [candidate.name for candidate in found.excluded]
    # What matches beside it is known to be the same function here.
    together = next((group for group in found.alike if name in group), (name,))
    assert set(found.names) == set(together)
    known = {c.name for c in (*found.matches, *found.excluded)} | set(found.absent)
    assert known == set(PROFILES)


@pytest.mark.parametrize("op", ["quantize", "dequantize", "encode", "decode"])
@pytest.mark.parametrize("fmt", ["mxfp8_e4m3", "mxfp4"])
def test_profiles_called_alike_differ_nowhere(op, fmt):
    fn, format_name = kernel_of(op, fmt, "ocp")
    seen = []
    for group in identify(fn, format_name, op).alike:
        policies = list(dict.fromkeys(PROFILES[name].policy for name in group))
        for other in policies[1:]:
            found = differences(policies[0], other, [fmt], [op])
            # Casts to and from E8M0 come along; they are another format's affair.
            seen += [d for d in found if d.format != "e8m0"]
    assert seen == []


@pytest.mark.parametrize("fmt", BLOCK_FORMATS)
def test_a_dozen_blocks_separate_all(fmt):
    (x,) = identification_set(fmt)
    assert x.shape[1] == 32
    assert 1 <= len(x) <= 12
    outputs = {}
    for name, profile in PROFILES.items():
        if "quantize" in profile.operations and fmt in profile.formats:
            kept = x
            if profile.policy.nan_element == "raise" and not block_format(fmt).element.has_nan:
                kept = np.where(np.isnan(x), 0, x)
            q = mxref.quantize(kept, fmt, policy=profile.policy)
            outputs[name] = (q.codes.tobytes(), q.scales.tobytes())
    fn, _ = kernel_of("quantize", fmt, "ocp")
    groups = [set(group) for group in identify(fn, fmt).alike]
    names = list(outputs)
    for i, a in enumerate(names):
        for b in names[:i]:
            alike = any({a, b} <= group for group in groups)
            # Refused inputs were replaced, so that only one side of gfloat can be compared.
            assert (outputs[a] == outputs[b]) is alike or "gfloat" in (a, b), (a, b)


@pytest.mark.parametrize("element", ELEMENT_FORMATS)
def test_a_few_numbers_separate_all_casts(element):
    (x,) = identification_set(element, "encode")
    assert len(x) <= 6


def test_the_input_that_rules_out_is_what_it_says():
    found = identify(lambda x: mxref.quantize(x, "mxfp4", policy="mlx"), "mxfp4")
    (x,) = identification_set("mxfp4")
    for candidate in found.excluded:
        assert 1 <= candidate.place <= found.chosen == len(x)
        row = x[candidate.place - 1 : candidate.place]
        ours = mxref.quantize(row, "mxfp4", policy="mlx")
        if candidate.witness.expected_bits == "refused":
            continue
        theirs = mxref.quantize(row, "mxfp4", policy=PROFILES[candidate.name].policy)
        shown = candidate.witness
        if shown.stage == "scale":
            pair = ours.scales[0, 0], theirs.scales[0, 0]
        else:
            pair = ours.codes[0, shown.index[1]], theirs.codes[0, shown.index[1]]
        assert tuple(int(text, 16) for text in (shown.got_bits, shown.expected_bits)) == pair
        assert pair[0] != pair[1]


# --- third parties ----------------------------------------------------------------------------


@pytest.mark.parametrize("element", ["e4m3", "e5m2", "e3m2", "e2m3", "e2m1", "e8m0"])
@pytest.mark.parametrize("op", ["encode", "decode"])
def test_ml_dtypes_is_ml_dtypes(op, element):
    target = load_target("ml_dtypes")
    found = identify(target, element, op)
    assert "ml_dtypes" in found.names
    assert found.title.startswith("ml_dtypes 0.")
    one = next(c for c in found.matches if c.name == "ml_dtypes")
    assert one.versions == "0.6.0"
    assert one.faults == (("S17",) if (op, element) == ("encode", "e8m0") else ())


def test_a_target_is_found_by_name():
    assert identify("ml_dtypes", "e5m2", "encode").names == ("ml_dtypes",)
    with pytest.raises(TargetError):
        identify("ml_dtypes", "int8", "encode")


@pytest.mark.parametrize("name", ["float8_e4m3fn", "float8_e5m2", "float8_e8m0fnu"])
def test_torch_is_torch(name):
    torch = pytest.importorskip("torch")
    dtype = getattr(torch, name)

    def encode(x):
        return torch.from_numpy(x).to(dtype).view(torch.uint8).numpy()

    def decode(codes):
        return torch.from_numpy(codes).view(dtype).to(torch.float32).numpy()

    assert "torch" in identify(encode, name, "encode").names
    assert "torch" in identify(decode, name, "decode").names


def test_what_a_nan_carries_below_its_sign_identifies_nobody():
    def decode(codes):
        bits = mxref.decode(codes, "e4m3", "torch").view(np.uint32)
        return np.where(np.isnan(bits.view(np.float32)), bits | 0x12345, bits).view(np.float32)

    assert "torch" in identify(decode, "e4m3", "decode").names
    assert "ocp" not in identify(decode, "e4m3", "decode").names


@pytest.mark.parametrize("fmt", ["mxfp8_e5m2", "mxfp4"])
def test_an_independent_quantizer_that_nobody_published(fmt):
    def quantize(x):
        finite = np.where(np.isfinite(x), x, 0).astype(np.float32)
        return naive.quantize(finite, fmt, exponent=naive.ceil_of_quotient, tie="away")

    found = identify(quantize, fmt)
    assert not found.ok
    assert found.names == ()
    assert len(found.differs) >= 1
    assert any("nearest-away" in said for said in found.differs)
    assert found.excluded[0].share >= found.excluded[-1].share
    assert "no known implementation" in str(found)


def test_an_independent_quantizer_of_a_known_policy():
    """AMD Quark's recipe, written down from its description."""

    def quantize(x):
        special = ~np.isfinite(x)
        rounded = (np.where(special, 0, x).view(np.uint32) & 0x7FFFFFFF) + np.uint32(1 << 21)
        power = (rounded.max(axis=1) >> 23).astype(int) - 127 - 2
        amax = np.abs(np.where(special, 0, x)).max(axis=1)
        power = np.where(amax < 2.0**-126, -127, np.clip(power, -127, 127))
        scales = np.where(amax == 0, 0, power + 127)
        scales = np.where(np.isinf(x).any(axis=1), 254, scales)
        v = np.abs(np.where(np.isnan(x), 0, x)).astype(np.float64)
        v *= 2.0 ** (127 - scales.astype(float))[:, None]
        codes = naive.magnitude_codes("mxfp4", np.minimum(v, 100.0)) | (np.signbit(x) * 8)
        codes = np.where(np.isnan(x), 7, codes)
        scales = np.where(np.isnan(x).any(axis=1), 255, scales)
        return codes.astype(np.uint8), scales.astype(np.uint8)

    assert identify(quantize, "mxfp4").names == ("amd-quark-even",)


def test_who_differs_at_the_ends_only_is_named_as_far_as_it_goes():
    """torchao 0.18 as it is: an infinity counts as 2**128."""

    def quantize(x):
        has_inf = np.isinf(x).any(axis=1) & ~np.isnan(x).any(axis=1)
        q = mxref.quantize(x, "mxfp8_e4m3", policy="torchao-rceil")
        scales = np.where(has_inf[:, None], 0xF7, q.scales)
        return q.codes, scales.astype(np.uint8)

    found = identify(quantize, "mxfp8_e4m3")
    assert found.names == ()
    nearest = found.excluded[0]
    assert (nearest.name, nearest.usual) == ("torchao-rceil", True)
    assert not {c.name: c for c in found.excluded}["ocp"].usual
    text = " ".join(str(found).split())
    assert "as torchao-rceil on ordinary numbers, and as nobody in every bit" in text
    assert "`mxref profiles show torchao-rceil`" in text


# --- targets that misbehave -------------------------------------------------------------------


def test_a_target_that_refuses_nan_is_still_identified():
    def refuses(x):
        if np.isnan(x).any():
            raise ValueError("no NaN, please")
        return mxref.encode(x, "e2m1", "gfloat")

    found = identify(refuses, "e2m1", "encode")
    assert found.names == ("gfloat",)
    others = [str(c.witness) for c in found.excluded]
    assert any("refused" in text for text in others)


def test_a_target_that_always_fails_is_an_error():
    def fails(_):
        raise RuntimeError("out of order")

    with pytest.raises(TargetError, match="out of order"):
        identify(fails, "mxfp4")
    with pytest.raises(TargetError):
        identify(lambda _: None, "mxfp4")


def test_names_that_do_not_exist():
    with pytest.raises(ValueError, match="operation"):
        identify(lambda x: x, "mxfp4", "quantise")
    with pytest.raises(ValueError, match="format"):
        identify(lambda x: x, "mxfp5")
    with pytest.raises(TypeError, match="function"):
        identify(5, "mxfp4")


# --- given data -------------------------------------------------------------------------------


def test_given_data_of_a_profile():
    x = naive.data(rows=8)
    q = mxref.quantize(x, "mxfp4", policy="mlx")
    found = identify_data("quantize", x, q.codes, q.scales, format="mxfp4")
    assert found.names == ("mlx",)
    assert found.undecided == ()
    assert found.inputs == q.scales.size


def test_too_little_given_data_says_what_would_decide():
    x = np.ones((1, 32), np.float32)
    q = mxref.quantize(x, "mxfp4")
    found = identify_data("quantize", x, q.codes, q.scales, format="mxfp4")
    assert {"ocp", "tosa-1.1", "gguf-mxfp4", "mlx"} <= set(found.names)
    assert any(said.startswith("amax 7.0 (0x40e00000) gives ocp") for said in found.undecided)
    assert "These data do not decide" in str(found)


def test_no_data_is_no_match():
    empty = np.zeros((0, 32), np.float32)
    found = identify_data(
        "quantize", empty, empty.astype(np.uint8), np.zeros((0, 1), np.uint8), format="mxfp4"
    )
    assert not found.ok
    assert "nothing to compare" in str(found)


@pytest.mark.parametrize("axis", [0, 1])
def test_coordinates_are_those_of_the_caller(axis):
    x = naive.data(rows=64, columns=64)
    q = mxref.quantize(x, "mxfp4", axis=axis)
    codes = q.codes.copy()
    codes[33, 7] ^= 1
    found = identify_data("quantize", x, codes, q.scales, format="mxfp4", axis=axis)
    theirs = {c.name: c for c in found.excluded}["ocp"]
    assert theirs.witness.index == (33, 7)
    report = check.quantize(x, codes, q.scales, "mxfp4", axis=axis)
    assert report.mismatches.first.index == (33, 7)


def test_given_casts_and_values():
    x = np.array([[464.5, np.nan], [-0.0, -np.nan]], np.float32)
    codes = mxref.encode(x, "e4m3", "ml_dtypes")
    assert identify_data("encode", x, codes, format="e4m3").names == ("ml_dtypes",)
    every = np.arange(256, dtype=np.uint8)
    values = mxref.decode(every, "e5m2", "torch")
    assert "torch" in identify_data("decode", every, values, format="e5m2").names
    scales = np.full((8, 1), 127, np.uint8)
    blocks = every.reshape(8, 32)
    y = mxref.dequantize(blocks, scales, "mxfp8_e4m3")
    assert "ocp" in identify_data("dequantize", blocks, scales, y, format="mxfp8_e4m3").names


def test_a_ragged_last_block_is_compared():
    x = naive.data(rows=4, columns=64)[:, :40]
    q = mxref.quantize(x, "mxfp4", pad=True)
    assert "ocp" in identify_data("quantize", x, q.codes, q.scales, format="mxfp4").names


def test_bad_arrays_are_refused():
    x, codes = np.zeros((2, 32), np.float32), np.zeros((2, 32), np.uint8)
    scales = np.zeros((2, 1), np.uint8)
    with pytest.raises(TypeError, match="3 arrays"):
        identify_data("quantize", x, codes, format="mxfp4")
    with pytest.raises(ValueError, match="codes have shape"):
        identify_data("quantize", x, codes[:1], scales, format="mxfp4")
    with pytest.raises(ValueError, match="scales have shape"):
        identify_data("quantize", x, codes, scales[:1], format="mxfp4")
    with pytest.raises(ValueError, match="out of range"):
        identify_data("quantize", x, codes + 16, scales, format="mxfp4")
    with pytest.raises(TypeError):
        identify_data("quantize", x.astype(int), codes, scales, format="mxfp4")


def test_json_holds_everything():
    found = identify("ml_dtypes", "e4m3", "encode")
    document = found.to_dict()
    assert [entry["name"] for entry in document["matches"]] == ["ml_dtypes"]
    assert document["excluded"][0]["witness"]["expected_bits"].startswith("0x")
    assert found.to_json().startswith("{")
    assert max(map(len, str(found).splitlines())) <= 80
