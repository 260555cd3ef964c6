"""Quantized weights are found by name, type, shape and what is said of them, never by a guess."""

import json
import math
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mxref.checkpoints import CheckpointError, TensorInfo, open_checkpoint
from mxref.checkpoints._rows import rows_of
from mxref.checkpoints.find import Found, find_quantized, source_name
from mxref.checkpoints.gguf_types import BLOCKS
from mxref.layouts.conventions import LAYOUTS, Fields, layout, pack, traits

HELD = [
    (name, kind)
    for name, each in LAYOUTS.items()
    if each.container == "safetensors"
    for kind in each.parts
]
TOLD_BY_METADATA = {("torchao", "mxfp6_e3m2"), ("torchao", "mxfp6_e2m3")}
TOLD_BY_METADATA |= {("torchao-swizzled", kind) for _, kind in TOLD_BY_METADATA}
# Padding hides how many blocks a row has, and so whether a byte holds one code or two.
TOLD_BY_METADATA |= {("torchao-swizzled", "mxfp4")}
TOLD_BY_CONFIG = {("quark", "mxfp6_e3m2"), ("quark", "mxfp6_e2m3")}


def write(path, tensors, metadata=None):
    """Write {name: (dtype, shape, bytes)} as safetensors, whatever the types."""
    header, data = {"__metadata__": metadata} if metadata else {}, b""
    for name, (dtype, shape, raw) in tensors.items():
        offsets = [len(data), len(data) + len(raw)]
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": offsets}
        data += raw
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


