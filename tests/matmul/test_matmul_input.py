"""What `mxref.matmul` refuses, in words that say what was given, what was expected, what to do."""

import warnings

import ml_dtypes
import numpy as np
import pytest

import mxref

RNG = np.random.default_rng(0)


def matrix(shape, name="mxfp4", axis=1, **options):
    return mxref.quantize(RNG.standard_normal(shape).astype(np.float32), name, axis, **options)


@pytest.fixture
def a():
    return matrix((4, 64))


@pytest.fixture
def b():
    return matrix((64, 3), "mxint8", 0)


def said(call, error=ValueError):
    """The text of the error; it is ours, of one sentence or a few, without a traceback's words."""
    with pytest.raises(error) as caught:
        call()
    text = str(caught.value)
    assert caught.value.__cause__ is None
    assert text
    assert "\n" not in text
    return text


def holds(text, *parts):
    for part in parts:
        assert part in text, (part, text)


def test_the_right_call_for_comparison(a, b):
    assert mxref.matmul(a, b).shape == (4, 3)


def test_plain_arrays(a, b):
    text = said(lambda: mxref.matmul(a.dequantize(), b), TypeError)
    holds(text, "a is a ndarray", "expected an MXArray", "mxref.quantize(a, format, axis=1)")
    text = said(lambda: mxref.matmul(a, [[1.0]]), TypeError)
    holds(text, "b is a list", "axis=0")


def test_vectors_and_batches(a):
    vector = mxref.quantize(np.ones(64, np.float32), "mxfp4")
    holds(said(lambda: mxref.matmul(vector, vector)), "(64,)", "expected a matrix")
    batch = mxref.quantize(np.ones((2, 4, 64), np.float32), "mxfp4")
    holds(said(lambda: mxref.matmul(batch, a)), "(2, 4, 64)", "for each of its matrices")


def test_blocks_along_the_wrong_axis(a):
    wrong = matrix((64, 32))
    holds(
        said(lambda: mxref.matmul(a, wrong)),
        "b has shape (64, 32) and is blocked along axis 1",
        "expected axis 0",
        "mxref.quantize(b_values, 'mxfp4', axis=0)",
    )
    holds(
        said(lambda: mxref.matmul(matrix((32, 64), axis=0), matrix((64, 3), axis=0))),
        "a has shape (32, 64) and is blocked along axis 0",
        "expected axis 1",
        "mxref.quantize(a_values, 'mxfp4', axis=1)",
    )


def test_lengths_that_differ(a):
    text = said(lambda: mxref.matmul(a, matrix((96, 3), axis=0)))
    holds(text, "(4, 64)", "(96, 3)", "(M, K) and (K, N)", "got 64 and 96")
    assert "transposed" not in text
    text = said(lambda: mxref.matmul(a, matrix((32, 64), axis=0)))
    holds(text, "(32, 64)", "b looks transposed")


def test_block_sizes_that_differ(a):
    other = matrix((64, 3), axis=0, block_size=16)
    holds(said(lambda: mxref.matmul(a, other)), "32", "16", "one size", "block_size")


def test_a_length_that_is_no_multiple_of_the_block():
    """The last block is short, as MXArray has it; quantize asks for pad=True."""
    x = RNG.standard_normal((4, 40)).astype(np.float32)
    holds(said(lambda: mxref.quantize(x, "mxfp4")), "40", "32")
    a = mxref.quantize(x, "mxfp4", pad=True)
    b = mxref.quantize(x.T, "mxfp4", 0, pad=True)
    exact = a.dequantize().astype(np.float64) @ b.dequantize().astype(np.float64)
    assert np.array_equal(mxref.matmul(a, b, dtype=np.float64), exact)


@pytest.mark.parametrize(
    "dtype", [np.int32, np.complex64, np.longdouble, "float31", ml_dtypes.float8_e4m3fn, object, 3]
)
def test_types_of_output(a, b, dtype):
    text = said(lambda: mxref.matmul(a, b, dtype=dtype), (TypeError, ValueError))
    holds(text, "dtype", "float32", "float64", "float16", "bfloat16")


@pytest.mark.parametrize("name", ["float32", "float64", "float16", "bfloat16"])
def test_types_of_output_by_name(a, b, name):
    found = mxref.matmul(a, b, dtype=name)
    assert found.dtype.name == name
    assert mxref.matmul(a, b, dtype=found.dtype).tobytes() == found.tobytes()


