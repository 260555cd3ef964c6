"""The conventions: round trips of all, bytes of small examples, slices, and what they refuse."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mxref
from mxref.layouts.conventions import LAYOUTS, Fields, layout, pack, traits, unpack

EVERY = [(name, kind) for name, each in LAYOUTS.items() for kind in each.parts]
TWO_AXES = {"comfyui", "transformer-engine-columnwise"}


def fields_of(kind, shape, rng):
    of = traits(kind)
    codes = rng.integers(0, 1 << of.bits, shape, np.uint8)
    scales = rng.integers(0, 256, (*shape[:-1], shape[-1] // of.block_size), np.uint8)
    return Fields(codes, scales)


def with_factor(fields, name, kind, rng, count=1):
    roles = [part.role for part in LAYOUTS[name].parts_for(kind)]
    if "global_scale" not in roles:
        return fields
    shape = () if count == 1 else (count, 1, 1)
    stored = rng.uniform(1e-6, 1e6, shape).astype(np.float32)
    wide = stored.astype(np.float64)
    factor = {"compressed-tensors": 1 / wide, "transformer-engine": wide / 2688}.get(name, wide)
    return Fields(fields.codes, fields.scales, factor)


def same(a, b):
    np.testing.assert_array_equal(a.codes, b.codes)
    np.testing.assert_array_equal(a.scales, b.scales)
    assert (a.global_scale is None) == (b.global_scale is None)
    if a.global_scale is not None:
        np.testing.assert_array_equal(a.global_scale, b.global_scale)


@pytest.mark.parametrize(("name", "kind"), EVERY)
@settings(max_examples=15, deadline=None)  # 40 pairs
@given(data=st.data())
def test_round_trip(name, kind, data):
    rows = data.draw(st.integers(0, 300))
    records = data.draw(st.integers(0, 5))
    lead = data.draw(st.sampled_from([(), (rows,), (1, rows), (3, 128)]))
    if name in TWO_AXES and len(lead) != 1:
        lead = (rows,)
    if name == "torchao-swizzled" and len(lead) > 1:
        lead = (3, 128)
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    shape = (*lead, records * 64)
    many = lead[0] if len(lead) > 1 and data.draw(st.booleans()) else 1
    fields = with_factor(fields_of(kind, shape, rng), name, kind, rng, many)
    where = layout(name)
    parts = pack(fields, name, kind)
    shapes = where.shapes(kind, shape)
    for part in where.parts_for(kind):
        if part.role != "global_scale":
            assert parts[part.role].shape == shapes[part.role]
    same(unpack(parts, name, kind, shape), fields)
    same(unpack(parts, name, kind), fields)  # stored shapes alone tell the logical one


@pytest.mark.parametrize(("name", "kind"), [each for each in EVERY if layout(each[0]).row_step])
def test_rows_are_written_in_slices_at_the_places_that_stored_rows_says(name, kind):
    rng = np.random.default_rng(0)
    where, rows = layout(name), 300
    fields = with_factor(fields_of(kind, (rows, 192), rng), name, kind, rng)
    whole = pack(fields, name, kind)
    for start in range(0, rows, 128):
        assert not start % where.row_step
        stop = min(start + 128, rows)
        part = Fields(fields.codes[start:stop], fields.scales[start:stop], fields.global_scale)
        piece = pack(part, name, kind)
        first = where.stored_rows(kind, start, 192)
        last = where.stored_rows(kind, stop, 192)
        for role in first:
            flat = whole[role].reshape(-1, whole[role].shape[-1])
            ours = flat[first[role] : last[role]]
            np.testing.assert_array_equal(piece[role].reshape(ours.shape), ours)
            piece[role] = ours
        same(unpack(piece, name, kind, (stop - start, 192)), part)


# Written out by hand from the descriptions of the projects. One row: code i is i % 16.
NIBBLES = bytes(range(16))
LOW = bytes(2 * i % 16 | (2 * i + 1) % 16 << 4 for i in range(16))
BYTES_OF = {
    ("gpt-oss", "codes"): LOW,
    ("deepseek", "codes"): LOW,
    ("torchao", "codes"): LOW,
    ("compressed-tensors", "codes"): LOW,
    ("modelopt", "codes"): LOW,
    ("quark", "codes"): LOW,
    ("mlx", "codes"): LOW,
    ("onnx", "codes"): LOW,
    ("gguf", "records"): b"\x7e" + bytes(i | i << 4 for i in range(16)),
}


@pytest.mark.parametrize(("name", "role"), BYTES_OF)
def test_bytes_of_a_block(name, role):
    codes = np.arange(32, dtype=np.uint8)[None] % 16
    parts = pack(Fields(codes, np.full((1, 1), 126, np.uint8)), name, "mxfp4")
    assert parts[role].tobytes() == BYTES_OF[name, role]
    if role == "codes":
        assert parts["scales"].tobytes() == b"\x7e"


def test_every_layout_of_mxfp4_is_among_the_bytes_above():
    elsewhere = {"torchao-swizzled"}  # the same codes; its scales are below
    held = {name for name, each in LAYOUTS.items() if "mxfp4" in each.parts}
    assert held == {name for name, _ in BYTES_OF} | elsewhere


def test_six_bits_lie_in_a_stream():
    codes = np.array([[0x3F, 0x01, 0x21, 0x00] * 8], np.uint8)
    fields = Fields(codes, np.full((1, 1), 127, np.uint8))
    for name in ("compressed-tensors", "quark", "onnx"):
        assert pack(fields, name, "mxfp6_e2m3")["codes"].tobytes() == b"\x7f\x10\x02" * 8
    assert pack(fields, "torchao", "mxfp6_e2m3")["codes"].tobytes() == codes.tobytes()


def test_comfyui_has_the_high_nibble_first():
    codes = np.arange(16, dtype=np.uint8)[None]
    parts = pack(Fields(codes, np.full((1, 1), 0x38, np.uint8)), "comfyui", "nvfp4")
    assert parts["codes"].tobytes().hex() == "0123456789abcdef"
    assert parts["scales"].shape == (128, 4)


def test_swizzled_scales_lie_as_cublas_says():
    rng = np.random.default_rng(0)
    fields = fields_of("mxfp8_e4m3", (300, 32 * 9), rng)
    stored = {
        "torchao-swizzled": pack(fields, "torchao-swizzled", "mxfp8_e4m3")["scales"],
        "comfyui": pack(fields, "comfyui", "mxfp8_e4m3")["scales"],
    }
    assert stored["torchao-swizzled"].shape == (96, 48)
    assert stored["comfyui"].shape == (384, 12)
    for array in stored.values():
        flat = array.reshape(-1)
        for row, block in np.ndindex(300, 9):
            tile = (row // 128 * 3 + block // 4) * 512
            at = tile + row % 32 * 16 + row % 128 // 32 * 4 + block % 4
            assert flat[at] == fields.scales[row, block]


def test_transformer_engine_pads_its_plane_with_zeros():
    rng = np.random.default_rng(0)
    fields = fields_of("mxfp8_e5m2", (130, 160), rng)
    scales = pack(fields, "transformer-engine", "mxfp8_e5m2")["scales"]
    assert scales.shape == (256, 8)
    np.testing.assert_array_equal(scales[:130, :5], fields.scales)
    assert not scales[130:].any()
    assert not scales[:, 5:].any()


def test_column_wise_data_of_transformer_engine_is_the_operand_as_it_lies():
    x = np.random.default_rng(0).standard_normal((64, 200)).astype(np.float32)
    q = mxref.quantize(x, "mxfp8_e4m3", axis=0)
    name = "transformer-engine-columnwise"
    parts = pack(Fields(q.codes.T, q.scales.T), name, "mxfp8_e4m3")
    np.testing.assert_array_equal(parts["codes"], q.codes)
    assert parts["scales"].shape == (4, 256)  # 64 / 32 blocks to 4, 200 columns to 128s
    np.testing.assert_array_equal(parts["scales"][:2, :200], q.scales)


def test_compressed_tensors_stores_the_divisor():
    fields = fields_of("nvfp4", (1, 16), np.random.default_rng(0))
    fields = Fields(fields.codes, fields.scales, np.asarray(0.25))
    stored = pack(fields, "compressed-tensors", "nvfp4")["global_scale"]
    assert stored.tolist() == [4.0]
    assert stored.dtype == np.float32
    assert pack(fields, "modelopt", "nvfp4")["global_scale"] == np.float32(0.25)
    assert pack(fields, "transformer-engine", "nvfp4")["global_scale"].tolist() == [672.0]


@given(st.integers(1, 0x7F7FFFFF), st.sampled_from(["compressed-tensors", "transformer-engine"]))
def test_a_stored_global_scale_comes_back_bit_for_bit(bits, name):
    stored = np.array([bits], np.uint32).view(np.float32)
    parts = pack(fields_of("nvfp4", (1, 16), np.random.default_rng(0)), name, "nvfp4")
    back = unpack(parts | {"global_scale": stored}, name, "nvfp4")
    again = pack(back, name, "nvfp4")["global_scale"]
    assert again.view(np.uint32).tolist() == [bits]


def test_an_mxarray_is_packed_and_its_bits_come_back():
    x = np.random.default_rng(0).standard_normal((4, 6, 64)).astype(np.float32)
    for name, kind in EVERY:
        if kind == "nvfp4" or name in TWO_AXES | {"torchao-swizzled"}:
            continue
        q = mxref.quantize(x, kind)
        back = unpack(pack(q, name), name, kind)
        assert mxref.MXArray(back.codes, back.scales, kind).shape == q.shape
        np.testing.assert_array_equal(back.codes, q.codes)


def test_layouts_that_share_names_and_types_share_bytes():
    # find_quantized relies on it: it takes the first of them for an answer.
    rng = np.random.default_rng(0)
    seen = {}
    for name, kind in EVERY:
        where = layout(name)
        if where.container == "memory" or name == "comfyui":  # which a mark tells
            continue
        fields = with_factor(fields_of(kind, (256, 256), np.random.default_rng(1)), name, kind, rng)
        shapes = where.shapes(kind, (256, 256))
        for part in where.parts_for(kind)[:1]:
            for dtype in part.dtypes:
                key = kind, *where.names("a.weight", kind).items(), dtype, *shapes.items()
                made = {
                    role: array.tobytes()
                    for role, array in pack(fields, name, kind).items()
                    if role != "global_scale"
                }
                assert seen.setdefault(key, made) == made


def test_names_follow_the_name_of_the_weight():
    names = {name: layout(name).names("m.a.weight", "mxfp4")["codes"] for name in ("quark", "mlx")}
    assert set(names.values()) == {"m.a.weight"}
    assert layout("torchao").names("m.w1", "mxfp4")["codes"] == "m._w1_qdata"
    assert layout("torchao").names("weight", "mxfp4")["scales"] == "_weight_scale"
    assert layout("gpt-oss").names("m.mlp1_weight", "mxfp4")["codes"] == "m.mlp1_weight.blocks"
    assert layout("gpt-oss").names("m.gate_up_proj", "mxfp4")["scales"] == "m.gate_up_proj_scales"
    assert layout("modelopt").names("a.w", "nvfp4")["scales"] == "a.w_weight_scale"
    assert layout("quark").names("a.w", "mxfp4")["scales"] == "a.w_scale"


# --- what is refused ----------------------------------------------------------------------------


def test_a_format_that_a_layout_cannot_hold_names_those_it_can():
    q = mxref.quantize(np.zeros((1, 32), np.float32), "mxint8")
    for name, each in LAYOUTS.items():
        with pytest.raises(ValueError, match="cannot hold 'mxint8'; it holds " + each.formats[0]):
            pack(q, name)
        with pytest.raises(ValueError, match="cannot hold"):
            each.shapes("mxint8", (1, 32))
    with pytest.raises(ValueError, match=r"Layouts that hold mxfp6_e3m2: torchao, .*quark"):
        layout("gpt-oss").parts_for("mxfp6_e3m2")
    with pytest.raises(ValueError, match="Layouts that hold mxint8: none"):
        layout("gguf").shapes("mxint8", (1, 32))


def test_unknown_names_are_told_from_known_ones():
    with pytest.raises(ValueError, match="did you mean 'gpt-oss'"):
        layout("gptoss")
    with pytest.raises(ValueError, match="did you mean 'nvfp4'"):
        unpack({}, "mlx", "nvpf4")


@pytest.mark.parametrize("given", [3, None, np.zeros((2, 32), np.uint8), {}])
def test_what_is_no_quantized_array_is_refused(given):
    with pytest.raises(TypeError, match=rf"a quantized array .* got {type(given).__name__}$"):
        pack(given, "gpt-oss")
    if not isinstance(given, dict):
        with pytest.raises(TypeError, match=rf"parts are a dict .* got {type(given).__name__}$"):
            unpack(given, "gpt-oss", "mxfp4")


def test_blocks_on_another_axis_are_refused():
    q = mxref.quantize(np.zeros((32, 2), np.float32), "mxfp4", axis=0)
    with pytest.raises(ValueError, match="quantize the transposed array"):
        pack(q, "gpt-oss")


@pytest.mark.parametrize(("name", "kind"), EVERY)
def test_rows_that_are_no_whole_blocks_are_refused(name, kind):
    with pytest.raises(ValueError, match="pad the tensor to 64 columns"):
        layout(name).shapes(kind, (2, 63) if kind != "nvfp4" or name == "gguf" else (2, 50))
    with pytest.raises(ValueError, match=r"axis or more|two axes"):
        layout(name).shapes(kind, ())


@pytest.mark.parametrize(("name", "kind"), EVERY)
def test_parts_that_do_not_fit_are_refused(name, kind):
    rng = np.random.default_rng(0)
    fields = with_factor(fields_of(kind, (128, 128), rng), name, kind, rng)
    parts = pack(fields, name, kind)
    for role in parts:
        if role == "global_scale":
            continue
        with pytest.raises(ValueError, match="missing"):
            unpack({k: v for k, v in parts.items() if k != role}, name, kind)
        short = parts | {role: parts[role][..., :-1]}
        with pytest.raises(ValueError, match=r"shape|bytes"):
            unpack(short, name, kind, (128, 128))
        wrong = parts | {role: parts[role].astype(np.float64)}
        with pytest.raises(TypeError, match="float64"):
            unpack(wrong, name, kind, (128, 128))
    with pytest.raises(ValueError, match="take scales of shape"):
        pack(Fields(fields.codes, fields.scales[:, :-1], fields.global_scale), name, kind)


@pytest.mark.parametrize(("name", "kind"), [each for each in EVERY if traits(each[1]).bits < 8])
def test_codes_with_too_many_bits_are_refused(name, kind):
    bits = traits(kind).bits
    fields = fields_of(kind, (2, 64), np.random.default_rng(0))
    fields.codes[1, 5] = 1 << bits
    with pytest.raises(ValueError, match=rf"{1 << bits:#04x}"):
        pack(fields, name, kind)


def test_six_bit_codes_in_bytes_are_checked_when_read():
    stored = {"codes": np.full((1, 32), 0x40, np.uint8), "scales": np.zeros((1, 1), np.uint8)}
    with pytest.raises(ValueError, match="more than 6 bits"):
        unpack(stored, "torchao", "mxfp6_e2m3")


def test_a_global_scale_without_a_place_is_refused():
    fields = fields_of("mxfp4", (1, 32), np.random.default_rng(0))
    with pytest.raises(ValueError, match="no place for a global scale"):
        pack(Fields(fields.codes, fields.scales, np.asarray(2.0)), "gpt-oss", "mxfp4")
    nvfp4 = fields_of("nvfp4", (4, 64), np.random.default_rng(0))
    parts = pack(nvfp4, "modelopt", "nvfp4")
    assert parts["global_scale"] == 1
    with pytest.raises(ValueError, match="one for each of its"):
        unpack(parts | {"global_scale": np.ones(3, np.float32)}, "modelopt", "nvfp4")
    with pytest.raises(ValueError, match="missing"):
        unpack({k: v for k, v in parts.items() if k != "global_scale"}, "modelopt", "nvfp4")


def test_matrices_that_tiles_would_mix_are_refused():
    with pytest.raises(ValueError, match="pad each to 128 rows"):
        layout("torchao-swizzled").shapes("mxfp4", (2, 100, 64))


@pytest.mark.parametrize("each", LAYOUTS.values(), ids=LAYOUTS)
def test_each_says_where_it_comes_from_and_how_sure_that_is(each):
    assert each.source.startswith("https://")
    assert each.evidence.split(":")[0] in {"measured", "secondary"}
    assert each.text
    for parts in each.parts.values():
        assert {"codes", "scales"} <= {p.role for p in parts} or parts[0].role == "records"
        assert math.prod(len(p.suffixes) * len(p.dtypes) for p in parts)
