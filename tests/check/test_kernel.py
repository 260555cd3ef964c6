import sys

import ml_dtypes
import numpy as np
import pytest

import mxref
from mxref.check import stimuli
from mxref.check.kernel import kernel as check_kernel
from mxref.check.target import load_target
from mxref.formats import BLOCK_FORMATS, ELEMENT_FORMATS, SCALE_FORMATS, block_format
from mxref.policy import get_policy

SCALARS = {**ELEMENT_FORMATS, **SCALE_FORMATS}


def reference(op, fmt, policy="ocp"):
    def quantize(x):
        q = mxref.quantize(x, fmt, policy=policy, block_size=x.shape[1])
        return q.codes, q.scales

    def dequantize(codes, scales):
        return mxref.dequantize(codes, scales, fmt, policy=policy, block_size=codes.shape[1])

    return {
        "quantize": quantize,
        "dequantize": dequantize,
        "encode": lambda x: mxref.encode(x, fmt, policy=policy),
        "decode": lambda codes: mxref.decode(codes, fmt, policy=policy),
    }[op]


def mxfp4(x):
    q = mxref.quantize(x, "mxfp4")
    return q.codes, q.scales


def error_of(fn, fmt="mxfp4", op="quantize"):
    report = check_kernel(fn, fmt, op)
    assert not report.ok
    assert report.verdict != "conforms"
    assert report.trouble is not None, report
    return report.trouble.text


# --- right kernels --------------------------------------------------------------------------------


@pytest.mark.parametrize("op", ["quantize", "dequantize"])
@pytest.mark.parametrize("fmt", BLOCK_FORMATS)
def test_the_reference_conforms_on_blocks(fmt, op):
    report = check_kernel(reference(op, fmt), fmt, op)
    assert report.verdict == "conforms", str(report)
    assert (report.mismatches.scales, report.mismatches.elements) == (0, 0)


@pytest.mark.parametrize("op", ["encode", "decode"])
@pytest.mark.parametrize("fmt", SCALARS)
def test_the_reference_conforms_on_casts(fmt, op):
    assert check_kernel(reference(op, fmt), fmt, op).verdict == "conforms"


@pytest.mark.parametrize("size", [1, 2, 16, 100])
def test_other_block_sizes(size):
    fmt = f"mxfp6_e2m3/{size}"
    assert check_kernel(reference("quantize", "mxfp6_e2m3"), fmt).verdict == "conforms"
    assert check_kernel(reference("dequantize", "mxfp6_e2m3"), fmt, "dequantize").ok


CHOICES = [
    ("quantize", "mxfp4", {"scale_rule": "rceil"}),
    ("quantize", "mxfp8_e4m3", {"scale_rule": "even", "fp8_overflow": "overflow"}),
    ("quantize", "mxint8", {"rounding": "nearest-away", "int8_min": "used"}),
    ("quantize", "mxfp8_e5m2", {"scale_inf": "saturate"}),
    ("encode", "e5m2", {"nan_payload": "quiet-signed"}),
    ("encode", "e2m1", {"neg_zero": "drop", "rounding": "toward-zero"}),
    ("encode", "e8m0", {"e8m0_rounding": "up", "e8m0_negative": "magnitude"}),
    ("dequantize", "mxfp8_e4m3", {"decode_overflow": "saturate"}),
]


@pytest.mark.parametrize(("op", "fmt", "changes"), CHOICES)
def test_a_legal_policy_is_found_and_can_be_asked_for(op, fmt, changes):
    policy = get_policy("ocp").replace(**changes)
    fn = reference(op, fmt, policy)
    report = check_kernel(fn, fmt, op)
    assert report.verdict == "conforms-as", str(report)
    assert report.policy == policy
    assert report.ok
    assert check_kernel(fn, fmt, op, policy=policy).verdict == "conforms"
    refused = check_kernel(fn, fmt, op, policy="ocp")
    assert (refused.verdict, refused.ok) == ("conforms-as", False)


def test_few_calls_and_what_was_tried():
    calls = []

    def counted(x):
        calls.append(x.shape)
        return mxfp4(x)

    report = check_kernel(counted, "mxfp4")
    assert len(calls) <= 16
    assert any(f"in {len(calls)} calls" in note for note in report.notes)
    smoke = check_kernel(counted, "mxfp4", level="smoke")
    assert smoke.ok
    assert smoke.mismatches.total_scales == 10


