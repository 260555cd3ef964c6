"""What a driven target of NVFP4 can do wrong beside its arithmetic; decoders; scales out of order.

A report says each of these; nothing ends in a traceback of ours.
"""

import time

import naive_nvfp4 as naive
import numpy as np
import pytest

import mxref
from mxref import nvfp4
from mxref.check import nvfp4 as check
from mxref.layouts import pack_scales, unpack_scales

RNG = np.random.default_rng(11)
DRAWS = np.random.default_rng(12)


def _changed(**parts):
    """A right quantizer of which some outputs are changed."""

    def quantize(x):
        q = nvfp4.quantize(x)
        made = {"codes": q.codes, "scales": q.scales, "g": q.global_scale}
        return tuple(parts.get(name, lambda a: a)(value) for name, value in made.items())

    return quantize


def _raises(_):
    raise KeyError("no such kernel")


def _exits(_):
    raise SystemExit(3)


def _writes(x):
    q = nvfp4.quantize(x)
    x[0, 0] = 1
    return q


def _draws(x):
    return nvfp4.quantize(x, policy="te-1d:rounding=stochastic", random=DRAWS)


TROUBLES = {
    "nothing": (lambda _: None, "mis-wired", "returned None"),
    "values": (lambda x: x, "mis-wired", "ndarray"),
    "a dict": (lambda _: {}, "mis-wired", "dict"),
    "one part": (lambda x: (x,), "mis-wired", "of 1"),
    "values as codes": (lambda x: (x, x), "mis-wired", "values instead of codes"),
    "raises": (_raises, "raised", "no such kernel"),
    "exits": (_exits, "crashed", "sys.exit"),
    "writes": (_writes, "changed-input", "argument 1"),
    "draws": (_draws, "nondeterministic", "two calls"),
    "packed": (_changed(codes=lambda c: c[:, ::2]), "mis-wired", "packed"),
    "codes of 8 bits": (_changed(codes=lambda c: c + 16), "mis-wired", "0 to 15"),
    "half the scales": (_changed(scales=lambda s: s[:, ::2]), "mis-wired", "blocks of 32"),
    "few scales": (_changed(scales=lambda s: s[::16]), "mis-wired", "16 x 16"),
    "tiles": (_changed(scales=lambda s: pack_scales(s, "128x4")), "mis-wired", "unpack_scales"),
    "no global scale": (_changed(g=lambda _: None), "mis-wired", "decode multiplier"),
    "many global scales": (_changed(g=lambda _: np.ones(3)), "mis-wired", "single number"),
    "a word": (_changed(g=lambda _: "big"), "mis-wired", "dtype"),
}


@pytest.mark.parametrize("name", TROUBLES)
def test_trouble_is_reported(name):
    fn, kind, text = TROUBLES[name]
    report = mxref.check.kernel(fn, "nvfp4")
    assert not report.ok
    assert report.trouble is not None, str(report)
    assert (report.trouble.kind, text in report.trouble.text) == (kind, True), report.trouble
    unstable = kind == "nondeterministic"
    assert report.verdict == ("unexplained" if unstable else "not-testable")
    assert kind in str(report)


def test_the_order_of_outputs_is_looked_at():
    def exchanged(x):
        q = nvfp4.quantize(x)
        return q.scales, q.codes, q.global_scale

    assert "return (codes, scales)" in check.drive(exchanged).trouble.text


def test_a_hang_is_reported():
    report = mxref.check.kernel(lambda _: time.sleep(3), "nvfp4", timeout=0.2)
    assert report.trouble.kind == "timed-out"


def test_flat_scales_and_two_parts_are_taken():
    flat = _changed(scales=lambda s: s.reshape(-1))
    assert check.drive(flat, level="smoke").verdict == "conforms"
    single = "te-1d:levels=single-level"

    def alone(x):
        q = nvfp4.quantize(x, policy=single)
        return q.codes, q.scales

    assert check.drive(alone, policy=single).verdict == "conforms"


def test_wrong_arguments_of_drive():
    with pytest.raises(TypeError, match="function"):
        check.drive(3)
    for options in ({"op": "dot"}, {"level": "all"}, {"input_dtype": "float8"}):
        with pytest.raises(ValueError, match="unknown"):
            check.drive(nvfp4.quantize, **options)
    with pytest.raises(ValueError, match="random="):
        check.drive(nvfp4.quantize, policy="te-1d:rounding=stochastic")


