"""Stored and quantized tensors: the definition against arrays, and what each fault meets."""

import functools
import itertools

import numpy as np
import pytest

from mxref import arrays
from mxref.faults.tensors import EQUIVALENT, correct_tensor, tensor_models
from mxref.formats import BLOCK_FORMATS, block_format
from mxref.policy import Policy
from mxref.vectors import storage
from mxref.vectors.driver import floats
from mxref.vectors.expect_tensor import expect_dequantize_tensor, expect_quantize_tensor
from mxref.vectors.model import Verdict
from mxref.vectors.tensors import DEQUANTIZE_TENSOR, QUANTIZE_TENSOR

OCP, PADDED = Policy(), Policy(block_tail="zero-pad")
FORMATS = list(BLOCK_FORMATS.values())
ids = pytest.mark.parametrize("fmt", FORMATS, ids=[f.name for f in FORMATS])
BYTES_OF_A_FILE = 700_000


def cases(groups, fmt):
    return [
        (f"{group.name}: {detail}", inputs)
        for group in groups
        for inputs, detail in group.stimuli(fmt)
    ]


@functools.cache
def quantized(name):
    """(what it is, inputs, expectation) of every stimulus: exact arithmetic takes its time."""
    fmt = block_format(name)
    return [
        (what, i, expect_quantize_tensor(fmt, OCP, i)) for what, i in cases(QUANTIZE_TENSOR, fmt)
    ]


@functools.cache
def dequantized(name):
    fmt = block_format(name)
    return [
        (what, i, expect_dequantize_tensor(fmt, OCP, i))
        for what, i in cases(DEQUANTIZE_TENSOR, fmt)
    ]


# --- storage ---------------------------------------------------------------------------------


@pytest.mark.parametrize("plane", [(1, 1), (33, 5), (129, 5), (128, 4), (200, 9), (3, 130)])
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("layout", ["row-major", "128x4"])
def test_a_plane_lies_in_distinct_bytes_and_comes_back(plane, axis, layout):
    places = [storage.scale_place(r, c, plane, axis, layout) for r, c in np.ndindex(*plane)]
    size = storage.stored_size(plane, axis, layout)
    assert len(set(places)) == len(places)
    assert 0 <= min(places) <= max(places) < size
    scales = [index % 251 for index in range(len(places))]
    for padding in (0x7F, 0xFF):
        data = storage.lay_out(scales, plane, axis, layout, padding)
        assert len(data) == size
        assert storage.read_back(data, plane, axis, layout) == tuple(scales)
        others = set(range(size)) - set(places)
        assert {data[place] for place in others} <= {padding}


def test_the_tiling_is_the_reshape_that_libraries_write():
    rows, columns = 256, 8
    plane = np.arange(rows * columns).reshape(rows, columns)
    tiles = plane.reshape(2, 4, 32, 2, 4).transpose(0, 3, 2, 1, 4).ravel()
    found = {
        storage.scale_place(r, c, (rows, columns), 1, "128x4"): plane[r, c]
        for r, c in np.ndindex(rows, columns)
    }
    assert [found[place] for place in range(rows * columns)] == tiles.tolist()
    flipped = storage.scale_place(3, 200, (columns, rows), 0, "128x4")
    assert flipped == storage.scale_place(200, 3, (rows, columns), 1, "128x4")


def test_codes_come_back_out_of_bytes():
    codes = tuple(range(16)) * 2
    for packing, size in (("bytes", 32), ("nibbles-low-first", 16)):
        data = storage.pack(codes, packing)
        assert len(data) == size
        assert storage.unpack(data, packing) == codes
    assert storage.pack((1, 2), "nibbles-low-first") == b"\x21"
    with pytest.raises(ValueError, match="no packing"):
        storage.pack((1, 2), "nibbles-high-first")
    with pytest.raises(ValueError, match="scale layout"):
        storage.scale_place(0, 0, (1, 1), 1, "32x8")


# --- expectations ----------------------------------------------------------------------------


@ids
def test_quantized_tensors_are_those_of_arrays(fmt):
    for name, inputs, expectation in quantized(fmt.name):
        x = floats([inputs]).reshape(inputs.shape)
        has_tail = x.shape[inputs.axis] % 32 != 0
        out = expectation.members[int(has_tail)].out
        q = arrays.quantize(x, fmt, axis=inputs.axis, pad=True)
        assert out.scales == tuple(q.scales.ravel().tolist()), name
        assert out.bits == tuple(q.codes.ravel().tolist()), name
        if has_tail:
            assert expectation.members[0].out is None, name
            assert expect_quantize_tensor(fmt, PADDED, inputs).members[0].out == out, name
            with pytest.raises(ValueError, match="multiple"):
                arrays.quantize(x, fmt, axis=inputs.axis)


