"""What `quantize_checkpoint` writes: the right bytes under the right names, whoever reads them."""

import dataclasses
import json
import os
import struct
import subprocess
import sys

import ml_dtypes
import numpy as np
import pytest
import safetensors
import safetensors.numpy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import mxref
from mxref.checkpoints import _plan, open_checkpoint
from mxref.checkpoints.find import find_quantized
from mxref.checkpoints.gguf_writer import gguf_file
from mxref.checkpoints.quantize import quantize_checkpoint
from mxref.checkpoints.safetensors_writer import Stored, safetensors_file, stored_size
from mxref.formats import BLOCK_FORMATS
from mxref.layouts.conventions import LAYOUTS, pack, unpack

PAIRS = [
    (name, fmt)
    for name, each in LAYOUTS.items()
    for fmt in each.formats
    if fmt in BLOCK_FORMATS and each.container != "memory"
]


def weights(seed=0, rows=96):
    rng = np.random.default_rng(seed)
    return {
        "a.proj.weight": rng.standard_normal((rows, 64)).astype(np.float32),
        "a.proj.bias": rng.standard_normal(7).astype(np.float32),
        "b.proj.weight": rng.standard_normal((130, 256)).astype(np.float32),
        "norm.weight": np.ones(64, np.float32),
    }


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "in.safetensors"
    safetensors.numpy.save_file(weights(), path, metadata={"format": "pt"})
    return path


@pytest.fixture
def small_slices(monkeypatch):
    """Slices of few rows, so that small tensors have many."""
    monkeypatch.setattr(_plan, "SLICE", 10_000)


def suffix(layout):
    return f".{LAYOUTS[layout].container}"


@pytest.mark.parametrize(("layout", "fmt"), PAIRS)
@pytest.mark.usefixtures("small_slices")
def test_a_reader_finds_the_codes_of_quantize(source, tmp_path, layout, fmt):
    out = tmp_path / f"out{suffix(layout)}"
    quantize_checkpoint(source, out, fmt, layout)
    with open_checkpoint(out) as store:
        found = {f.name: f for f in find_quantized(store, layout=layout, format=fmt)}
        for name in ("a.proj.weight", "b.proj.weight"):
            q = mxref.quantize(weights()[name], fmt)
            match = found.get(name) or found[name.removesuffix(".weight")]
            fields = match.read(store)
            assert match.shape == q.shape
            np.testing.assert_array_equal(fields.codes, q.codes)
            np.testing.assert_array_equal(fields.scales, q.scales)


@pytest.mark.parametrize(("layout", "fmt"), PAIRS)
@pytest.mark.usefixtures("small_slices")
def test_slices_are_the_layout_of_the_whole(source, tmp_path, layout, fmt):
    out = tmp_path / f"out{suffix(layout)}"
    quantize_checkpoint(source, out, fmt, layout)
    convention = LAYOUTS[layout]
    q = mxref.quantize(weights()["b.proj.weight"], fmt)
    whole = pack(q, layout)
    names = convention.names("b.proj.weight", fmt)
    with open_checkpoint(out) as store:
        for role, array in whole.items():
            assert store.read_bytes(names[role]).tobytes() == array.tobytes(), role


@pytest.mark.parametrize(("layout", "fmt"), PAIRS)
def test_a_written_file_is_recognised_again(source, tmp_path, layout, fmt):
    out = tmp_path / f"out{suffix(layout)}"
    summary = quantize_checkpoint(source, out, fmt, layout)
    with open_checkpoint(out) as store:
        found = find_quantized(store)
        made = {name for one in summary.quantized for name in one.stored}
        assert made == set(store.tensors) - {"a.proj.bias", "norm.weight"}
    assert [each.name for each in found] in (
        ["a.proj.weight", "b.proj.weight"],
        ["a.proj", "b.proj"],
    )
    for each in found:
        assert (each.status, each.layout, each.format) == ("mx", layout, fmt)