def test_roundings(a, b):
    text = said(lambda: mxref.matmul(a, b, rounding="nearest"))
    holds(text, "unknown rounding 'nearest'", "did you mean", "'nearest-even'", "toward-zero")
    text = said(lambda: mxref.matmul(a, b, rounding="stochastic-a"))
    holds(text, "stochastic-a", "nearest-even")


def test_accumulations(a, b):
    text = said(lambda: mxref.matmul(a, b, accumulate="exakt"))
    holds(text, "unknown accumulation 'exakt'", "did you mean 'exact'?")


def test_addends(a, b):
    holds(said(lambda: mxref.matmul(a, b, np.zeros((3, 4)))), "(3, 4)", "expected (4, 3)")
    holds(said(lambda: mxref.matmul(a, b, np.zeros((2, 4, 3)))), "(2, 4, 3)", "expected (4, 3)")
    text = said(lambda: mxref.matmul(a, b, np.zeros((4, 3), np.int32)), TypeError)
    holds(text, "c has dtype int32", "expected float32", "astype")


def test_outputs(a, b):
    text = said(lambda: mxref.matmul(a, b, out=np.zeros((4, 3))), TypeError)
    holds(text, "out", "float32", "float64")
    holds(said(lambda: mxref.matmul(a, b, out=np.zeros((3, 4), np.float32))), "(3, 4)", "(4, 3)")
    text = said(lambda: mxref.matmul(a, b, out=[[0.0] * 3] * 4), TypeError)
    holds(text, "out", "list")
    locked = np.zeros((4, 3), np.float32)
    locked.flags.writeable = False
    holds(said(lambda: mxref.matmul(a, b, out=locked)), "out is read-only")


@pytest.mark.parametrize("operand", ["a.codes", "a.scales", "b.codes", "b.scales"])
def test_out_that_overlaps_an_operand(operand):
    shapes = {"a.codes": (4, 96), "a.scales": (4, 3), "b.codes": (96, 3), "b.scales": (3, 3)}
    memory = {name: np.zeros(shape, np.uint8) for name, shape in shapes.items()}
    shared = np.zeros(512, np.uint8)
    size = memory[operand].size
    memory[operand] = shared[:size].reshape(memory[operand].shape)
    left = mxref.MXArray(memory["a.codes"], memory["a.scales"], "mxfp4", axis=1)
    right = mxref.MXArray(memory["b.codes"], memory["b.scales"], "mxfp4", axis=0)
    out = shared[:48].view(np.float32).reshape(4, 3)
    holds(said(lambda: mxref.matmul(left, right, out=out)), "out overlaps")


def test_out_that_overlaps_the_addend(a, b):
    """In place is what `c` is for: exactly the same memory is allowed or refused, never wrong."""
    whole = RNG.standard_normal((6, 3)).astype(np.float32)
    expected = mxref.matmul(a, b, whole[1:5].copy())
    try:
        found = mxref.matmul(a, b, whole[1:5], out=whole[:4])
    except ValueError as refused:
        holds(str(refused), "out overlaps")
    else:
        assert np.array_equal(found, expected)


def test_outputs_that_overflow_are_infinite_without_a_warning():
    big = mxref.MXArray(np.full((1, 32), 7, np.uint8), np.uint8([[254]]), "mxfp4", axis=1)
    minus = mxref.MXArray(np.full((32, 1), 15, np.uint8), np.uint8([[254]]), "mxfp4", axis=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for dtype in (np.float32, np.float16, ml_dtypes.bfloat16):
            assert mxref.matmul(big, minus, dtype=dtype)[0, 0] == -np.inf
        exact = -(2.0**254) * 36 * 32
        assert mxref.matmul(big, minus, dtype=np.float64)[0, 0] == exact
        assert mxref.matmul(big, minus, rounding="toward-zero")[0, 0] == -np.finfo("f4").max


def test_a_read_only_addend_stays_as_it_is(a, b):
    c = RNG.standard_normal((4, 3))
    before = c.copy()
    c.flags.writeable = False
    mxref.matmul(a, b, c)
    assert np.array_equal(c, before)
    codes = a.codes.copy()
    mxref.matmul(a, b)
    assert np.array_equal(a.codes, codes)
