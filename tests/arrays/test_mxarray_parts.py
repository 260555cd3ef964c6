"""MXArray as a Python object: indices, axes in another order, copies and comparison."""

import copy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mxref
from mxref.formats import block_format

K = 4  # short blocks make small arrays with many of them


def sample(shape, fmt="mxfp4/4", axis=-1, policy=None, seed=0):
    """Any codes at all, so that NaN, infinities and negative zeros are among them."""
    rng = np.random.default_rng(seed)
    fmt = block_format(fmt)
    axis %= len(shape)
    blocks = (*shape[:axis], -(-shape[axis] // fmt.block_size), *shape[axis + 1 :])
    codes = rng.integers(0, fmt.element.code_count, shape, np.uint8)
    return mxref.MXArray(codes, rng.integers(0, 256, blocks, np.uint8), fmt, axis, policy=policy)


def same(a, b):
    return a.equals(b) and a.policy == b.policy and type(a) is type(b)


# --- indices --------------------------------------------------------------------------------------

items = st.one_of(
    st.integers(-5, 5),
    st.builds(slice, *[st.one_of(st.none(), st.integers(-14, 14))] * 2, st.sampled_from([None, 1])),
    st.builds(slice, st.none(), st.none(), st.sampled_from([-2, -1, 2])),
    st.just(None),
    st.just(Ellipsis),
)


@settings(max_examples=600, deadline=None)
@given(
    st.lists(st.integers(0, 13), min_size=1, max_size=3).map(tuple),
    st.integers(0, 2),
    st.lists(items, max_size=4).map(tuple),
)
def test_an_index_gives_the_values_that_numpy_gives(shape, axis, key):
    q = sample(shape, axis=axis % len(shape))
    values = q.dequantize()
    try:
        expected = values[key]
    except IndexError:
        with pytest.raises((IndexError, ValueError)):
            q[key]
        return
    try:
        found = q[key]
    except ValueError as error:
        assert "block" in str(error)  # noqa: PT017
        assert cuts_blocks(q, key), key
        return
    assert not cuts_blocks(q, key), key
    assert found.shape == expected.shape
    np.testing.assert_array_equal(found.dequantize(), expected)
    if found.size:
        assert np.shares_memory(found.codes, q.codes)
    np.testing.assert_array_equal(  # it fits the checks of the constructor as well
        mxref.MXArray(found.codes, found.scales, q.format, found.axis).dequantize(), expected
    )


def cuts_blocks(q, key):
    """Whether a selection takes some elements of a block and leaves others, or reorders them."""
    item = _item_of(key, q)
    if not isinstance(item, slice) or item.step not in (None, 1):
        return True
    length = q.shape[q.axis]
    chosen = set(range(length)[item])
    return any(
        not set(range(b * K, min((b + 1) * K, length))) <= chosen for b in {c // K for c in chosen}
    )


def _item_of(key, q):
    """The item of an index that concerns the blocked axis."""
    real = [each for each in key if each is not None]
    if Ellipsis in real:
        at = real.index(Ellipsis)
        real[at : at + 1] = [slice(None)] * (q.ndim - len(real) + 1)
    real += [slice(None)] * (q.ndim - len(real))
    return real[q.axis]


def test_indices_that_are_refused_say_what_to_do():
    q = sample((3, 12))
    for key, kind, text in (
        ((0, 1), ValueError, "take an element out of its block"),
        ((0, slice(2, 8)), ValueError, "slice 2:8 of axis 1 .length 12. would cut blocks"),
        ((0, slice(0, 12, 2)), ValueError, "slice 0:12:2"),
        ((slice(None), slice(None, None, -1)), ValueError, "would cut blocks"),
        ((0, 0, 0), IndexError, "3 indices for an MXArray of 2 axes"),
        (7, IndexError, "out of bounds"),
        ((0, 99), IndexError, "out of range for axis 1 of length 12"),
        ((..., ...), IndexError, "one ellipsis"),
        (np.array([0, 1]), TypeError, "takes integers and slices, got ndarray"),
        (np.array([1]), TypeError, "got ndarray"),
        ([0, 1], TypeError, "got list"),
        (True, TypeError, "got bool"),
        (np.True_, TypeError, "got bool"),
        ("codes", TypeError, "got str"),
    ):
        with pytest.raises(kind, match=text):
            q[key]


def test_a_ragged_end_can_be_taken():
    q = sample((2, 10))
    assert q[:, 8:].shape == (2, 2)
    assert q[:, 4:].scales.shape == (2, 2)
    np.testing.assert_array_equal(q[:, 4:].dequantize(), q.dequantize()[:, 4:])
    with pytest.raises(ValueError, match="cut blocks"):
        q[:, 4:9]
    assert q[np.int64(1)].shape == (10,)


@pytest.mark.parametrize("axes", [(), (0, 1, 2), (2, 0, 1), ((1, 0, 2),), (-1, 0, 1), ([2, 1, 0],)])
def test_axes_in_another_order(axes):
    q = sample((2, 3, 12), axis=2)
    expected = q.dequantize().transpose(*axes)
    np.testing.assert_array_equal(q.transpose(*axes).dequantize(), expected)
    assert np.shares_memory(q.transpose(*axes).codes, q.codes)
    assert same(q.T.T, q)


@pytest.mark.parametrize("axes", [(0, 1), (0, 0, 1), (0, 1, 3), (0, 1, -4)])
def test_orders_that_are_none(axes):
    with pytest.raises(ValueError, match="are no order of the 3 axes"):
        sample((2, 3, 12)).transpose(*axes)


# --- copies and comparison ------------------------------------------------------------------------


@pytest.mark.parametrize("make", [mxref.MXArray.copy, copy.copy, copy.deepcopy])
def test_a_copy_has_memory_of_its_own(make):
    q = sample((3, 12), policy="ocp:rounding=toward-zero")
    other = make(q)
    assert same(other, q)
    other.codes[0, 0] ^= 1
    other.scales[0, 0] ^= 1
    assert not np.array_equal(other.codes, q.codes)
    assert not np.array_equal(other.scales, q.scales)


def test_equal_means_equal_bits_under_the_same_meaning():
    q = sample((4, 4), fmt="mxfp8_e4m3/4")
    assert q.equals(q.copy())
    for other in (
        mxref.MXArray(q.codes ^ np.uint8(1), q.scales, q.format),
        mxref.MXArray(q.codes, q.scales ^ np.uint8(1), q.format),
        mxref.MXArray(q.codes, q.scales, "mxfp8_e5m2/4"),
        mxref.MXArray(q.codes, q.scales.T, q.format, axis=0),
        q[:2],
    ):
        assert not q.equals(other)
    nan = sample((4,), fmt="mxfp8_e4m3/4")
    nan.codes[:] = 0x7F
    assert nan.equals(nan.copy())
    with pytest.raises(TypeError, match="another MXArray, got ndarray"):
        q.equals(q.codes)


def test_the_operator_is_refused_instead_of_guessing():
    q = sample((4, 4))
    for compare in (
        lambda: q == q.copy(),
        lambda: q != q.copy(),
        lambda: q == q.dequantize(),
        lambda: q.dequantize() == q,
    ):
        with pytest.raises(TypeError, match=r"q\.equals\(other\)"):
            compare()
    assert (q == "mxfp4") is False
    assert q != None  # noqa: E711
    assert len({q, q.copy()}) == 2
    assert q in [q.codes.dtype, q]