def fields_of(kind, shape, seed=0, factor=None):
    of = traits(kind)
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 1 << of.bits, shape, np.uint8)
    scales = rng.integers(0, 256, (*shape[:-1], shape[-1] // of.block_size), np.uint8)
    return Fields(codes, scales, None if factor is None else np.asarray(factor, np.float64))


def tensors_of(weight, fields, name, kind):
    where = layout(name)
    parts, names = pack(fields, name, kind), where.names(weight, kind)
    types = {part.role: part.dtypes[0] for part in where.parts_for(kind)}
    return {names[r]: (types[r], a.shape, a.tobytes()) for r, a in parts.items()}


def dummy(dtype, *shape, size=1):
    return dtype, shape, bytes(math.prod(shape) * size)


def found_in(path, **given):
    with open_checkpoint(path) as store:
        return find_quantized(store, **given)


def torchao_metadata(name, kind):
    types = {"mxfp6_e3m2": "fp6_e3m2", "mxfp6_e2m3": "fp6_e2m3"}
    fp4 = {"_type": "torch.dtype", "_data": "float4_e2m1fn_x2"}
    data = {"elem_dtype": types.get(kind, fp4), "is_swizzled_scales": name == "torchao-swizzled"}
    return json.dumps({"_type": "MXTensor", "_data": data})


def quark_config(kind):
    weight = {"dtype": kind.removeprefix("mx"), "group_size": 32}
    return {"quant_method": "quark", "global_quant_config": {"weight": weight}}


# --- every convention is found -------------------------------------------------------------------


@pytest.mark.parametrize("weight", ["m.a.weight", "m.experts.w1"])
@pytest.mark.parametrize(("name", "kind"), HELD)
def test_every_layout_is_found_and_read(name, kind, weight, tmp_path):
    roles = [part.role for part in layout(name).parts_for(kind)]
    fields = fields_of(kind, (256, 128), factor=0.5 if "global_scale" in roles else None)
    tensors = tensors_of(weight, fields, name, kind)
    tensors["m.norm.weight"] = dummy("BF16", 5, size=2)
    metadata = {}
    if (name, kind) in TOLD_BY_METADATA:
        metadata[weight] = torchao_metadata(name, kind)
    if (name, kind) in TOLD_BY_CONFIG:
        (tmp_path / "config.json").write_text(
            json.dumps({"quantization_config": quark_config(kind)})
        )
    if name == "comfyui":
        tensors[weight.removesuffix("weight") + "comfy_quant"] = dummy("U8", 19)
    path = write(tmp_path / "w.safetensors", tensors, metadata)
    with open_checkpoint(path) as store:
        (found,) = find_quantized(store)
        whole, last = found.read(store), found.read(store, 128, 256)
    assert (found.name, found.status, found.format) == (weight, "mx", kind)
    assert found.shape == (256, 128)
    if found.layout != name:  # one that stores the same bytes under the same names
        assert name in found.notes[0]
        assert "same bytes" in found.notes[0]
    for part, rows in ((whole, slice(None)), (last, slice(128, None))):
        np.testing.assert_array_equal(part.codes, fields.codes[rows])
        np.testing.assert_array_equal(part.scales, fields.scales[rows])
        assert part.global_scale is None or part.global_scale == 0.5


@pytest.mark.parametrize(("name", "kind"), HELD)
def test_the_caller_decides(name, kind, tmp_path):
    roles = [part.role for part in layout(name).parts_for(kind)]
    fields = fields_of(kind, (128, 128), factor=2.0 if "global_scale" in roles else None)
    path = write(tmp_path / "w.safetensors", tensors_of("a.weight", fields, name, kind))
    (found,) = found_in(path, layout=name, format=kind)
    assert (found.layout, found.format, found.status) == (name, kind, "mx")


def test_what_mxref_writes_is_told_by_its_metadata(tmp_path):
    fields = fields_of("mxfp6_e3m2", (32, 64))
    tensors = tensors_of("a.weight", fields, "torchao", "mxfp6_e3m2")
    said = {"mxref.layout": "torchao", "mxref.format": "mxfp6_e3m2"}
    (found,) = found_in(write(tmp_path / "w.safetensors", tensors, said))
    assert (found.layout, found.format) == ("torchao", "mxfp6_e3m2")
    assert found.notes == ("told by the file's metadata (mxref)",)


def test_what_mxref_writes_needs_no_mark_of_comfyui(tmp_path):
    fields = fields_of("nvfp4", (128, 64), factor=1.0)
    tensors = tensors_of("a.weight", fields, "comfyui", "nvfp4")
    said = {"mxref.layout": "comfyui", "mxref.format": "nvfp4"}
    (found,) = found_in(write(tmp_path / "w.safetensors", tensors, said))
    assert (found.layout, found.format) == ("comfyui", "nvfp4")


def test_experts_may_have_a_global_scale_each(tmp_path):
    factors = np.array([1.0, 2.0, 4.0])[:, None, None]
    fields = fields_of("nvfp4", (3, 10, 64), factor=factors)
    tensors = tensors_of("e.weight", fields, "modelopt", "nvfp4")
    path = write(tmp_path / "w.safetensors", tensors)
    with open_checkpoint(path) as store:
        (found,) = find_quantized(store)
        part = found.read(store, 8, 21)
    assert (found.rows, found.columns) == (30, 64)
    assert part.global_scale.tolist() == [[1.0]] * 2 + [[2.0]] * 10 + [[4.0]]
    np.testing.assert_array_equal(part.codes, fields.codes.reshape(30, 64)[8:21])


def test_names_of_gpt_oss_in_both_forms(tmp_path):
    fields = fields_of("mxfp4", (2, 6, 64))
    parts = pack(fields, "gpt-oss", "mxfp4")
    codes, scales = (("U8", parts[r].shape, parts[r].tobytes()) for r in ("codes", "scales"))
    tensors = {
        "block.0.mlp.mlp1_weight.blocks": codes,
        "block.0.mlp.mlp1_weight.scales": scales,
        "model.layers.0.mlp.experts.gate_up_proj_blocks": codes,
        "model.layers.0.mlp.experts.gate_up_proj_scales": scales,
    }
    one, two = found_in(write(tmp_path / "w.safetensors", tensors))
    assert one.name == "block.0.mlp.mlp1_weight"
    assert two.name == "model.layers.0.mlp.experts.gate_up_proj"
    assert one.shape == two.shape == (2, 6, 64)


def test_rows_are_read_in_bounded_memory(tmp_path):
    fields = fields_of("mxfp8_e4m3", (16384, 2048))
    tensors = tensors_of("a.weight", fields, "torchao", "mxfp8_e4m3")
    with open_checkpoint(write(tmp_path / "w.safetensors", tensors)) as store:
        (found,) = find_quantized(store)
        found.read(store, 0, 1)
        tracemalloc.start()
        found.read(store, 4096, 4224)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 1 << 20  # the rows have 256 KiB, the tensor 32 MiB


# --- several readings ----------------------------------------------------------------------------


def test_six_bits_in_bytes_are_undecided_without_metadata(tmp_path):
    tensors = tensors_of("a.weight", fields_of("mxfp6_e2m3", (32, 64)), "torchao", "mxfp6_e2m3")
    path = write(tmp_path / "w.safetensors", tensors)
    with open_checkpoint(path) as store:
        (found,) = find_quantized(store)
        assert found.status == "undecided"
        assert found.candidates == (("torchao", "mxfp6_e3m2"), ("torchao", "mxfp6_e2m3"))
        with pytest.raises(CheckpointError, match=r"undecided.*torchao mxfp6_e3m2 or torchao"):
            found.read(store)
    (chosen,) = found_in(path, format="mxfp6_e2m3")
    assert (chosen.layout, chosen.format, chosen.status) == ("torchao", "mxfp6_e2m3", "mx")


def test_a_wrong_layout_of_the_caller_says_what_would_fit(tmp_path):
    tensors = tensors_of("a.weight", fields_of("mxfp4", (32, 64)), "gpt-oss", "mxfp4")
    (found,) = found_in(write(tmp_path / "w.safetensors", tensors), layout="mlx")
    assert found.status == "broken"
    assert found.notes == ("it does not fit mlx; it would fit gpt-oss mxfp4",)


def test_unknown_names_of_the_caller_are_errors(tmp_path):
    path = write(tmp_path / "w.safetensors", {"a.weight": dummy("F32", 2, 2, size=4)})
    with pytest.raises(ValueError, match="did you mean 'mlx'"):
        found_in(path, layout="mlxx")
    with pytest.raises(ValueError, match="did you mean 'mxfp4'"):
        found_in(path, format="mxpf4")
    with pytest.raises(ValueError, match="cannot hold 'nvfp4'"):
        found_in(path, layout="gpt-oss", format="nvfp4")


CONFIGS = [
    ("modelopt", "mxfp4", {"quant_method": "modelopt", "quant_algo": "W4A8_MXFP4_FP8"}),
    ("quark", "mxfp4", quark_config("mxfp4") | {"global_quant_config": {}}),
    ("quark", "mxfp8_e4m3", {"quant_method": "quark"}),
    (
        "compressed-tensors",
        "mxfp8_e4m3",
        {"quant_method": "compressed-tensors", "format": "mxfp8-quantized"},
    ),
]


@pytest.mark.parametrize(("name", "kind", "said"), CONFIGS)
def test_a_configuration_tells_who_wrote_it(name, kind, said, tmp_path):
    tensors = tensors_of("a.weight", fields_of(kind, (32, 64)), name, kind)
    path = write(tmp_path / "w.safetensors", tensors)
    (tmp_path / "config.json").write_text(json.dumps({"quantization_config": said}))
    (found,) = found_in(path)
    assert (found.layout, found.format) == (name, kind)
    assert found.notes[0].startswith("told by config.json: quantization_config")


def test_the_configuration_of_modelopt_has_a_file_of_its_own(tmp_path):
    tensors = tensors_of("a.weight", fields_of("mxfp8_e4m3", (32, 64)), "modelopt", "mxfp8_e4m3")
    path = write(tmp_path / "w.safetensors", tensors)
    said = {"producer": {"name": "modelopt"}, "quantization": {"quant_algo": "MXFP8"}}
    (tmp_path / "hf_quant_config.json").write_text(json.dumps(said))
    (found,) = found_in(path)
    assert found.layout == "modelopt"


def test_a_configuration_that_the_tensors_contradict_is_noted(tmp_path):
    tensors = tensors_of("a.weight", fields_of("mxfp4", (32, 64)), "gpt-oss", "mxfp4")
    path = write(tmp_path / "w.safetensors", tensors)
    said = {"quantization_config": {"quant_method": "quark"}}
    (tmp_path / "config.json").write_text(json.dumps(said))
    (found,) = found_in(path)
    assert found.layout == "gpt-oss"
    assert "says quark, which its tensors are not" in found.notes[0]


@pytest.mark.parametrize(
    "text", ["", "{", "[1]", "[" * 100_000, '{"quantization_config": [1]}', '"x"', "\xff\xfe"]
)
def test_a_damaged_configuration_does_no_harm(text, tmp_path):
    tensors = tensors_of("a.weight", fields_of("mxfp4", (32, 64)), "gpt-oss", "mxfp4")
    path = write(tmp_path / "w.safetensors", tensors, {"a.weight": text})
    (tmp_path / "config.json").write_bytes(text.encode("latin-1"))
    (found,) = found_in(path)
    assert (found.layout, found.status) == ("gpt-oss", "mx")


def test_comfyui_is_told_from_modelopt_by_its_mark(tmp_path):
    fields = fields_of("nvfp4", (128, 64), factor=1.0)
    tensors = tensors_of("a.weight", fields, "comfyui", "nvfp4")
    assert {n: t[1] for n, t in tensors.items()} == {
        n: t[1] for n, t in tensors_of("a.weight", fields, "modelopt", "nvfp4").items()
    }
    (plain,) = found_in(write(tmp_path / "plain.safetensors", tensors))
    assert (plain.layout, plain.notes) == ("modelopt", ())
    marked = tensors | {"a.comfy_quant": dummy("U8", 19)}
    (found,) = found_in(write(tmp_path / "marked.safetensors", marked))
    assert (found.layout, found.notes) == ("comfyui", ("told by a.comfy_quant",))
    said = {"_quantization_metadata": '{"layers": {"a": {"format": "nvfp4"}}}'}
    (found,) = found_in(write(tmp_path / "said.safetensors", tensors, said))
    assert found.layout == "comfyui"


# --- what is not MX ------------------------------------------------------------------------------

OTHERS = {
    "block FP8 of DeepSeek-V3": (
        {
            "a.weight": dummy("F8_E4M3", 256, 256),
            "a.weight_scale_inv": dummy("F32", 2, 2, size=4),
        },
        "FP8 with 2 x 2 scales (F32)",
    ),
    "dense weights of DeepSeek-V4": (
        {"a.weight": dummy("F8_E4M3", 256, 256), "a.scale": dummy("F8_E8M0", 2, 2)},
        "FP8 with 2 x 2 scales (F8_E8M0)",
    ),
    "one scale": (
        {"a.weight": dummy("F8_E4M3", 4, 4), "a.weight_scale": dummy("F32", 1, size=4)},
        "FP8 with one scale (F32)",
    ),
    "no scale": ({"a.weight": dummy("F8_E5M2", 4, 4)}, "FP8 without scales"),
    "mlx": (
        {
            "a.weight": dummy("U32", 4, 8, size=4),
            "a.scales": dummy("BF16", 4, 1, size=2),
            "a.biases": dummy("BF16", 4, 1, size=2),
        },
        "MLX affine",
    ),
    "gptq": (
        {"a.qweight": dummy("I32", 4, 8, size=4), "a.scales": dummy("F16", 4, 1, size=2)},
        "GPTQ or AWQ",
    ),
    "int4": (
        {"a.weight_packed": dummy("I32", 4, 8, size=4), "a.weight_scale": dummy("BF16", 4, size=2)},
        "packed integers of compressed-tensors",
    ),
    "bitsandbytes": (
        {"a.weight": dummy("U8", 64, 1), "a.weight.absmax": dummy("F32", 2, size=4)},
        "bitsandbytes",
    ),
    "Float8Tensor of torchao": (
        {"a._weight_qdata": dummy("F8_E4M3", 4, 8), "a._weight_scale": dummy("F32", 4, size=4)},
        "another tensor of torchao (F8_E4M3)",
    ),
    "Int8Tensor of torchao": (
        {"a._weight_qdata": dummy("I8", 4, 8), "a._weight_scale": dummy("F32", 4, size=4)},
        "another tensor of torchao (I8)",
    ),
}


@pytest.mark.parametrize("case", OTHERS)
def test_other_quantized_tensors_are_listed_as_not_mx(case, tmp_path):
    tensors, kind = OTHERS[case]
    path = write(tmp_path / "w.safetensors", tensors)
    with open_checkpoint(path) as store:
        (found,) = find_quantized(store)
        assert found.status == "not-mx"
        assert found.notes[0].startswith(f"not MX: {kind}")
        with pytest.raises(CheckpointError, match="not-mx"):
            found.read(store)


def test_plain_tensors_are_not_listed(tmp_path):
    tensors = {
        "a.weight": dummy("BF16", 4, 64, size=2),
        "a.weight_scale": dummy("F32", 4, size=4),
        "position_ids": dummy("I64", 1, 8, size=8),
        "mask": dummy("U8", 4, 32),
        "scales": dummy("U8", 4, 1),
    }
    assert found_in(write(tmp_path / "w.safetensors", tensors)) == []


# --- what is broken ------------------------------------------------------------------------------

BROKEN = {
    "no scales": ({"a.blocks": dummy("U8", 4, 2, 16)}, "a.scales is missing"),
    "scales of another type": (
        {"a.blocks": dummy("U8", 4, 2, 16), "a.scales": dummy("F16", 4, 2, size=2)},
        "a.scales has type F16; expected U8",
    ),
    "scales of another shape": (
        {"a.blocks": dummy("U8", 4, 2, 16), "a.scales": dummy("U8", 2, 4)},
        "scales have shape (2, 4); codes of shape (4, 2, 16) in mxfp4 take scales of shape (4, 2)",
    ),
    "blocks of another size": (
        {"a.blocks": dummy("U8", 4, 2, 8), "a.scales": dummy("U8", 4, 2)},
        "codes have shape (4, 2, 8)",
    ),
    "a row is no whole block": (
        {"a.weight_packed": dummy("U8", 4, 15), "a.weight_scale": dummy("U8", 4, 1)},
        "rows of 30 elements",
    ),
    "no second scale": (
        {"a.weight_packed": dummy("U8", 4, 16), "a.weight_scale": dummy("F8_E4M3", 4, 2)},
        "a.weight_global_scale is missing",
    ),
    "a plane of tiles for other rows": (
        {"a._weight_qdata": dummy("F8_E4M3", 200, 64), "a._weight_scale": dummy("F8_E8M0", 32, 16)},
        "scales have shape (32, 16)",
    ),
    "experts kept transposed": (
        {
            "e.gate_up_proj": dummy("U8", 2, 32, 48),
            "e.gate_up_proj_weight_scale": dummy("F8_E4M3", 2, 4, 48),
            "e.gate_up_proj_weight_scale_2": dummy("F32", size=4),
        },
        "scales have shape (2, 4, 48); codes of shape (2, 32, 48) in nvfp4 take scales of shape",
    ),
    "E4M3 scales of nothing": (
        {"a.weight_scale": dummy("F8_E4M3", 4, 2)},
        "scale codes [4, 2] without codes",
    ),
    "scales of nothing": ({"a.sf": dummy("F8_E8M0", 4, 2)}, "scale codes [4, 2] without codes"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_weights_that_cannot_be_read_say_why(case, tmp_path):
    tensors, why = BROKEN[case]
    path = write(tmp_path / "w.safetensors", tensors)
    with open_checkpoint(path) as store:
        (found,) = find_quantized(store)
        assert found.status == "broken"
        assert any(why in note for note in found.notes), found.notes
        with pytest.raises(CheckpointError, match="broken"):
            found.read(store)


def test_a_weight_that_is_there_twice_is_broken(tmp_path):
    fields = fields_of("mxfp4", (4, 64))
    parts = pack(fields, "gpt-oss", "mxfp4")
    codes, scales = (("U8", parts[r].shape, parts[r].tobytes()) for r in ("codes", "scales"))
    tensors = {"a.blocks": codes, "a.scales": scales, "a_blocks": codes, "a_scales": scales}
    one, two = found_in(write(tmp_path / "w.safetensors", tensors))
    assert one.status == two.status == "broken"
    assert one.notes == ("the weight is there twice: a_blocks, a_scales hold it too",)
    assert "a.blocks, a.scales" in two.notes[0]


def test_the_original_beside_a_quantized_weight_is_noted(tmp_path):
    tensors = tensors_of("a.weight", fields_of("mxfp4", (4, 64)), "gpt-oss", "mxfp4")
    tensors["a.weight"] = dummy("F32", 4, 64, size=4)
    (found,) = found_in(write(tmp_path / "w.safetensors", tensors))
    assert found.status == "mx"
    assert found.notes == ("a.weight (F32) is there as well",)


@pytest.mark.parametrize(
    ("start", "stop", "why"),
    [(0, 257, "has 256 rows"), (-1, 4, "has 256 rows"), (5, 4, "rows"), (0, 100, "multiples")],
)
def test_rows_that_cannot_be_read_alone_are_refused(start, stop, why, tmp_path):
    fields = fields_of("mxfp8_e4m3", (256, 64))
    tensors = tensors_of("a.weight", fields, "torchao-swizzled", "mxfp8_e4m3")
    with open_checkpoint(write(tmp_path / "w.safetensors", tensors)) as store:
        (found,) = find_quantized(store)
        assert found.row_step == 128
        with pytest.raises(CheckpointError, match=why):
            found.read(store, start, stop)


def test_codes_that_the_format_has_not_are_an_error_of_the_file(tmp_path):
    tensors = {
        "a._weight_qdata": ("U8", (1, 32), bytes([0x40] * 32)),
        "a._weight_scale": dummy("F8_E8M0", 1, 1),
    }
    with open_checkpoint(write(tmp_path / "w.safetensors", tensors)) as store:
        (found,) = find_quantized(store, format="mxfp6_e2m3")
        with pytest.raises(CheckpointError, match=r"a\.weight: code 0x40"):
            found.read(store)


# --- where a weight came from --------------------------------------------------------------------

SOURCES = [
    # name there, shape there, type there; found as; transposed; a word of the notes
    ("a.weight", (4, 64), "F32", "a.weight", False, ""),
    ("a", (4, 64), "BF16", "a", False, "called 'a' there"),
    ("model.a.weight", (4, 64), "F16", "model.a.weight", False, "called 'model.a.weight'"),
    ("weight", (4, 64), "F32", "weight", False, "called"),
    ("a.weight", (64, 4), "F32", "a.weight", True, "exchanged"),
    ("a.weight", (12, 64), "F32", "a.weight", False, "several weights in one"),
    ("a.weight", (2, 64), "F32", "a.weight", False, "several weights joined"),
    ("a.weight", (4, 64), "I32", "a.weight", False, "not the numbers"),
    ("other", (4, 64), "F32", None, False, "of the same shape"),
    ("other", (4, 32), "F32", None, False, "none has the shape"),
]


@pytest.mark.parametrize(("there", "shape", "dtype", "name", "transposed", "note"), SOURCES)
def test_the_original_is_found_by_name(there, shape, dtype, name, transposed, note, tmp_path):
    quantized = tensors_of("a.weight", fields_of("mxfp4", (4, 64)), "gpt-oss", "mxfp4")
    size = {"F32": 4, "I32": 4, "F16": 2, "BF16": 2}[dtype]
    source = write(tmp_path / "s.safetensors", {there: dummy(dtype, *shape, size=size)})
    with (
        open_checkpoint(write(tmp_path / "q.safetensors", quantized)) as store,
        open_checkpoint(source) as original,
    ):
        (found,) = find_quantized(store)
        match = source_name(found, original)
    assert (match.name, match.transposed) == (name, transposed)
    assert note in "; ".join(match.notes)
    assert note or not match.notes


def test_two_originals_that_could_be_meant_are_named(tmp_path):
    quantized = tensors_of("a.weight", fields_of("mxfp4", (4, 64)), "gpt-oss", "mxfp4")
    twins = {f"{p}.a.weight": dummy("F32", 4, 64, size=4) for p in ("x", "y")}
    with (
        open_checkpoint(write(tmp_path / "q.safetensors", quantized)) as store,
        open_checkpoint(write(tmp_path / "s.safetensors", twins)) as original,
    ):
        (found,) = find_quantized(store)
        match = source_name(found, original)
    assert match.name is None
    assert match.notes == ("several could be meant: x.a.weight, y.a.weight",)


def test_names_of_llama_cpp_are_translated(tmp_path):
    source = {
        "model.layers.0.self_attn.q_proj.weight": dummy("F32", 4, 64, size=4),
        "model.layers.0.mlp.up_proj.weight": dummy("F32", 4, 64, size=4),
        "model.embed_tokens.weight": dummy("F32", 4, 64, size=4),
    }
    with open_checkpoint(write(tmp_path / "s.safetensors", source)) as original:
        for name, there in (
            ("blk.0.ffn_up.weight", "model.layers.0.mlp.up_proj.weight"),
            ("token_embd.weight", "model.embed_tokens.weight"),
        ):
            assert source_name(Found(name, "gguf", "mxfp4", (4, 64), {}), original).name == there
        match = source_name(Found("blk.0.attn_q.weight", "gguf", "mxfp4", (4, 64), {}), original)
    assert match.name == "model.layers.0.self_attn.q_proj.weight"
    assert "reorders the rows" in match.notes[-1]


# --- whatever a header may say -------------------------------------------------------------------

NAMES = sorted(
    {
        stem + suffix
        for each in LAYOUTS.values()
        for parts in each.parts.values()
        for part in parts
        for suffix in part.suffixes
        for stem in ("a", "a.b", "")
    }
    | {"a", "a_scale", "weight", ".weight", "", "a.comfy_quant", "a.qweight", "a.weight_scale_inv"}
)
TYPES = ["U8", "I8", "U32", "I32", "F32", "BF16", "F8_E4M3", "F8_E5M2", "F8_E8M0", "F4"]
SHAPES = (
    st.lists(st.sampled_from([0, 1, 2, 4, 16, 17, 32, 34, 64, 128]), max_size=4)
    .filter(lambda shape: math.prod(shape) <= 1 << 20)  # what is found is read as a whole
    .map(tuple)
)
GGUF_SHAPES = SHAPES.map(lambda shape: (*shape, 64))
TENSORS = st.tuples(st.sampled_from(TYPES), SHAPES) | st.tuples(
    st.sampled_from(["MXFP4", "NVFP4", "Q4_0"]), GGUF_SHAPES
)


class Zeros:
    """A checkpoint without a file."""

    path, metadata, notes, files = Path("/nonexistent/w"), {}, (), ()

    def __init__(self, tensors):
        self.tensors = {}
        for name, (dtype, shape) in tensors.items():
            per, size = BLOCKS.get(dtype, (1, 1))
            bits = {"F4": 4, "U32": 32, "I32": 32, "F32": 32, "BF16": 16}.get(dtype, 8 * size)
            nbytes = math.prod(shape) * bits // (8 * per)
            self.tensors[name] = TensorInfo(name, dtype, shape, self.path, 0, nbytes)

    def read(self, name, start=0, stop=None):
        count, columns, dtype = rows_of(self.tensors[name])
        stop = count if stop is None else stop
        assert 0 <= start <= stop <= count
        return np.zeros((stop - start, columns), dtype)


@settings(max_examples=400, deadline=None)
@given(st.dictionaries(st.sampled_from(NAMES), TENSORS, max_size=6))
def test_no_header_breaks_the_search(tensors):
    store = Zeros(tensors)
    for found in find_quantized(store):
        assert found.status in {"mx", "not-mx", "undecided", "broken"}
        assert found.notes or found.status == "mx"
        if found.status == "mx":
            fields = found.read(store)
            assert fields.codes.shape == (found.rows, found.columns)
            source_name(found, store)


@pytest.mark.parametrize(("name", "kind"), HELD)
def test_the_search_of_zeros_reads_what_it_finds(name, kind):
    # The test above is worth something only if such stores do hold weights.
    shapes = layout(name).shapes(kind, (128, 128))
    names = layout(name).names("a.weight", kind)
    types = {part.role: part.dtypes[0] for part in layout(name).parts_for(kind)}
    store = Zeros({names[role]: (types[role], shapes[role]) for role in names})
    (found,) = find_quantized(store, layout=name, format=kind)
    assert found.read(store).codes.shape == (128, 128)
