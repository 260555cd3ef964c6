"""`check.checkpoint` on NVFP4: whose recipe, what is right in any case, planted faults."""

from __future__ import annotations

import numpy as np
import pytest
from safetensors.numpy import save_file
from verify_files import save_as, weights

from mxref import casts
from mxref.check.checkpoint import checkpoint
from mxref.check.checkpoint._nvfp4_recipes import RECIPES, largest
from mxref.layouts._layout import Fields

WHOLE = [name for name, recipe in RECIPES.items() if recipe.scale is not None]


def made(x, recipe, g):
    """Codes and scale codes by a recipe."""
    blocks = x.reshape(-1, 16)
    with np.errstate(all="ignore"):
        scales = RECIPES[recipe].scale(largest(blocks), g)
        codes = RECIPES[recipe].encode(blocks, scales, g)
    return codes.reshape(x.shape), scales.reshape(len(x), -1)


def stored(folder, x, codes, scales, g):
    """An original and its NVFP4 form as Model-Optimizer stores it."""
    save_file({"a.weight": x}, folder / "s.safetensors")
    fields = Fields(codes, scales, np.asarray(g, np.float64))
    path = save_as(folder / "q.safetensors", "modelopt", "nvfp4", "a.weight", fields)
    return path, folder / "s.safetensors"


@pytest.fixture
def x():
    found = weights(21, (64, 128))
    found[0] = 0
    found[1] *= 2.0**-14  # block scales that are subnormal, or too small for E4M3
    found[2, :16] = 0.0
    return found


@pytest.fixture
def g(x):
    return np.float32(np.abs(x).max() / np.float32(2688))


@pytest.mark.parametrize("recipe", WHOLE)
def test_the_recipe_that_made_it_is_named(tmp_path, x, g, recipe):
    codes, scales = made(x, recipe, g)
    report = checkpoint(*stored(tmp_path, x, codes, scales, g))
    tensor = report.tensors[0]
    assert report.verdict == "conforms-as", str(report)
    assert report.ok
    assert recipe in tensor.policies
    for other in tensor.policies:
        if other in WHOLE:
            assert all(
                (a == b).all() for a, b in zip(made(x, other, g), (codes, scales), strict=True)
            )


def test_recipes_are_told_apart(tmp_path, x, g):
    found = set()
    for recipe in WHOLE:
        report = checkpoint(*stored(tmp_path, x, *made(x, recipe, g), g))
        found.add(tuple(n for n in report.tensors[0].policies if n in WHOLE))
    assert len(found) >= 5, found


def test_qsnr_and_counts(tmp_path, x, g):
    codes, scales = made(x, "modelopt-nvfp4", g)
    tensor = checkpoint(*stored(tmp_path, x, codes, scales, g)).tensors[0]
    unit = casts.decode(scales, "e4m3").astype(np.float64) * float(g)
    y = casts.decode(codes, "e2m1").astype(np.float64) * unit.repeat(16, 1)
    wide = x.astype(np.float64)
    expected = 10 * np.log10((wide**2).sum() / ((wide - y) ** 2).sum())
    assert tensor.qsnr == pytest.approx(expected, abs=1e-9)
    assert tensor.flushed == ((wide != 0) & (y == 0)).mean()
    assert tensor.saturated == (np.abs(wide) > 6 * unit.repeat(16, 1)).mean()


def test_one_wrong_element_is_located(tmp_path, x, g):
    codes, scales = made(x, "torchao-nvfp4", g)
    codes[17, 33] ^= 1
    path, source = stored(tmp_path, x, codes, scales, g)
    tensor = checkpoint(path, source).tensors[0]
    assert tensor.verdict == "unexplained"
    assert tensor.nearest == "torchao-nvfp4"
    assert (tensor.fault.blocks, tensor.fault.elements, tensor.fault.scales) == (1, 1, 0)
    assert tensor.fault.first.index == (17, 33)
    assert path.read_bytes()[tensor.fault.offset] == codes[17, 32] | codes[17, 33] << 4


def test_scales_of_no_recipe_with_right_elements(tmp_path, x, g):
    _, scales = made(x, "modelopt-nvfp4", g)
    scales = np.where(scales < 0x60, scales + 8, scales).astype(np.uint8)  # twice as large
    blocks = x.reshape(-1, 16)
    codes = RECIPES["nearest-even"].encode(blocks, scales.reshape(-1), g).reshape(x.shape)
    tensor = checkpoint(*stored(tmp_path, x, codes, scales, g)).tensors[0]
    assert tensor.verdict == "unexplained"
    assert "nearest-even" in tensor.policies
    assert any("follow no published recipe" in note for note in tensor.notes)


def test_exchanged_nibbles(tmp_path, x, g):
    codes, scales = made(x, "torchao-nvfp4", g)
    codes = np.ascontiguousarray(codes.reshape(-1, 2)[:, ::-1]).reshape(x.shape)
    tensor = checkpoint(*stored(tmp_path, x, codes, scales, g)).tensors[0]
    assert tensor.verdict == "defect"
    assert tensor.findings[0].id == "L1"
    assert tensor.policy == "torchao-nvfp4"


def test_a_claimed_recipe(tmp_path, x, g):
    paths = stored(tmp_path, x, *made(x, "torchao-nvfp4", g), g)
    assert checkpoint(*paths, policy="torchao-nvfp4").verdict == "conforms"
    other = checkpoint(*paths, policy="modelopt-nvfp4")
    assert not other.ok
    with pytest.raises(ValueError, match="ocp says nothing about nvfp4"):
        checkpoint(*paths, policy="ocp")


def test_the_wrong_source(tmp_path, x, g):
    path, source = stored(tmp_path, x, *made(x, "torchao-nvfp4", g), g)
    save_file({"a.weight": weights(99, (64, 128))}, source)
    assert any("not the source" in n for n in checkpoint(path, source).tensors[0].notes)
