"""`compare` of a few numbers: by the definitions, the same bits as by the kernels."""

import subprocess
import sys

import ml_dtypes
import numpy as np
import pytest

from mxref.quality._candidates import ALL_FORMATS, candidates, top_codes
from mxref.quality._formats import any_format
from mxref.relatives.bdr_format import BDRFormat
from mxref.show.compare import compare
from mxref.show.compare._exact import is_top, made, scale_value
from mxref.show.compare._few import _bits
from mxref.show.diff._lines import line_of
from mxref.show.diff._place import split
from mxref.show.diff._scaling import scale_values

_MORE = ("mxfp4/4", "mxint8/8", "mx9:k1=8")
SPECIALS = [0.0, -0.0, np.inf, -np.inf, np.nan, 1e-45, 2.0**-130, 3.4e38, -1.3, 7.9]


def numbers(kind, dtype, rng):
    """Numbers of one character; at most 32, so that there are several blocks and short ones."""
    count = int(rng.integers(1, 33))
    if kind == "specials":
        found = rng.choice(SPECIALS, count)
    elif kind == "range":
        found = rng.standard_normal(count) * np.exp2(rng.integers(-60, 60, count))
    elif kind == "ties":
        found = rng.choice([0.25, 0.75, -1.25, 1.75, 2.5, 3.5, 5.0, 6.0, 7.0], count)
    else:
        found = rng.standard_normal(count)
    with np.errstate(over="ignore"):
        return found.astype(dtype)


def same(x, candidate):
    """Compare with the kernels, bit by bit; a refusal is the same sort of error."""
    try:
        q = candidate.quantize(x)
    except (TypeError, ValueError) as error:
        with pytest.raises(type(error)):
            made(x, candidate)
        return
    found = made(x, candidate)
    scales = np.asarray(q.scales).reshape(-1)
    words = scales if scales.dtype == np.uint8 else scales.view(np.uint32)
    assert found.codes == tuple(q.codes.tolist())
    assert found.scales == tuple(words.tolist())
    assert found.bits == tuple(q.dequantize().view(np.uint32).tolist())
    if getattr(q, "subscales", None) is not None:
        assert found.subscales == tuple(np.asarray(q.subscales).reshape(-1).tolist())
    whole = getattr(q, "global_scale", None)
    bits = None if whole is None else int(np.float32(whole).view(np.uint32))
    assert found.global_scale == bits


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, ml_dtypes.bfloat16])
@pytest.mark.parametrize("kind", ["normal", "range", "ties", "specials"])
def test_the_same_bits_as_the_kernels(kind, dtype):
    rng = np.random.default_rng(len(kind))
    chosen = candidates([*ALL_FORMATS, *_MORE], is_matrix=False)
    assert len(chosen) > 60
    for candidate in chosen:
        same(numbers(kind, dtype, rng), candidate)


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("mxfp4", "ocp:nan_element=raise"),
        ("mxfp8_e5m2", "ocp:inf_element=raise"),
        ("mxfp8_e4m3", "ocp:decode_nan=canonical"),
        ("nvfp4", "te-1d:float64=refuse"),
        ("nvfp4", "te-1d:amax_nan=propagate"),
        ("mx6", "bdr-paper:scale_below=flush"),
    ],
)
def test_under_other_policies(name, rule):
    rng = np.random.default_rng(1)
    (candidate,) = candidates([name], [rule], is_matrix=False)
    for kind in ("specials", "range"):
        for dtype in (np.float32, np.float64):
            for _ in range(4):
                same(numbers(kind, dtype, rng), candidate)


@pytest.mark.parametrize("name", ["mxfp4", "nvfp4", "mx9"])
def test_scales_mean_what_they_mean_to_diff(name):
    fmt = any_format(name)
    codes = np.arange(256, dtype=np.uint8)
    found = [scale_value(int(code), fmt) for code in codes]
    np.testing.assert_array_equal(found, scale_values(codes, fmt))


@pytest.mark.parametrize("name", ALL_FORMATS)
def test_the_largest_codes(name):
    fmt = any_format(name)
    tops = top_codes(fmt)
    count = fmt.code_count if isinstance(fmt, BDRFormat) else fmt.element.code_count
    assert [is_top(code, fmt) for code in range(count)] == tops[:count].tolist()


def test_bits_are_cut_as_diff_cuts_them():
    for outcome in compare([1.3, -2.0, 0.1], ALL_FORMATS):
        fields = line_of(any_format(outcome.format)).fields
        for i, code in enumerate(outcome.codes):
            assert _bits(outcome, i) == split(code, fields)


def test_no_kernel_is_compiled():
    """A cold cache of kernels would take half a minute to tell what 7.9 becomes."""
    code = (
        "import sys; sys.modules['numba'] = None; from mxref.cli.main import main; "
        "main(['compare', '7.9', '-0.1'])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=100
    )
    assert ran.returncode == 0, ran.stderr
    assert "mxfp4, 4.25 bits an element" in ran.stdout
