"""Places of a driven kernel: groups of designed inputs are named, not the rows where they lie."""

import numpy as np
import pytest

import mxref
from mxref import check
from mxref.check import stimuli
from mxref.formats import block_format, element_format


def scrambled(codes, rows, among=7):
    """Codes that no rule gives, in some rows: what stands there depends on the place."""
    places = np.arange(codes.size, dtype=np.uint64).reshape(codes.shape)
    noise = places * np.uint64(0x9E3779B97F4A7C15)
    return np.where(rows[:, None], (noise >> np.uint64(40)).astype(np.uint8) & among, codes)


def quantizer(where):
    """A kernel that is right, but for the blocks that `where` picks."""

    def quantize(x):
        q = mxref.quantize(x, "mxfp4")
        return scrambled(q.codes, where(x)), q.scales

    return quantize


def amax(x):
    return np.where(np.isfinite(x), np.abs(x), 0).max(1)


def texts(report):
    assert report.verdict == "unexplained", report
    return [place.what for place in report.places]


def test_tiny_blocks_are_named_as_their_group():
    found = texts(check.kernel(quantizer(lambda x: (amax(x) > 0) & (amax(x) < 2.0**-110)), "mxfp4"))
    assert any("among the inputs designed for: " in text for text in found), found
    # What stands there depends on its place, so that a row in front changes it: that says rows.
    still = [text for text in found if "change when" not in text]
    assert len(still) < len(found), found
    assert not any("rows" in text and " to " in text for text in still), found
    groups = {group.name for group in stimuli.quantize_stimuli(block_format("mxfp4")).groups}
    (named,) = (text.partition("designed for: ")[2][:-1] for text in found if "designed" in text)
    assert set(named.split(", ")) <= groups


def test_an_element_cast_names_its_group_too():
    def encode(x):
        codes = mxref.encode(x, "e4m3")
        rows = (np.abs(x) < 2.0**-9) & (x != 0)
        return scrambled(codes[:, None], rows, 0x7E)[:, 0]

    found = texts(check.kernel(encode, "e4m3", op="encode"))
    groups = {group.name for group in stimuli.encode_stimuli(element_format("e4m3")).groups}
    named = [text.partition("designed for: ")[2][:-1] for text in found if "designed" in text]
    assert all(set(text.split(", ")) <= groups for text in named)
    assert not any("columns" in text and " to " in text for text in found), found


@pytest.mark.parametrize(
    ("where", "words"),
    [
        (lambda n: n >= 1024, "the rows from 1,024 to the last"),
        (lambda n: n % 32 == 31, "rows whose number modulo 32 is 31"),
    ],
    ids=["from", "period"],
)
def test_what_keeps_to_rows_is_said_of_rows(where, words):
    def quantize(x):
        q = mxref.quantize(x, "mxfp4")
        n = np.arange(len(x))
        rows = where(n) if len(x) > 1024 else np.zeros(len(x), bool)
        return scrambled(q.codes, rows, 15), q.scales

    report = check.kernel(quantize, "mxfp4")
    assert any(words in place.what for place in report.places), report
    assert not any("designed for" in place.what for place in report.places), report


def test_given_data_have_no_groups():
    """What the driver set is gone when it is done."""
    check.kernel(quantizer(lambda x: amax(x) < 2.0**-110), "mxfp4")
    x = np.full((4096, 32), 1.0, np.float32)
    x[100:400] = 2.0**-120
    q = mxref.quantize(x, "mxfp4")
    codes = scrambled(q.codes, amax(x) < 1)
    found = texts(check.quantize(x, codes, q.scales, "mxfp4"))
    assert any("rows 100 to 399" in text for text in found), found


def test_bfloat16_inputs_have_the_same_groups():
    def tiny(x):
        size = amax(x.astype(np.float32))
        return (size > 0) & (size < 2.0**-110)

    kernel = quantizer(tiny)
    report = check.kernel(kernel, "mxfp4", input_dtype="bfloat16")
    assert any("designed for" in place.what for place in report.places), report