@pytest.mark.parametrize(("layout", "fmt"), [p for p in PAIRS if p[0] != "gguf"])
def test_tensors_that_another_program_copied_are_recognised(source, tmp_path, layout, fmt):
    """Without what mxref wrote into the header, names, types, shapes and marks must do."""
    out = tmp_path / "out.safetensors"
    quantize_checkpoint(source, out, fmt, layout)
    data = out.read_bytes()
    for key in (b"layout", b"format"):
        assert data.count(b'"mxref.' + key) == 1
        data = data.replace(b'"mxref.' + key, b'"other.' + key)
    out.write_bytes(data)
    with open_checkpoint(out) as store:
        found = find_quantized(store)
    assert len(found) == 2
    for each in found:
        if fmt.startswith("mxfp6") and layout != "compressed-tensors":
            assert each.status == "undecided"  # both kinds of FP6 take the same bytes
            assert {(layout, "mxfp6_e3m2"), (layout, "mxfp6_e2m3")} <= set(each.candidates)
            assert "names, types and shapes fit several formats" in each.notes[0]
        else:
            assert (each.status, each.format) == ("mx", fmt)
            assert layout == each.layout or layout in each.notes[0].partition(" would store")[0]


def test_comfyui_gets_its_mark(source, tmp_path):
    out = tmp_path / "out.safetensors"
    summary = quantize_checkpoint(source, out, "mxfp8_e4m3", "comfyui")
    with safetensors.safe_open(out, "np") as file:
        mark = file.get_tensor("a.proj.comfy_quant")
    assert mark.dtype == np.uint8
    assert json.loads(mark.tobytes()) == {"format": "mxfp8"}
    assert "a.proj.comfy_quant" in summary.quantized[0].stored
    assert summary.bytes == out.stat().st_size


def test_the_safetensors_package_reads_it(source, tmp_path):
    out = tmp_path / "out.safetensors"
    quantize_checkpoint(source, out, "mxfp4", "gpt-oss", policy="torchao-even")
    with safetensors.safe_open(out, "np") as file:
        assert set(file.keys()) == {
            *("a.proj.blocks", "a.proj.scales", "b.proj.blocks", "b.proj.scales"),
            *("a.proj.bias", "norm.weight"),
        }
        metadata = file.metadata()
        blocks = file.get_tensor("b.proj.blocks")
        scales = file.get_tensor("b.proj.scales")
        assert file.get_tensor("a.proj.bias").tobytes() == weights()["a.proj.bias"].tobytes()
    assert blocks.shape == (130, 8, 16)
    fields = unpack({"codes": blocks, "scales": scales}, "gpt-oss", "mxfp4")
    q = mxref.quantize(weights()["b.proj.weight"], "mxfp4", policy="torchao-even")
    np.testing.assert_array_equal(fields.codes, q.codes)
    assert metadata["format"] == "pt"
    assert metadata["mxref.policy"] == "torchao-even"
    assert metadata["mxref.policy.choices"] == str(mxref.get_policy("torchao-even"))
    assert metadata["mxref.version"] == mxref.__version__
    assert json.loads(metadata["quantization_config"])["quant_method"] == "mxfp4"


def test_every_tensor_is_aligned_to_its_type(tmp_path):
    tensors = [Stored("x", "U8", (3,), 3, "x"), Stored("y", "F32", (2,), 8, "y")]
    file = safetensors_file("f", tensors, {})
    assert (file.places["y"], file.places["x"]) == (len(file.header), len(file.header) + 8)
    assert len(file.header) % 8 == 0
    path = tmp_path / "f.safetensors"
    path.write_bytes(file.header + bytes(file.size - len(file.header)))
    assert set(safetensors.numpy.load_file(path)) == {"x", "y"}


