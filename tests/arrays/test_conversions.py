"""The public conversions: each family gets what belongs to it, and nothing else."""

import subprocess
import sys

import numpy as np
import pytest

import mxref
from mxref import arrays, bdr, nvfp4
from mxref.mxarray import MXArray

X = np.random.default_rng(8).standard_normal((4, 64)).astype(np.float32)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("mxfp4", MXArray),
        ("MXFP8_E4M3", MXArray),
        ("nvfp4", nvfp4.NVFP4Array),
        (" NVFP4 ", nvfp4.NVFP4Array),
        ("mx9", bdr.BDRArray),
        ("bdr:m=5,k1=16,k2=4,d1=8,d2=2", bdr.BDRArray),
    ],
)
def test_the_name_of_a_format_decides_the_family(name, kind):
    q = mxref.quantize(X, name)
    assert type(q) is kind
    assert q.shape == X.shape
    assert np.abs(q.dequantize() - X).max() < 1


def test_each_family_gives_what_its_own_function_gives():
    ours = mxref.quantize(X.T, "nvfp4", 0, "torchao")
    theirs = nvfp4.quantize(X.T, 0, "torchao")
    assert np.array_equal(ours.codes, theirs.codes)
    assert ours.policy == theirs.policy == nvfp4.get_policy("torchao")
    ours, theirs = mxref.quantize(X, "mx6"), bdr.quantize(X, "mx6")
    assert np.array_equal(ours.codes, theirs.codes)
    assert np.array_equal(ours.subscales, theirs.subscales)
    ours, theirs = mxref.quantize(X, "mxint8/16"), arrays.quantize(X, "mxint8/16")
    assert np.array_equal(ours.codes, theirs.codes)


def test_dequantize_takes_what_quantize_made():
    q = mxref.quantize(X, "nvfp4")
    y = mxref.dequantize(q.codes, q.scales, "nvfp4", global_scale=q.global_scale)
    assert np.array_equal(y, q.dequantize())
    q = mxref.quantize(X, "mx9")
    y = mxref.dequantize(q.codes, q.scales, "mx9", subscales=q.subscales)
    assert np.array_equal(y, q.dequantize())
    q = mxref.quantize(X, "mxfp4")
    assert np.array_equal(mxref.dequantize(q.codes, q.scales, "mxfp4"), q.dequantize())


@pytest.mark.parametrize(
    ("name", "given", "text"),
    [
        ("mxfp4", {"global_scale": 1.0}, "global_scale is for NVFP4, and mxfp4 is none"),
        ("mx9", {"block_size": 32}, "block_size is for MX formats, and mx9 is none"),
        ("nvfp4", {"block_size": 32}, "block_size is for MX formats"),
        ("mx9", {"global_amax": 1.0}, "global_amax is for NVFP4, and mx9 is none"),
    ],
)
def test_what_belongs_to_another_family_is_refused(name, given, text):
    with pytest.raises(TypeError, match=text):
        mxref.quantize(X, name, **given)


@pytest.mark.parametrize(
    ("name", "policy"),
    [("nvfp4", "ocp"), ("mx9", "te-1d"), ("mxfp4", "quark-torch")],
)
def test_a_policy_of_another_family_is_refused_by_name(name, policy):
    with pytest.raises(ValueError, match="policy"):
        mxref.quantize(X, name, policy=policy)


@pytest.mark.parametrize(
    ("name", "policy"),
    [
        ("nvfp4", mxref.Policy()),
        ("mx9", mxref.Policy()),
        ("mxfp4", nvfp4.NVFP4Policy()),
        ("mxfp4", bdr.BDRPolicy()),
    ],
)
def test_a_policy_object_of_another_family_is_refused(name, policy):
    with pytest.raises(TypeError, match="policy must be"):
        mxref.quantize(X, name, policy=policy)


@pytest.mark.parametrize("name", ["nvfp5", "mx8", "fp4", ""])
def test_an_unknown_format_is_named(name):
    with pytest.raises(ValueError, match="format"):
        mxref.quantize(X, name)


def test_naming_a_relative_where_only_mx_goes_says_what_it_is():
    with pytest.raises(ValueError, match=r"'nvfp4' is no MX format.*mxref\.nvfp4"):
        mxref.block_format("nvfp4")
    with pytest.raises(ValueError, match=r"'mx9' is no MX format.*mxref\.bdr"):
        mxref.block_format("mx9")


def test_import_mxref_loads_no_relative():
    code = "import sys, mxref; print([m for m in sys.modules if 'bdr' in m or 'nvfp4' in m])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
