"""BDR arrays: axes, memory layouts, padding, outputs, bytes, integers, and errors."""

import numpy as np
import pytest

from mxref import bdr
from mxref.exact import bdr as exact
from mxref.exact import ieee

FORMATS = (
    "mx9",
    "mx4",
    "msfp12",
    "bfp16",
    "scaled_int8:k1=32",
    "vsq4:k1=32,k2=16",
    "scaled_fp8_e4m3",
)


def numbers(shape, seed=0):
    rng = np.random.default_rng(seed)
    return (rng.standard_normal(shape) * 2.0 ** rng.integers(-6, 6, shape)).astype(np.float32)


def same(a, b):
    assert (a.codes == b.codes).all()
    assert (a.scales == b.scales).all()
    assert (a.subscales is None) == (b.subscales is None)
    if a.subscales is not None:
        assert (a.subscales == b.subscales).all()


@pytest.mark.parametrize("name", FORMATS)
def test_any_axis_and_layout_gives_what_moving_the_axis_gives(name):
    x = numbers((32, 3, 64))
    last = bdr.quantize(np.ascontiguousarray(np.moveaxis(x, 0, -1)), name)
    first = bdr.quantize(x, name, axis=0)
    move = lambda a: a if a is None or a.ndim == 0 else np.moveaxis(a, -1, 0)  # noqa: E731
    assert (first.codes == move(last.codes)).all()
    assert (first.scales == move(last.scales)).all()
    if last.subscales is not None:
        assert (first.subscales == move(last.subscales)).all()
    assert (first.dequantize() == move(last.dequantize())).all()
    for other in (np.asfortranarray(x), x.astype(">f4"), np.repeat(x, 2, axis=1)[:, ::2]):
        same(bdr.quantize(other, name, axis=2), bdr.quantize(x, name, axis=2))
        same(bdr.quantize(other, name, axis=0), first)


@pytest.mark.parametrize("name", FORMATS)
def test_padding_counts_zeros_and_drops_them(name):
    x = numbers((3, 70))
    fmt = bdr.bdr_format(name)
    if fmt.k1 is None:
        return
    with pytest.raises(ValueError, match="pass pad=True"):
        bdr.quantize(x, name)
    q = bdr.quantize(x, name, pad=True)
    whole = np.zeros((3, 96), np.float32)
    whole[:, :70] = x
    full = bdr.quantize(whole, name)
    blocks = q.scales.shape[1]
    assert (q.codes == full.codes[:, :70]).all()
    assert (q.scales == full.scales[:, :blocks]).all()
    if q.subscales is not None:
        assert (q.subscales == full.subscales[:, : q.subscales.shape[1]]).all()
    assert (q.dequantize() == full.dequantize()[:, :70]).all()
    again = bdr.BDRArray(q.codes, q.scales, q.subscales, name)
    assert (again.dequantize() == q.dequantize()).all()


@pytest.mark.parametrize("name", FORMATS)
def test_out_is_written_and_returned(name):
    x = numbers((4, 64))
    q = bdr.quantize(x, name)
    other = bdr.quantize(x * 3, name)
    assert bdr.quantize(x, name, out=other, policy="bdr-paper") is other
    same(other, q)
    y = np.empty((4, 64), np.float32)
    assert q.dequantize(y) is y
    assert (y == np.asarray(q)).all()
    assert (bdr.dequantize(q.codes, q.scales, name, subscales=q.subscales) == y).all()
    strided = np.empty((4, 128), np.float32)[:, ::2]
    assert (q.dequantize(strided) == y).all()


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("shape", [(0, 32), (2, 0), (0,)])
def test_nothing_is_a_size_too(name, shape):
    q = bdr.quantize(np.zeros(shape, np.float32), name)
    assert q.shape == shape
    assert q.dequantize().shape == shape


def test_large_arrays_agree_with_small_ones():
    """On several threads and in slabs as in one go."""
    x = numbers((300, 1024))
    for name in ("mx9", "scaled_int8", "scaled_fp8_e5m2"):
        q = bdr.quantize(x, name)
        assert (q.codes == bdr.quantize(np.asfortranarray(x), name).codes).all()
        if q.format.k1 is None:
            continue
        for i in (0, 150, 299):
            assert (q.codes[i] == bdr.quantize(x[i].copy(), name).codes).all()
        # And with the definition, on one block.
        k1 = q.format.k1
        block = [ieee.from_bits(int(b), "float32") for b in x[7, :k1].view(np.uint32)]
        assert exact.quantize(block, name)[2] == tuple(int(c) for c in q.codes[7, :k1])