def test_sizes_and_types_that_cannot_be():
    assert stored_size("F6_E2M3", (4, 32)) == 96
    with pytest.raises(ValueError, match="no type Q4_0"):
        stored_size("Q4_0", (32,))
    with pytest.raises(ValueError, match="5 bytes cannot be U8 of shape"):
        safetensors_file("f", [Stored("x", "U8", (3,), 5, "x")], {})
    with pytest.raises(ValueError, match="no type U8"):
        gguf_file("f", [Stored("x", "U8", (3,), 3, "x")], b"", 0)
    with pytest.raises(ValueError, match="at most 63 bytes"):
        gguf_file("f", [Stored("x" * 64, "F32", (3,), 12, "x")], b"", 0)


@pytest.mark.parametrize("dtype", [np.float64, np.float16, ml_dtypes.bfloat16])
def test_other_types_of_floats(tmp_path, dtype):
    x = np.random.default_rng(1).standard_normal((8, 64)).astype(dtype)
    np.save(tmp_path / "x.npy", x)
    summary = quantize_checkpoint(
        tmp_path / "x.npy", tmp_path / "o.safetensors", "mxfp8_e4m3", "torchao"
    )
    assert [one.name for one in summary.quantized] == ["x.weight"]
    with open_checkpoint(tmp_path / "o.safetensors") as store:
        assert store.tensors["x._weight_qdata"].dtype == "F8_E4M3"
        codes = store.read_bytes("x._weight_qdata")
    assert codes.tobytes() == mxref.quantize(x, "mxfp8_e4m3").codes.tobytes()


@pytest.mark.parametrize("layout", ["gpt-oss", "torchao", "gguf"])
@pytest.mark.usefixtures("small_slices")
def test_stacks_of_matrices(tmp_path, layout):
    x = np.random.default_rng(2).standard_normal((3, 40, 96)).astype(np.float32)
    safetensors.numpy.save_file({"experts.w": x}, tmp_path / "i.safetensors")
    out = tmp_path / f"o{suffix(layout)}"
    quantize_checkpoint(tmp_path / "i.safetensors", out, "mxfp4", layout, include=["experts.*"])
    names = LAYOUTS[layout].names("experts.w", "mxfp4")
    with open_checkpoint(out) as store:
        for role, array in pack(mxref.quantize(x, "mxfp4"), layout).items():
            assert store.read_bytes(names[role]).tobytes() == array.tobytes(), role


def test_what_cannot_be_cut_is_converted_whole(source, tmp_path, monkeypatch):
    quantize_checkpoint(source, tmp_path / "cut.safetensors", "mxfp4", "gpt-oss")
    whole = {**LAYOUTS, "gpt-oss": dataclasses.replace(LAYOUTS["gpt-oss"], row_step=0)}
    monkeypatch.setattr("mxref.layouts.conventions.LAYOUTS", whole)
    monkeypatch.setattr(_plan, "SLICE", 10_000)
    quantize_checkpoint(source, tmp_path / "whole.safetensors", "mxfp4", "gpt-oss")
    made = [(tmp_path / f"{name}.safetensors").read_bytes() for name in ("cut", "whole")]
    assert made[0] == made[1]


def test_a_stack_that_the_layout_cannot_hold(tmp_path):
    x = np.zeros((3, 40, 96), np.float32)
    safetensors.numpy.save_file({"w.weight": x}, tmp_path / "i.safetensors")
    out = tmp_path / "o.safetensors"
    with pytest.raises(ValueError, match=r"w\.weight: .*40 rows.*exclude"):
        quantize_checkpoint(tmp_path / "i.safetensors", out, "mxfp4", "torchao-swizzled")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["i.safetensors"]


@pytest.mark.usefixtures("small_slices")
def test_bytes_do_not_depend_on_who_works(source, tmp_path, monkeypatch):
    made = []
    for i, executor in enumerate(["threads:1", "threads:3", "processes:2"]):
        out = tmp_path / f"{i}.safetensors"
        quantize_checkpoint(source, out, "mxfp6_e3m2", "torchao", executor=executor)
        made.append(out.read_bytes())
    monkeypatch.setattr(_plan, "SLICE", 1 << 24)
    out = tmp_path / "whole.safetensors"
    quantize_checkpoint(source, out, "mxfp6_e3m2", "torchao")
    assert {out.read_bytes()} == set(made)