@ids
def test_stored_tensors_are_those_of_arrays(fmt):
    for name, inputs, expectation in dequantized(fmt.name):
        is_whole = inputs.shape[inputs.axis] % 32 == 0
        assert expectation.verdict is (Verdict.MUST if is_whole else Verdict.ONE_OF), name
        data = np.array(inputs.bits, np.uint8)
        if inputs.layout[0] != "bytes":
            data = np.stack([data & 15, data >> 4], -1).ravel()
        plane = list(inputs.shape)
        plane[inputs.axis] = -(-plane[inputs.axis] // 32)
        scales = np.array(inputs.scales, np.uint8)
        if inputs.layout[1] == "128x4":
            lines, blocks = inputs.shape[1 - inputs.axis], plane[inputs.axis]
            tiles = scales.reshape(-(-lines // 128), -(-blocks // 4), 32, 4, 4)
            full = tiles.transpose(0, 3, 2, 1, 4).reshape(-1, -(-blocks // 4) * 4)
            scales = np.moveaxis(full[:lines, :blocks], 1, inputs.axis)
        codes, scales = data.reshape(inputs.shape), scales.reshape(plane)
        want = arrays.dequantize(codes, scales, fmt, axis=inputs.axis)
        out = expectation.members[0].out
        assert out.bits == tuple(want.view(np.uint32).ravel().tolist()), name


@ids
def test_a_must_needs_no_open_point(fmt):
    for name, _, expectation in quantized(fmt.name):
        group = name.partition(":")[0]
        labels = {field for m in expectation.members for when in m.when for field in when}
        if group == "tail":
            assert labels == {"block_tail"}, name
            assert [m.out is None for m in expectation.members] == [True, False], name
            assert "OP-BLOCK-TAIL" in expectation.clauses
        elif group == "scale-code-zero" and fmt.name == "mxint8":
            # 2^-127 and INT8's largest power of two, 1: the block is subnormal in float32.
            assert "scale_subnormal" in labels, name
        else:
            assert expectation.verdict is Verdict.MUST, name
            assert labels == set(), name


@ids
def test_most_planes_have_another_scale_in_every_block(fmt):
    for name, _, expectation in quantized(fmt.name):
        if name.startswith(("scale-map", "tail: 3 x")):
            scales = expectation.members[-1].out.scales
            assert len(set(scales)) == len(scales), name
    for name, inputs in cases(DEQUANTIZE_TENSOR, fmt):
        plane = storage.plane_shape(inputs.shape, inputs.axis)
        scales = storage.read_back(inputs.scales, plane, inputs.axis, inputs.layout[1])
        if "four tiles" not in name:
            assert len(set(scales)) == len(scales), name
        assert 0xFF not in scales


def test_padding_does_not_count_and_scales_do():
    fmt = block_format("mxfp8_e4m3")
    found = [i for name, i in cases(DEQUANTIZE_TENSOR, fmt) if name.startswith("dirty-padding")]
    outs = {(i.axis, expect_dequantize_tensor(fmt, OCP, i).members[0].out.bits) for i in found}
    assert len(found) == 6
    assert len({(i.axis, i.scales) for i in found}) == 6
    assert len(outs) == 2  # one an axis


# --- strength --------------------------------------------------------------------------------


def answer_quantize(subject, inputs):
    try:
        scales, codes = subject(floats([inputs]).reshape(inputs.shape), inputs.axis)
    except ValueError:
        return None
    return tuple(np.ravel(scales).tolist()), tuple(np.ravel(codes).tolist())


def answer_dequantize(subject, inputs):
    data, scales = (np.array(part, np.uint8) for part in (inputs.bits, inputs.scales))
    values = subject(data, scales, inputs.shape, inputs.axis, *inputs.layout)
    return tuple(np.ascontiguousarray(values, np.float32).view(np.uint32).ravel().tolist())


def allowed(is_quantize, expectation):
    if not is_quantize:
        return {m.out and m.out.bits for m in expectation.members}
    return {m.out and (m.out.scales, m.out.bits) for m in expectation.members}


@ids
@pytest.mark.parametrize("operation", ["quantize_tensor", "dequantize_tensor"])
def test_every_fault_is_killed_and_the_faultless_model_passes(fmt, operation):
    is_quantize = operation == "quantize_tensor"
    answer = answer_quantize if is_quantize else answer_dequantize
    expected = (quantized if is_quantize else dequantized)(fmt.name)
    asked = [(inputs, allowed(is_quantize, found)) for _, inputs, found in expected]
    correct = correct_tensor(operation, fmt, OCP)
    assert all(answer(correct, inputs) in outs for inputs, outs in asked)
    for model in tensor_models(operation, fmt, OCP):
        killed = any(answer(model.subject, inputs) not in outs for inputs, outs in asked)
        assert killed, (model.id, model.detail)
        assert (model.id, "*", operation, fmt.name) not in EQUIVALENT


@ids
def test_files_stay_small(fmt):
    for groups, scalar in ((QUANTIZE_TENSOR, 5), (DEQUANTIZE_TENSOR, 11)):
        total = 0
        for _, inputs in cases(groups, fmt):
            elements = inputs.shape[0] * inputs.shape[1]
            width = {None: 5, "float32": 11}.get(inputs.type, 7)
            total += len(inputs.bits) * width + len(inputs.scales) * 5 + elements * scalar
        assert total < BYTES_OF_A_FILE


def test_stimuli_are_the_same_each_time():
    fmt = block_format("mxfp6_e2m3")
    for groups in (QUANTIZE_TENSOR, DEQUANTIZE_TENSOR):
        pairs = itertools.zip_longest(cases(groups, fmt), cases(groups, fmt))
        assert all(one == two for one, two in pairs)