# --- decoders -------------------------------------------------------------------------------------

DECODERS = {
    "": None,
    "D1": "D1",
    "D3": "D3",
    "D15": "D15",
    "L1": "L1",
    "S16-dropped": "S16",
    "S16-inverted": "S16",
    "S16-twice": "S16",
}


@pytest.mark.parametrize("wrong", DECODERS)
def test_a_driven_decoder(wrong):
    report = mxref.check.kernel(
        lambda c, s, g: naive.dequantize(c, s, g, wrong), "nvfp4", "dequantize"
    )
    assert report.verdict == ("defect" if wrong else "conforms"), str(report)
    assert {f.id for f in report.findings} == ({DECODERS[wrong]} if wrong else set()), str(report)


def test_the_other_order_of_a_driven_decoder():
    def fn(codes, scales, g):
        return nvfp4.dequantize(codes, scales, g, policy="torchao")

    report = check.drive(fn, "dequantize")
    assert report.verdict == "conforms-as"
    assert report.policy.decode_order == "scale-first"
    assert "torchao" in report.profiles
    assert "mlx" not in report.profiles
    assert check.drive(fn, "dequantize", "torchao").verdict == "conforms"
    assert not check.drive(fn, "dequantize", "te-1d").ok


def test_trouble_of_a_decoder():
    report = mxref.check.kernel(lambda *_: None, "nvfp4", "dequantize")
    assert report.trouble.kind == "mis-wired"
    wide = check.drive(lambda c, s, g: nvfp4.dequantize(c, s, g).astype(float), "dequantize")
    assert "float32" in wide.trouble.text


def test_what_decoders_are_given():
    for stimulus in check.encoded("full"):
        blocks = stimulus.codes.reshape(-1, 16)
        pairs = blocks | stimulus.scales.reshape(-1, 1).astype(np.uint16) << 4
        assert len(np.unique(pairs)) == 16 * 128


# --- scales out of order --------------------------------------------------------------------------


def _tiled(scales):
    return pack_scales(scales, "128x4").reshape(scales.shape)


def _untiled(scales):
    return unpack_scales(scales.reshape(-1), "128x4", scales.shape)


@pytest.mark.parametrize(
    ("move", "detail"),
    [
        (_tiled, "not undone"),
        (_untiled, "undone where there is none"),
        (lambda s: _tiled(_tiled(s)), "applied twice"),
    ],
)
def test_scales_out_of_order_are_named(move, detail):
    x = (RNG.standard_normal((128, 128)) * np.exp(RNG.standard_normal((128, 1)))).astype(np.float32)
    codes, scales, g = naive.quantize(x)
    report = check.quantize(x, codes, move(scales), global_scale=g)
    assert report.verdict == "defect"
    assert [(f.id, f.detail) for f in report.findings] == [("L3", f"128x4, {detail}")], str(report)
    assert report.findings[0].witness.got_bits != report.findings[0].witness.expected_bits
    y = naive.dequantize(codes, move(scales), g)
    decoded = check.dequantize(codes, scales, y, global_scale=g)
    assert [f.id for f in decoded.findings] == ["L3"], str(decoded)
    assert decoded.verdict == "defect"


# --- what a report says, and what it leaves out ---------------------------------------------------


def test_a_report_of_a_wrong_scale_of_the_tensor():
    x = np.random.default_rng(0).standard_normal((64, 256)).astype(np.float32)
    q = nvfp4.quantize(x, policy="torchao")
    given = x, q.codes, q.scales, "nvfp4"
    inverse = 1 / q.global_scale
    report = mxref.check.quantize(*given, global_scale=inverse)
    assert report.verdict == "defect"
    assert not report.profiles
    text = " ".join(str(report).split())
    assert "Bit for bit like" not in text
    assert "All but what is named above is bit for bit as by" in text
    assert "tensor: amax" in text
    assert "[]" not in text
    assert "Scale of the tensor" in report.to_html()
    rules = {rule.name.partition("=")[0] for rule in report.inferred}
    assert not rules & {"nan_element", "zero_scale", "scale_zero", "scale_least"}
    assert "rounding" in rules
    right = mxref.check.quantize(*given, global_scale=q.global_scale)
    assert "torchao" in right.profiles
    assert "Bit for bit like" in str(right)
    with pytest.raises(ValueError, match=r"global_scale=1\.0"):
        mxref.check.quantize(*given)