@pytest.mark.parametrize("name", ["mx9", "mx6", "mx4"])
def test_bytes_there_and_back(name):
    q = bdr.quantize(numbers((3, 48)), name)
    packed = bdr.pack(q)
    assert packed.shape == (3, 3 * int(q.format.block_bits) // 8)
    back = bdr.unpack(packed, name)
    same(back, q)
    with pytest.raises(ValueError, match="move that axis"):
        bdr.pack(bdr.quantize(numbers((16, 3)), name, axis=0))
    with pytest.raises(ValueError, match="no record of bytes"):
        bdr.pack(bdr.quantize(numbers((3, 48)), "msfp16"))


@pytest.mark.parametrize(
    "name", ["mx9", "mx6", "mx4", "msfp16", "bfp16", "bdr:m=5,k1=16,k2=4,d2=2"]
)
@pytest.mark.parametrize("axis", [0, 1])
def test_scaled_integers_are_the_values(name, axis):
    q = bdr.quantize(numbers((32, 48)), name, axis=axis)
    integers, exponents = bdr.as_scaled_integers(q)
    assert integers.dtype == np.int16
    spread = np.repeat(exponents, q.format.k1, axis=axis)
    assert (np.ldexp(integers.astype(np.float64), spread) == q.dequantize()).all()


def test_scaled_integers_where_there_are_none():
    with pytest.raises(ValueError, match="share no exponent"):
        bdr.as_scaled_integers(bdr.quantize(numbers((2, 32)), "scaled_int8:k1=32"))
    with pytest.raises(ValueError, match="do not fit"):
        bdr.as_scaled_integers(bdr.quantize(numbers((2, 16)), "bdr:m=3,k1=16,k2=1,d2=4"))


@pytest.mark.parametrize("name", FORMATS)
def test_nan_makes_its_block_nan(name):
    x = numbers((2, 64))
    x[0, 3] = np.nan
    x[1, 40] = np.inf
    y = bdr.quantize(x, name).dequantize()
    k1 = bdr.bdr_format(name).k1 or x.size
    want = np.zeros((2, 64), bool)
    want.reshape(-1)[: max(k1, 1)] = True
    start = (64 + 40) // k1 * k1
    want.reshape(-1)[start : start + k1] = True
    assert (np.isnan(y) == want).all()
    assert set(y.view(np.uint32)[np.isnan(y)].tolist()) == {0x7FC00000}


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"codes": np.zeros(16)}, TypeError, "look like values"),
        ({"codes": np.full(16, 8, np.uint8)}, ValueError, "out of range"),
        ({"scales": np.zeros(2, np.uint8)}, ValueError, r"expects \(1,\)"),
        ({"scales": np.zeros(1, np.float32)}, TypeError, "expected uint8"),
        ({"subscales": None}, ValueError, "has sub-scales"),
        ({"subscales": np.full(8, 2, np.uint8)}, ValueError, "sub-scale 0x02"),
        ({"subscales": np.zeros(4, np.uint8)}, ValueError, r"expects \(8,\)"),
        ({"format": "msfp12"}, ValueError, "has none"),
        ({"format": "mxfp4"}, ValueError, "unknown BDR format"),
        ({"axis": 1}, ValueError, "out of range"),
    ],
)
def test_parts_that_do_not_fit_are_refused(change, error, message):
    parts = {
        "codes": np.zeros(16, np.uint8),
        "scales": np.zeros(1, np.uint8),
        "subscales": np.zeros(8, np.uint8),
        "format": "mx4",
        **change,
    }
    with pytest.raises(error, match=message):
        bdr.BDRArray(**parts)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"x": np.arange(16)}, TypeError, "dtype int64"),
        ({"x": np.float32(1)}, ValueError, "reshape"),
        ({"policy": "ocp"}, ValueError, "unknown policy"),
        ({"random": np.zeros(16, np.uint32)}, ValueError, "draws nothing"),
        ({"policy": "bdr-paper:rounding=stochastic-a"}, ValueError, "pass random"),
        (
            {"policy": "bdr-paper:rounding=stochastic-a", "random": np.zeros(16)},
            TypeError,
            "unsigned",
        ),
        (
            {
                "policy": "bdr-paper:rounding=stochastic-a",
                "random": np.full(16, 1 << 16, np.uint32),
            },
            ValueError,
            "16 bits",
        ),
        ({"out": np.zeros(16, np.uint8)}, TypeError, "must be a BDRArray"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(arguments, error, message):
    given = {"x": np.zeros(16, np.float32), "format": "mx4", **arguments}
    with pytest.raises(error, match=message):
        bdr.quantize(**given)


def test_an_out_of_another_format_is_refused():
    q = bdr.quantize(np.zeros(16, np.float32), "mx4")
    with pytest.raises(ValueError, match="out is mx4 along axis 0; expected mx6"):
        bdr.quantize(np.zeros(16, np.float32), "mx6", out=q)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
@pytest.mark.parametrize("columns", [16, 77])
def test_blocks_across_the_memory_are_those_along_it(dtype, columns):
    """With whatever bits: blocks that the quick form leaves out are found and put right."""
    rng = np.random.default_rng(columns)
    kind = np.dtype(f"u{np.dtype(dtype).itemsize}")
    x = rng.integers(0, np.iinfo(kind).max, (48, columns), kind, endpoint=True).view(dtype)
    x[:, 3:9] = rng.standard_normal((48, 6))
    x[16:32, 5] = 0
    for name in ("mx9", "msfp12", "bdr:m=5,k1=16,k2=4,d2=2"):
        across = bdr.quantize(x, name, axis=0)
        along = bdr.quantize(np.ascontiguousarray(x.T), name)
        assert (across.codes == along.codes.T).all()
        assert (across.scales == along.scales.T).all()
        if across.subscales is not None:
            assert (across.subscales == along.subscales.T).all()
        bits = across.dequantize().view(np.uint32)
        assert (bits == along.dequantize().view(np.uint32).T).all()