def test_kinds_of_output_that_are_accepted():
    def as_array(x):
        return mxref.quantize(x, "mxfp4")

    def flat_scales(x):
        codes, scales = mxfp4(x)
        return [codes.astype(np.int64), scales[:, 0]]

    def typed(x):
        codes, scales = mxfp4(x)
        return codes.view(ml_dtypes.float4_e2m1fn), scales.view(ml_dtypes.float8_e8m0fnu)

    def reused_buffer(x, buffers={}):  # noqa: B006  # the point: one buffer for all calls
        codes, scales = mxfp4(x)
        for name, array in (("c", codes), ("s", scales)):
            kept = buffers.setdefault((name, array.shape), array)
            kept[...] = array
        return buffers["c", codes.shape], buffers["s", scales.shape]

    for fn in (as_array, flat_scales, typed, reused_buffer):
        assert check_kernel(fn, "mxfp4").verdict == "conforms"
    int8 = reference("quantize", "mxint8")
    assert check_kernel(lambda x: (int8(x)[0].view(np.int8), int8(x)[1]), "mxint8").ok


# --- kernels that refuse specials: a legal choice -------------------------------------------------


def test_refusing_nan_and_infinity_is_a_policy():
    def strict(x):
        if not np.isfinite(x).all():
            raise ValueError("no NaN or infinity, please")
        return mxfp4(x)

    report = check_kernel(strict, "mxfp4")
    assert report.verdict == "conforms-as"
    assert report.policy == get_policy("ocp:scale_nan=raise,scale_inf=raise")
    assert any("no NaN or infinity, please" in note for note in report.notes)
    assert check_kernel(strict, "mxfp4", policy=report.policy).verdict == "conforms"
    assert not check_kernel(strict, "mxfp4", policy="ocp").ok


def test_refusing_nan_only():
    def strict(x):
        if np.isnan(x).any():
            raise ValueError("NaN")
        return mxref.encode(x, "e2m1")

    report = check_kernel(strict, "e2m1", "encode")
    assert report.policy == get_policy("ocp:nan_element=raise")
    # E4M3 has a NaN: no policy allows refusing it.
    assert "raised ValueError: NaN" in error_of(
        lambda x: strict(x) if np.isnan(x).any() else mxref.encode(x, "e4m3"), "e4m3", "encode"
    )


def test_refusing_ordinary_numbers_is_an_error():
    def strict(x):
        if np.abs(x[np.isfinite(x)]).max() > 1e30:
            raise OverflowError("too large")
        return mxfp4(x)

    assert "OverflowError: too large" in error_of(strict)


# --- broken kernels: a clear error, never a verdict -----------------------------------------------


def _raises(_):
    raise RuntimeError("out of\nregisters")


def _exits(_):
    sys.exit("bye")


def _writes(x):
    result = mxfp4(x)
    x[0, 1] = 0
    return result


def _writes_sign_of_zero(x):
    result = mxfp4(x)
    np.abs(x, out=x)
    return result


def _random(x):
    codes, scales = mxfp4(x)
    codes[..., -1] = np.random.default_rng().integers(0, 16, len(codes))
    return codes, scales


