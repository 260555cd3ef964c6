"""Elements under scales that differ: counted by pairs of codes as they are one by one."""

import numpy as np
import pytest

import mxref
from mxref.show.diff import _count, diff


def pair(name, axis, kind, seed):
    rng = np.random.default_rng(seed)
    shape = (64, 96) if axis else (96, 64)
    x = (rng.standard_normal(shape) * np.exp2(rng.integers(-6, 6, shape))).astype(np.float32)
    q = mxref.quantize(x, name, axis)
    top = 16 if q.codes.max() < 16 else 64 if q.codes.max() < 64 else 256
    codes = np.where(rng.random(shape) < 0.4, rng.integers(0, top, shape), q.codes)
    scales = q.scales.astype(int)
    if kind == "up":
        scales += 1
    elif kind == "some":
        scales += rng.integers(-2, 3, scales.shape)
    else:
        scales = rng.integers(100, 126, scales.shape)  # more pairs than are counted
    other = (codes.astype(np.uint8), np.clip(scales, 1, 126 if name == "nvfp4" else 254))
    given = (q.codes, q.scales), (other[0], other[1].astype(np.uint8))
    if name == "nvfp4":
        return tuple((*each, 0.5) for each in given)
    return given


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("kind", ["up", "some", "many"])
@pytest.mark.parametrize("name", ["mxfp4", "mxfp8_e4m3", "mxfp8_e5m2", "mxint8", "nvfp4", "msfp12"])
def test_the_same_counts_as_one_by_one(name, axis, kind, monkeypatch):
    a, b = pair(name, axis, kind, len(name))
    fast = diff(a, b, name, axis)
    monkeypatch.setattr(_count, "variants_of", lambda _: None)
    slow = diff(a, b, name, axis)
    assert fast.count == slow.count > 1000
    assert fast.to_dict() == slow.to_dict()
    assert str(fast) == str(slow)
    assert fast.farthest.flat == slow.farthest.flat


def test_pairs_of_codes_are_judged_and_not_elements(monkeypatch):
    """A hundred times as many elements as there are pairs: time must not follow their number."""
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 16, (64, 4096), np.uint8)
    scales = rng.integers(90, 160, (64, 128)).astype(np.uint8)
    judged = []
    judge = _count.judge

    def counted(line, scaling, flat, a, b):
        judged.append(len(flat))
        return judge(line, scaling, flat, a, b)

    monkeypatch.setattr(_count, "judge", counted)
    found = diff((codes, scales), (codes[::-1].copy(), scales + np.uint8(1)), "mxfp4")
    assert found.count == codes.size
    assert sum(judged) <= 256
