"""The tensor models of the faults package: the faultless one is right, the others are wrong."""

import ml_dtypes
import numpy as np
import pytest

from mxref import arrays
from mxref.faults.tensors import EQUIVALENT, correct_tensor, tensor_models
from mxref.formats import BLOCK_FORMATS, block_format
from mxref.policy import Policy

OCP, PADDED = Policy(), Policy(block_tail="zero-pad")
SHAPES = [(1, 32), (3, 64), (64, 3), (32, 64), (40, 3), (3, 40), (2, 160), (2, 1)]
FORMATS = list(BLOCK_FORMATS.values())
ids = pytest.mark.parametrize("fmt", FORMATS, ids=[f.name for f in FORMATS])


def numbers(shape, dtype=np.float32):
    """Normal numbers of all sizes and signs, without a random generator."""
    place = np.arange(shape[0] * shape[1])
    significand = 1 + (place * 37 % 64) / 64
    value = np.ldexp(significand * np.where(place % 3, 1, -1), place * 11 % 29 - 14)
    return value.reshape(shape).astype(dtype)


def stored(fmt, shape, axis, packing, layout, padding=0x7F):
    """A tensor in bytes, and what it holds; by reshaping, as the vectors do not."""
    n = shape[0] * shape[1]
    codes = (np.arange(n) * 7 + np.arange(n) // 32 * 3) % min(fmt.element.code_count, 96)
    codes = codes.astype(np.uint8).reshape(shape)
    plane = list(shape)
    plane[axis] = -(-shape[axis] // 32)
    scales = (60 + np.arange(plane[0] * plane[1]) % 140).astype(np.uint8).reshape(plane)
    flat = codes.ravel()
    data = flat if packing == "bytes" else flat[::2] | flat[1::2] << 4
    laid = scales.ravel()
    if layout == "128x4":
        lines = np.moveaxis(scales, axis, 1)
        rows, columns = -(-lines.shape[0] // 128), -(-lines.shape[1] // 4)
        full = np.full((rows * 128, columns * 4), padding, np.uint8)
        full[: lines.shape[0], : lines.shape[1]] = lines
        tiles = full.reshape(rows, 4, 32, columns, 4)
        laid = tiles.transpose(0, 3, 2, 1, 4).ravel()
    return data, laid, codes, scales


@ids
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("dtype", [np.float32, ml_dtypes.bfloat16])
def test_the_faultless_quantizer_is_the_kernels(fmt, axis, dtype):
    for shape in SHAPES:
        x = numbers(shape, dtype)
        scales, codes = correct_tensor("quantize_tensor", fmt, PADDED)(x, axis)
        q = arrays.quantize(x, fmt, axis=axis, pad=True)
        np.testing.assert_array_equal(scales, q.scales)
        np.testing.assert_array_equal(codes, q.codes)


def test_the_faultless_quantizer_refuses_what_the_policy_does():
    quantize = correct_tensor("quantize_tensor", block_format("mxfp4"), OCP)
    with pytest.raises(ValueError, match="block_tail=forbid"):
        quantize(numbers((3, 40)), 1)
    assert quantize(numbers((32, 40)), 0)[0].shape == (1, 40)


@ids
@pytest.mark.parametrize("layout", ["row-major", "128x4"])
@pytest.mark.parametrize(
    ("shape", "axis"), [((33, 160), 1), ((160, 33), 0), ((129, 32), 1), ((4, 64), 1), ((64, 2), 0)]
)
def test_the_faultless_reader_is_the_kernels(fmt, shape, axis, layout):
    packings = ["bytes", "nibbles-low-first"] if fmt.element.bits == 4 else ["bytes"]
    for packing in packings:
        data, laid, codes, scales = stored(fmt, shape, axis, packing, layout)
        read = correct_tensor("dequantize_tensor", fmt, OCP)
        got = read(data, laid, shape, axis, packing, layout)
        want = arrays.dequantize(codes, scales, fmt, axis=axis)
        np.testing.assert_array_equal(got.view(np.uint32), want.view(np.uint32))


@ids
@pytest.mark.parametrize("operation", ["quantize_tensor", "dequantize_tensor"])
def test_every_model_has_its_own_name_and_gives_the_same_twice(fmt, operation):
    models = tensor_models(operation, fmt, OCP)
    assert len({(m.id, m.detail) for m in models}) == len(models) > 15
    for model in models:
        if operation == "quantize_tensor":
            first, second = (model.subject(numbers((4, 64)), 1) for _ in range(2))
        else:
            data, laid, *_ = stored(fmt, (4, 64), 1, "bytes", "128x4")
            given = (data, laid, (4, 64), 1, "bytes", "128x4")
            first, second = ((model.subject(*given).view(np.uint32),) for _ in range(2))
        for one, two in zip(first, second, strict=True):
            np.testing.assert_array_equal(one, two)


def by_name(operation, name, fault, detail=""):
    models = tensor_models(operation, block_format(name), OCP)
    return next(m.subject for m in models if (m.id, m.detail) == (fault, detail))


def test_d16_sets_the_top_bit_of_the_scale_before_a_zero():
    leaking = by_name("quantize_tensor", "mxfp4", "D16")
    x = np.repeat(np.ldexp(1.0, np.array([-109, -125, -93, -77])), 32)[None].astype(np.float32)
    want, _ = correct_tensor("quantize_tensor", block_format("mxfp4"), OCP)(x, 1)
    assert want.tolist() == [[16, 0, 32, 48]]
    assert leaking(x, 1)[0].tolist() == [[16 | 0x80, 0, 32, 48]]
    assert leaking(x * 2, 1)[0].tolist() == [[17, 1, 33, 49]]


def test_a_padded_word_leaks_nothing():
    x = numbers((3, 32))
    want, _ = correct_tensor("quantize_tensor", block_format("mxfp4"), OCP)(x, 1)
    np.testing.assert_array_equal(by_name("quantize_tensor", "mxfp4", "D16")(x, 1)[0], want)


def test_blocks_go_on_in_the_next_line_only_where_there_is_a_tail():
    straddling = by_name("quantize_tensor", "mxfp4", "S15", "blocks go on in the next line")
    correct = correct_tensor("quantize_tensor", block_format("mxfp4"), PADDED)
    for mine, own in zip(
        straddling(numbers((3, 64)), 1), correct(numbers((3, 64)), 1), strict=True
    ):
        np.testing.assert_array_equal(mine.ravel(), own.ravel())
    assert straddling(numbers((3, 40)), 1)[0].size == 4  # 120 elements, and not 3 x 2 blocks


def test_l1_and_l2_move_codes_within_a_run_of_32():
    shape, layout = (1, 32), ("nibbles-low-first", "row-major")
    codes = np.arange(32) % 8
    data = (codes[::2] | codes[1::2] << 4).astype(np.uint8)
    fmt, scales = block_format("mxfp4"), np.array([127], np.uint8)
    right = correct_tensor("dequantize_tensor", fmt, OCP)(data, scales, shape, 1, *layout)[0]
    swapped = by_name("dequantize_tensor", "mxfp4", "L1")(data, scales, shape, 1, *layout)[0]
    np.testing.assert_array_equal(swapped.reshape(16, 2), right.reshape(16, 2)[:, ::-1])
    detail = "linear order read as split"
    split = by_name("dequantize_tensor", "mxfp4", "L2", detail)(data, scales, shape, 1, *layout)[0]
    low, high = data & 15, data >> 4
    np.testing.assert_array_equal(split, arrays.decode(np.concatenate([low, high]), "e2m1"))


def test_faults_that_cannot_show_have_no_model_and_a_reason():
    for fmt in FORMATS:
        made = {m.id for m in tensor_models("dequantize_tensor", fmt, OCP)}
        reasons = {key[0] for key in EQUIVALENT if key[2:] == ("dequantize_tensor", fmt.name)}
        assert not made & reasons
        assert made | reasons == {f"L{n}" for n in range(1, 10)}
