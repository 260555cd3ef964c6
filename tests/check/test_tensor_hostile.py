"""Functions on stored tensors that misbehave: trouble or a place, never a traceback."""

import sys
from pathlib import Path

import numpy as np
import pytest

from mxref import check

sys.path.insert(0, str(Path(__file__).parent))
import hand_layouts as hand

FMT = "mxfp8_e4m3"
CALLS = 64


def written(x):
    plane = hand.scales_of(hand.amax_of(x), FMT)
    return hand.encode(x, plane, FMT), plane


def read(elements, scales, shape):
    return hand.decode(elements.reshape(shape), scales.reshape(shape[0], -1), FMT)


def driven(fn, op, level="core"):
    calls = []

    def counted(*given):
        calls.append(1)
        return fn(*given)

    report = check.kernel(counted, FMT, op=op, level=level)
    assert len(calls) <= CALLS
    for text in (str(report), report.to_json(), report.to_markdown(), report.to_html()):
        assert text
    return report


@pytest.mark.parametrize("level", ["smoke", "core", "full"])
def test_sound_functions_conform_at_every_level(level):
    assert driven(written, "quantize_tensor", level).verdict in ("conforms", "conforms-as")
    assert driven(read, "dequantize_tensor", level).verdict == "conforms"


def changes_its_input(x):
    result = written(x)
    x[0, 0] = 7
    return result


def reshapes_its_input(x):
    result = written(x)
    x.shape = (-1,)
    return result


def fails_late(x):
    if x.shape[0] > 100:
        raise RuntimeError("<b>out of memory</b>")
    return written(x)


class Unreadable:
    def __array__(self, *_args, **_kwargs):
        raise RuntimeError("lost on the device")


WRITERS = {
    "None": (lambda _: None, "garbage"),
    "a pair of None": (lambda _: (None, None), "garbage"),
    "a number": (lambda _: 3, "garbage"),
    "three": (lambda x: (*written(x), 1), "garbage"),
    "a generator": (lambda _: (i for i in range(2)), "garbage"),
    "no arrays": (lambda _: (Unreadable(), Unreadable()), "garbage"),
    "text": (lambda _: ("abc", "def"), "mis-wired"),
    "wide codes": (lambda x: tuple(a.astype(np.int64) for a in written(x)), "mis-wired"),
    "values": (lambda x: (x, np.ones(3, np.float32)), "mis-wired"),
    "truth": (lambda x: (x > 0, x > 0), "mis-wired"),
    "nothing": (lambda _: (np.zeros(0, np.uint8), np.zeros(0, np.uint8)), "mis-wired"),
    "too few codes": (lambda x: (written(x)[0].ravel()[5:], written(x)[1]), "mis-wired"),
    "too many scales": (lambda x: (written(x)[0], np.ones(99999, np.uint8)), "mis-wired"),
    "no scales": (lambda x: (written(x)[0], np.zeros(0, np.uint8)), "mis-wired"),
    "an exception": (lambda _: 1 / 0, "raised"),
    "a late exception": (fails_late, "raised"),
    "an exit": (lambda _: exit(3), "crashed"),  # noqa: PLR1722  # what a target might call
    "its input": (changes_its_input, "changed-input"),
    "the shape of its input": (reshapes_its_input, "changed-input"),
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_hostile_writer_is_trouble(name):
    fn, kind = WRITERS[name]
    report = driven(fn, "quantize_tensor")
    assert report.trouble is not None, report
    assert report.trouble.kind == kind, report.trouble
    assert report.verdict == "not-testable"
    assert not report.ok
    assert "<b>out of memory" not in report.to_html()


def spoils_scales(elements, scales, shape):
    values = read(elements, scales, shape)
    scales[:] = 0
    return values


READERS = {
    "None": (lambda *_: None, "garbage"),
    "ragged lists": (lambda *_: [[1], [1, 2]], "garbage"),
    "no array": (lambda *_: Unreadable(), "garbage"),
    "text": (lambda *_: "x", "mis-wired"),
    "float64": (lambda *given: read(*given).astype(np.float64), "mis-wired"),
    "another shape": (lambda *given: read(*given).ravel(), "mis-wired"),
    "the transpose": (lambda *given: read(*given).T, "mis-wired"),
    "codes": (lambda elements, _, shape: elements.reshape(shape), "mis-wired"),
    "an exception": (lambda *_: 1 / 0, "raised"),
    "two parameters": (lambda elements, _: elements, "raised"),
    "its input": (spoils_scales, "changed-input"),
}


@pytest.mark.parametrize("name", READERS)
def test_a_hostile_reader_is_trouble(name):
    fn, kind = READERS[name]
    report = driven(fn, "dequantize_tensor")
    assert report.trouble is not None, report
    assert report.trouble.kind == kind, report.trouble
    assert not report.ok


@pytest.mark.parametrize("op", ["quantize_tensor", "dequantize_tensor"])
def test_what_is_another_each_time_is_said_to_be(op):
    rng = np.random.default_rng(0)

    def writes(x):
        codes, plane = written(x)
        return rng.integers(0, 256, codes.shape, np.uint8), plane

    def reads(_elements, _scales, shape):
        return rng.random(shape, np.float32)

    report = driven(writes if op == "quantize_tensor" else reads, op)
    assert report.trouble.kind == "nondeterministic"
    assert report.verdict == "unexplained"


@pytest.mark.parametrize("fill", [0, 0x7E, 0xFF])
def test_constant_codes_are_a_place(fill):
    def writes(x):
        codes, plane = written(x)
        return np.full_like(codes, fill), plane

    report = driven(writes, "quantize_tensor")
    assert report.verdict == "unexplained", report
    assert report.places[0].what == f"Every output is 0x{fill:02x}."
    assert not report.findings


@pytest.mark.parametrize("value", [0.0, 1.0, np.inf, np.nan])
def test_constant_values_are_a_place(value):
    report = driven(lambda _e, _s, shape: np.full(shape, value, np.float32), "dequantize_tensor")
    assert report.verdict == "unexplained", report
    assert report.places[0].what.startswith("Every output is 0x")


def test_constant_scales_are_a_place():
    def writes(x):
        codes, plane = written(x)
        return codes, np.full_like(plane, 0x7F)

    report = driven(writes, "quantize_tensor", "smoke")
    assert report.verdict == "unexplained", report
    assert report.places[0].what == "Every scale code is 0x7f."


def test_garbage_is_unexplained_and_soon():
    def writes(x):
        codes, plane = written(x)
        return np.random.default_rng(1).integers(0, 256, codes.shape, np.uint8), plane

    report = driven(writes, "quantize_tensor", "smoke")
    assert report.verdict == "unexplained"
    assert report.places  # the address probe
    assert report.mismatches.scales == 0