BROKEN = {
    "raises": (_raises, "RuntimeError: out of registers (test_kernel.py, line"),
    "exits": (_exits, "sys.exit('bye')"),
    "no arguments": (lambda: None, "TypeError"),
    "writes": (_writes, "wrote into its input: argument 1 changed"),
    "writes signs": (_writes_sign_of_zero, "wrote into its input"),
    "random": (_random, "not deterministic"),
    "none": (lambda _: None, "returned None"),
    "codes only": (lambda x: mxfp4(x)[0], "returned a value of type ndarray"),
    "triple": (lambda x: (*mxfp4(x), 1.0), "of type tuple of 3"),
    "string": (lambda _: "codes", "of type str"),
    "objects": (lambda x: (mxfp4(x)[0].astype(object), mxfp4(x)[1]), "Python objects"),
    "ragged": (lambda x: ([[1], [2, 3]], mxfp4(x)[1]), "NumPy cannot read"),
    "values": (lambda x: (x, mxfp4(x)[1]), "values instead of codes"),
    "booleans": (lambda x: (mxfp4(x)[0] > 0, mxfp4(x)[1]), "dtype bool"),
    "float scales": (lambda x: (mxfp4(x)[0], np.exp2(mxfp4(x)[1] - 127.0)), "E8M0 bytes"),
    "NaN scales": (lambda x: (mxfp4(x)[0], np.full(len(x), np.nan)), "E8M0 bytes"),
    "swapped": (lambda x: mxfp4(x)[::-1], "got (scales, codes)"),
    "packed": (lambda x: (mxfp4(x)[0][:, ::2], mxfp4(x)[1]), "packed, 4 bits each"),
    "bytes": (lambda x: (mxfp4(x)[0] | 0xF0, mxfp4(x)[1]), "unpack them"),
    "flat": (lambda x: (mxfp4(x)[0].ravel(), mxfp4(x)[1]), "add .reshape(10, 32)"),
    "transposed": (lambda x: (mxfp4(x)[0].T, mxfp4(x)[1]), "transposed?"),
    "few scales": (lambda x: (mxfp4(x)[0], mxfp4(x)[1][:3]), "shape (3, 1), expected (10, 1)"),
    "empty": (lambda x: (np.zeros(0, np.uint8), mxfp4(x)[1]), "shape (0,)"),
    "wrong type": (
        lambda x: (mxfp4(x)[0].view(ml_dtypes.float8_e5m2), mxfp4(x)[1]),
        "dtype float8_e5m2, not e2m1",
    ),
    "negative": (lambda x: (mxfp4(x)[0].astype(np.int32) - 1, mxfp4(x)[1]), "hold -1"),
    "wide scales": (lambda x: (mxfp4(x)[0], mxfp4(x)[1].astype(int) + 300), "0 to 255"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_kernels_get_a_clear_error(name):
    fn, said = BROKEN[name]
    message = error_of(fn)
    assert said in message
    assert "\n" not in message


MISWIRED = {
    "nibbles": (lambda c, s: (c.reshape(len(c), -1, 2)[:, :, ::-1].reshape(c.shape), s), "2j+1"),
    "halves": (lambda c, s: (np.concatenate([c[:, ::2], c[:, 1::2]], 1), s), "split halves"),
    "interleaved": (
        lambda c, s: (c.reshape(-1, 2, 16).transpose(0, 2, 1).reshape(c.shape), s),
        "split halves",
    ),
    "unbiased scales": (lambda c, s: (c, s - np.uint8(127)), "add 127"),
    "reciprocal scales": (lambda c, s: (c, np.uint8(254) - s), "1/X"),
}


@pytest.mark.parametrize("name", MISWIRED)
def test_miswired_harness_is_told_what_to_change(name):
    spoil, said = MISWIRED[name]
    message = error_of(lambda x: spoil(*mxfp4(x)))
    assert message.startswith("harness mis-wired: ")
    assert said in message


def test_integers_instead_of_codes():
    def integers(x):
        codes, scales = reference("quantize", "mxfp8_e4m3")(x)
        return mxref.decode(codes, "e4m3").astype(np.int64) & 0xFF, scales

    assert "cast to integers" in error_of(integers, "mxfp8_e4m3")


def test_values_must_be_float32():
    assert "astype(np.float32)" in error_of(
        lambda c: mxref.decode(c, "e4m3").astype(np.float64), "e4m3", "decode"
    )
    assert "dtype uint8" in error_of(lambda c: c, "e4m3", "decode")
    assert "shape" in error_of(lambda c: mxref.decode(c, "e4m3")[:-1], "e4m3", "decode")


# --- wrong kernels go on to the check, and never conform ------------------------------------------


def test_a_wrong_kernel_is_no_wiring_problem():
    def biased(x):
        codes, scales = mxfp4(x)
        return codes, np.where(scales < 253, scales + 2, scales).astype(np.uint8)

    def zeros(x):
        return np.zeros(x.shape, np.uint8), np.zeros(len(x), np.uint8)

    def all_nan(x):
        return np.zeros(x.shape, np.uint8), np.full(len(x), 255, np.uint8)

    for fn in (biased, zeros, all_nan):
        report = check_kernel(fn, "mxfp4")
        assert report.verdict in ("defect", "unexplained")
        assert not report.ok


def test_the_first_mismatch_is_placed():
    def wrong(x):
        codes, scales = mxfp4(x)
        codes[np.isin(codes, 7) & (x > 0)] = 6
        return codes, scales

    report = check_kernel(wrong, "mxfp4")
    assert not report.ok
    assert any("The first mismatch is among: elements" in note for note in report.notes)


def test_dependence_on_the_neighbours_is_seen():
    """Right on small arrays, wrong on large ones: as a kernel with a bad grid would be."""

    def wrong(x):
        codes, scales = mxfp4(x)
        if len(x) > 64:
            codes[-1] = 0
        return codes, scales

    assert not check_kernel(wrong, "mxfp4").ok


def test_arguments_that_do_not_exist():
    with pytest.raises(ValueError, match=r"did you mean .*'mxfp4'"):
        check_kernel(mxfp4, "mxpf4")
    with pytest.raises(ValueError, match="is an element format"):
        check_kernel(mxfp4, "e2m1")
    with pytest.raises(ValueError, match="is a block format"):
        check_kernel(mxfp4, "mxfp4", "encode")
    with pytest.raises(ValueError, match="did you mean 'quantize'"):
        check_kernel(mxfp4, "mxfp4", "quantise")
    with pytest.raises(ValueError, match="did you mean 'core'"):
        check_kernel(mxfp4, "mxfp4", level="cor")
    with pytest.raises(ValueError, match="did you mean 'ocp'"):
        check_kernel(mxfp4, "mxfp4", policy="opc")
    with pytest.raises(TypeError, match="got str; a target by its name is for `mxref conform`"):
        check_kernel("py:mine:quantize", "mxfp4")
    with pytest.raises(TypeError, match=r"fn must be a function, got int$"):
        check_kernel(3, "mxfp4")
    with pytest.raises(TypeError, match="fn must be a function"):
        check_kernel("mxfp4", "mxfp4")


# --- stimuli --------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 2, 32, 50])
@pytest.mark.parametrize("fmt", BLOCK_FORMATS)
def test_blocks_are_grouped_and_repeatable(fmt, size):
    fmt = block_format(fmt, size)
    design = stimuli.quantize_stimuli(fmt)
    (x,) = design.inputs
    assert x.dtype == np.float32
    assert x.shape[1] == size
    assert [g.start for g in design.groups] == [0, *(g.stop for g in design.groups[:-1])]
    assert design.groups[-1].stop == len(x)
    again = stimuli.quantize_stimuli(fmt).inputs[0]
    np.testing.assert_array_equal(x.view(np.uint32), again.view(np.uint32))


@pytest.mark.parametrize("name", BLOCK_FORMATS)
def test_blocks_reach_what_matters(name):
    fmt = block_format(name)
    (x,) = stimuli.quantize_stimuli(fmt).inputs
    q = mxref.quantize(x, fmt)
    finite = np.isfinite(x).all(axis=1)
    # both ends of the scale, and every element code under a scale that is a number
    assert q.scales.min() == 0
    assert q.scales[finite].max() >= 254 - fmt.element.emax
    used = set(q.codes[finite].ravel().tolist())
    all_codes = np.arange(fmt.element.code_count, dtype=np.uint8)
    numbers = all_codes[np.isfinite(mxref.decode(all_codes, fmt.element))]
    assert set(numbers.tolist()) - used <= ({0x80} if name == "mxint8" else set())
    # amax at each place, with each sign
    amax = np.abs(x[finite]).argmax(axis=1)
    assert set(amax.tolist()) == set(range(32))
    assert x[~finite].size
    assert (x == 0).all(axis=1).any()


RULES = ["ceil", "rceil", "even", "even-down", "tosa", "nearest-log", "plus-one"]


@pytest.mark.parametrize("name", BLOCK_FORMATS)
def test_blocks_tell_all_scale_rules_apart(name):
    (x,) = stimuli.quantize_stimuli(block_format(name)).inputs
    scales = {
        rule: mxref.quantize(x, name, policy=f"ocp:scale_rule={rule}").scales.tobytes()
        for rule in ["floor", *RULES]
    }
    same = {(a, b) for a in scales for b in scales if a < b and scales[a] == scales[b]}
    # TOSA's threshold is EVEN's wherever max is the top of its binade (semantics, section 7).
    allowed = {("even", "tosa")} if name != "mxfp8_e4m3" else set()
    assert same <= allowed


@pytest.mark.parametrize("name", ELEMENT_FORMATS)
def test_casts_tell_all_roundings_apart(name):
    x = stimuli.encode_stimuli(ELEMENT_FORMATS[name]).inputs[0]
    modes = ["nearest-even", "nearest-away", "nearest-down", "toward-zero", "up", "down", "to-odd"]
    codes = {mxref.encode(x, name, policy=f"ocp:rounding={m}").tobytes() for m in modes}
    assert len(codes) == len(modes)


@pytest.mark.parametrize("through", [ml_dtypes.bfloat16, np.float16])
@pytest.mark.parametrize("name", ELEMENT_FORMATS)
def test_casts_show_double_rounding(name, through):
    x = stimuli.encode_stimuli(ELEMENT_FORMATS[name]).inputs[0]
    with np.errstate(all="ignore"):
        narrow = x.astype(through).astype(np.float32)
    assert (mxref.encode(x, name) != mxref.encode(narrow, name)).any()


# --- targets --------------------------------------------------------------------------------------


def test_the_adapter_uses_copies_and_is_quiet():
    for kernel in load_target("ml_dtypes", format="mxfp4").kernels:
        report = check_kernel(kernel.fn, kernel.format, kernel.op)
        assert report.verdict == "conforms", str(report)


def test_target_narrowing():
    kernels = load_target("ml_dtypes").kernels
    assert len(kernels) == 24
    assert {k.format for k in load_target("ml_dtypes", op="encode").kernels} == {
        "e4m3",
        "e5m2",
        "e3m2",
        "e2m3",
        "e2m1",
        "e8m0",
    }
    assert [k.op for k in load_target("ml_dtypes", format="mxint8").kernels] == [
        "quantize",
        "dequantize",
    ]
