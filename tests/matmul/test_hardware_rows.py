"""Outputs of real tensor cores, where they are at hand: beside the repository, not in it."""

from pathlib import Path

import numpy as np
import pytest

from mxref.formats import block_format
from mxref.matmul import Operands
from mxref.matmul.nvidia import ACCUMULATORS

FOLDER = Path(__file__).resolve().parents[2].parent / "shared" / "hardware"
ROWS = 5000
MODELS = {model.name: model for model in ACCUMULATORS}

# Recorded with wgmma, whose addend was left at zero (float32), and with mma.sync (float16).
CASES = [
    ("ada", "fp32", "nv-ada-fp8", True),
    ("ada", "fp16", "nv-ada-fp8-f16", True),
    ("h100", "fp32", "nv-hopper-fp8", False),
    ("h100", "fp16", "nv-hopper-mma-fp8-f16", True),
]


def rows(device, element, has_addend):
    path = FOLDER / f"{device}_{element}.npz"
    if not path.exists():
        pytest.skip(f"no recorded outputs at ../shared/hardware ({path.name})")
    data = np.load(path)
    fmt = block_format(f"mxfp8_{element}")
    scales = np.full((ROWS, 1), 127, np.uint8)
    c = data["c"].view(np.float32) if has_addend else None
    operands = Operands(data["a"], scales, data["b"], scales, fmt, fmt, c, is_paired=True)
    return data, operands


@pytest.mark.parametrize("element", ["e4m3", "e5m2"])
@pytest.mark.parametrize(("device", "output", "name", "has_addend"), CASES)
def test_a_model_gives_every_recorded_bit(device, output, name, has_addend, element):
    data, operands = rows(device, element, has_addend)
    model = MODELS[name]
    assert not model.refuses(operands)
    got = model.run(operands)
    want = data[f"d_{output}"]
    assert got.shape == want.shape == (ROWS,)
    assert int((got.view(want.dtype) == want).sum()) == ROWS


@pytest.mark.parametrize("element", ["e4m3", "e5m2"])
@pytest.mark.parametrize(
    ("device", "output", "wrong"),
    [
        ("ada", "fp32", "nv-hopper-fp8"),
        ("h100", "fp32", "nv-ada-fp8"),
        ("h100", "fp32", "nv-blackwell-fp8"),
        ("h100", "fp16", "nv-hopper-fp8-f16"),
        ("ada", "fp16", "nv-hopper-mma-fp8-f16"),
    ],
)
def test_the_rows_tell_models_apart(device, output, wrong, element):
    has_addend = (device, output) != ("h100", "fp32")
    data, operands = rows(device, element, has_addend)
    got = MODELS[wrong].run(operands)
    want = data[f"d_{output}"]
    assert int((got.view(want.dtype) != want).sum()) > 0.05 * ROWS


@pytest.mark.parametrize(("device", "output", "name", "has_addend"), CASES)
def test_whole_matrices_hold_the_same_rows(device, output, name, has_addend):
    data, operands = rows(device, "e4m3", has_addend)
    n = 100
    c = None if operands.c is None else np.repeat(operands.c[:n, None], n, axis=1)
    scales = operands.a_scales[:n]
    a, b = operands.a_codes[:n], operands.b_codes[:n]
    fmt = operands.a_format
    got = MODELS[name].run(Operands(a, scales, b, scales, fmt, fmt, c))
    want = data[f"d_{output}"][:n]
    np.testing.assert_array_equal(np.diag(got).copy().view(want.dtype), want)