# --- folders ------------------------------------------------------------------------------------


@pytest.fixture
def model(tmp_path):
    """A folder of two shards with an index, a configuration and a tokenizer."""
    folder = tmp_path / "model"
    folder.mkdir()
    everything = weights()
    shards = {
        "model-00001-of-00002.safetensors": ["a.proj.weight", "a.proj.bias"],
        "model-00002-of-00002.safetensors": ["b.proj.weight", "norm.weight"],
    }
    for name, names in shards.items():
        safetensors.numpy.save_file({k: everything[k] for k in names}, folder / name)
    index = {"metadata": {}, "weight_map": {k: s for s, names in shards.items() for k in names}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    (folder / "config.json").write_text('{"model_type": "tiny"}')
    (folder / "tokenizer.json").write_text("{}")
    return folder


def test_shards_as_in_the_source(model, tmp_path):
    out = tmp_path / "out"
    summary = quantize_checkpoint(model, out, "mxfp4", "compressed-tensors")
    assert sorted(path.name for path in out.iterdir()) == sorted(summary.files)
    first = safetensors.numpy.load_file(out / "model-00001-of-00002.safetensors")
    assert set(first) == {"a.proj.weight_packed", "a.proj.weight_scale", "a.proj.bias"}
    config = json.loads((out / "config.json").read_text())
    assert config["model_type"] == "tiny"
    assert config["quantization_config"]["format"] == "mxfp4-pack-quantized"
    assert (out / "tokenizer.json").read_text() == "{}"
    index = json.loads((out / "model.safetensors.index.json").read_text())
    assert index["weight_map"]["b.proj.weight_scale"] == "model-00002-of-00002.safetensors"
    with open_checkpoint(out) as store:
        assert len(store.tensors) == 6


def test_shards_of_a_size_and_one_file(model, tmp_path):
    out = tmp_path / "out"
    quantize_checkpoint(model, out, "mxfp4", "gpt-oss", shard_size=4000)
    shards = sorted(out.glob("*.safetensors"))
    assert [path.name for path in shards] == [
        f"model-0000{i}-of-00003.safetensors" for i in (1, 2, 3)
    ]
    holds = [set(safetensors.numpy.load_file(path)) for path in shards]
    assert {"b.proj.blocks", "b.proj.scales"} in holds  # larger than a shard, and together
    one = tmp_path / "one.safetensors"
    quantize_checkpoint(model, one, "mxfp4", "gpt-oss")
    assert set(safetensors.numpy.load_file(one)) == set().union(*holds)
    again = tmp_path / "again"
    quantize_checkpoint(model / "model.safetensors.index.json", again, "mxfp4", "gpt-oss")
    assert (again / "config.json").is_file()


def test_a_convention_brings_its_own_file(model, tmp_path):
    quantize_checkpoint(model, tmp_path / "out", "mxfp8_e4m3", "modelopt")
    document = json.loads((tmp_path / "out" / "hf_quant_config.json").read_text())
    assert document["quantization"]["quant_algo"] == "MXFP8"
    assert document["quantization"]["exclude_modules"] == ["norm"]


# --- GGUF ---------------------------------------------------------------------------------------


def test_gguf_keeps_the_keys_of_its_source(tmp_path):
    def text(value):
        return struct.pack("<Q", len(value)) + value

    keys = text(b"general.architecture") + struct.pack("<I", 8) + text(b"llama")
    keys += text(b"general.file_type") + struct.pack("<II", 4, 0)
    keys += text(b"list") + struct.pack("<IIQ3f", 9, 6, 3, 1.5, 2.5, 3.5)
    x = weights()
    stored = [
        Stored(name, "F32", x[name].shape, x[name].nbytes, name)
        for name in ("b.proj.weight", "norm.weight")
    ]
    file = gguf_file("i.gguf", stored, keys, 3)
    data = bytearray(file.header + bytes(file.size - len(file.header)))
    for name, at in file.places.items():
        data[at : at + x[name].nbytes] = x[name].tobytes()
    (tmp_path / "i.gguf").write_bytes(data)
    summary = quantize_checkpoint(tmp_path / "i.gguf", tmp_path / "o.gguf", "mxfp4", "gguf")
    assert summary.notes == ()
    with open_checkpoint(tmp_path / "o.gguf") as store:
        assert store.metadata["general.architecture"] == "llama"
        assert store.metadata["general.file_type"] == "38"
        assert store.metadata["mxref.policy"] == "ocp"
        assert store.fields["list"].nbytes == len(keys) - keys.index(b"list") + 8
        assert store.tensors["b.proj.weight"].dtype == "MXFP4"
        assert store.read_bytes("norm.weight").tobytes() == x["norm.weight"].tobytes()
    # and on into safetensors
    quantize_checkpoint(tmp_path / "i.gguf", tmp_path / "o.safetensors", "mxfp4", "mlx")
    assert "b.proj.scales" in safetensors.numpy.load_file(tmp_path / "o.safetensors")


def test_gguf_of_a_source_without_keys_says_so(source, tmp_path):
    summary = quantize_checkpoint(source, tmp_path / "o.gguf", "mxfp4", "gguf")
    assert "no GGUF keys" in summary.notes[0]
    assert "no GGUF keys" in str(summary)


# --- any shapes -----------------------------------------------------------------------------------


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_any_shapes_in_any_slices(tmp_path_factory, monkeypatch, data):
    layout, fmt = data.draw(st.sampled_from(PAIRS))
    monkeypatch.setattr(_plan, "SLICE", data.draw(st.integers(3000, 60_000), "slice"))
    shapes = data.draw(
        st.lists(st.tuples(st.integers(1, 300), st.integers(1, 5)), min_size=1, max_size=4)
    )
    rng = np.random.default_rng(0)
    tensors = {
        f"{i}.weight": rng.standard_normal((rows, 32 * blocks)).astype(
            data.draw(st.sampled_from([np.float32, np.float16]))
        )
        for i, (rows, blocks) in enumerate(shapes)
    }
    folder = tmp_path_factory.mktemp("any")
    safetensors.numpy.save_file(tensors, folder / "i.safetensors")
    out = folder / f"o{suffix(layout)}"
    quantize_checkpoint(folder / "i.safetensors", out, fmt, layout, executor="threads:2")
    with open_checkpoint(out) as store:
        for name, x in tensors.items():
            names = LAYOUTS[layout].names(name, fmt)
            for role, array in pack(mxref.quantize(x, fmt), layout).items():
                assert store.read_bytes(names[role]).tobytes() == array.tobytes(), (name, role)


MEASURED = """
import re, sys
from pathlib import Path
from mxref.checkpoints.quantize import quantize_checkpoint
done = quantize_checkpoint(sys.argv[1], sys.argv[2], "mxfp8_e4m3", "torchao", executor="threads:2")
# Of this program alone: what getrusage says goes on from the process that started it.
print(int(re.search(r"VmHWM:\\s*(\\d+) kB", Path("/proc/self/status").read_text())[1]) // 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_does_not_grow_with_the_file(tmp_path):
    """A source of 32 MB, and one of 512 MB (all zeros, which take no room on the disk)."""
    peaks = []
    for rows in (1 << 10, 16 << 10):
        source = tmp_path / f"{rows}.safetensors"
        shape = (rows, 1 << 13)
        file = safetensors_file("i", [Stored("a.weight", "F32", shape, 4 * rows << 13, "")], {})
        source.write_bytes(file.header)
        os.truncate(source, file.size)
        command = [sys.executable, "-c", MEASURED, str(source), str(tmp_path / f"{rows}.out")]
        done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
        peaks.append(int(done.stdout))
    assert peaks[1] < peaks[0] + 150, peaks  # megabytes
    assert peaks[1] < 1000
