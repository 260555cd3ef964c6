"""The readers of checkpoints: files of gguf and torch, and what gguf says of ours."""

import numpy as np
import pytest
from _compare import peers
from made_files import ARRAY, STRING, Gguf

from mxref.checkpoints import CheckpointError, open_checkpoint
from mxref.checkpoints.gguf_types import BLOCKS, SCALARS, TYPES, VALUE_TYPES

gguf = pytest.importorskip("gguf")

pytestmark = peers("gguf")

TORCH = {  # a row of 8 bytes: what safetensors calls the type, and how many elements it counts
    "float8_e4m3fn": ("F8_E4M3", 8),
    "float8_e5m2": ("F8_E5M2", 8),
    "float8_e8m0fnu": ("F8_E8M0", 8),
    "float8_e4m3fnuz": ("F8_E4M3FNUZ", 8),
    "float4_e2m1fn_x2": ("F4", 16),
    "bfloat16": ("BF16", 4),
    "uint16": ("U16", 4),
    "bool": ("BOOL", 8),
}


def theirs(path):
    """{name: (type, shape, bytes)} as the package reads them."""
    return {
        t.name: (t.tensor_type.name, tuple(t.shape[::-1].tolist()), t.data.tobytes())
        for t in gguf.GGUFReader(path).tensors
    }


def ours(path):
    with open_checkpoint(path) as store:
        return {
            t.name: (t.dtype, t.shape, store.read_bytes(t.name).tobytes())
            for t in store.tensors.values()
        }


def test_types_are_those_of_the_package():
    sizes = {kind.name: size for kind, size in gguf.GGML_QUANT_SIZES.items()}
    assert dict(BLOCKS) == sizes
    assert dict(TYPES) == {int(kind): kind.name for kind in gguf.GGML_QUANT_SIZES}
    assert [kind.name for kind in gguf.GGUFValueType] == list(VALUE_TYPES)
    assert set(SCALARS) == set(VALUE_TYPES) - {"STRING", "ARRAY"}


@pytest.mark.parametrize("endian", ["LITTLE", "BIG"])
def test_a_file_of_the_package(tmp_path, endian):
    path = tmp_path / "w.gguf"
    writer = gguf.GGUFWriter(path, "llama", False, gguf.GGUFEndian[endian])
    writer.add_name("été")
    writer.add_uint8("u8", 200)
    writer.add_int16("i16", -3)
    writer.add_float64("f64", 0.1)
    writer.add_bool("bool", val=True)
    writer.add_array("tokens", ["a", "b", ""])
    writer.add_array("scores", [0.5, -1.0])
    rng = np.random.default_rng(0)
    x = rng.standard_normal((3, 64)).astype(np.float32)
    for dtype in (np.float32, np.float16, np.float64, np.int8, np.int32, np.int64):
        writer.add_tensor(f"x.{np.dtype(dtype).name}", (x * 9).astype(dtype))
    blocks = gguf.quants.quantize(x, gguf.GGMLQuantizationType.MXFP4)
    writer.add_tensor("x.mxfp4", blocks, raw_dtype=gguf.GGMLQuantizationType.MXFP4)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    assert ours(path) == theirs(path)
    with open_checkpoint(path) as store:
        assert store.byte_order == endian.lower()
        assert np.array_equal(store.read("x.float32"), x * 9)
        assert np.array_equal(store.read("x.int32", 1, 3), (x * 9).astype(np.int32)[1:])
        assert np.array_equal(store.read("x.mxfp4", 0, 2), blocks[:2])
        reader = gguf.GGUFReader(path)
        fields = {key: f for key, f in reader.fields.items() if not key.startswith("GGUF.")}
        assert list(store.fields) == list(fields)
        for key, field in store.fields.items():
            assert field.offset == fields[key].offset
            assert field.nbytes == sum(part.nbytes for part in fields[key].parts)
            if not field.type.startswith("ARRAY"):
                assert field.value == fields[key].contents()
        assert store.fields["tokens"].value == "3 × STRING"


@pytest.mark.parametrize("order", ["<", ">"])
def test_what_our_tests_make_is_gguf(tmp_path, order):
    made = Gguf(order, alignment=64).field("general.alignment", 4, 64)
    made.field("k", STRING, "v").field("n", ARRAY, (10, [1, 2**63]))
    made.tensor("m", (64, 2), 39, bytes(range(68))).tensor("q", (64, 1), 40, bytes(range(36)))
    path = tmp_path / "w.gguf"
    path.write_bytes(made.tensor("v", (5,), 0, bytes(20)).bytes())
    assert ours(path) == theirs(path)
    assert len(ours(path)) == 3


def test_what_the_package_refuses_we_refuse(tmp_path):
    """Not the other way round: it reads tensors that overlap or lie at odd places."""
    whole = bytearray(
        Gguf().field("k", STRING, "value").tensor("w", (32, 2), 39, bytes(range(34))).bytes()
    )
    path = tmp_path / "w.gguf"
    refused = 0
    for at in range(len(whole) - 34):
        for value in (0, 1, 0x28, 0x7F):
            changed = whole.copy()
            if changed[at] == value or (at >= 8 and at % 8 > 3 and value == 0x7F):
                continue  # the package would loop for hours over a count of 2^56
            changed[at] = value
            path.write_bytes(changed)
            expected, found = opinion(theirs, path), opinion(ours, path)
            if isinstance(expected, Exception):
                refused += 1
                # We list tensors of types that nobody knows, and refuse to read their rows.
                listed = "is not a valid GGMLQuantizationType" in str(expected)
                assert isinstance(found, CheckpointError) or listed, (at, value, expected)
            elif not isinstance(found, CheckpointError):
                assert found == expected, (at, value)
    assert refused > 100


def opinion(read, path):
    try:
        return read(path)
    except Exception as error:  # noqa: BLE001  # whatever the package meets in parsing
        return error


@pytest.mark.parametrize("name", TORCH)
def test_what_torch_saves(tmp_path, name):
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file

    x = np.arange(16, dtype=np.uint8).reshape(2, 8) % 2
    save_file({"w": torch.from_numpy(x).view(getattr(torch, name))}, tmp_path / "w.safetensors")
    with open_checkpoint(tmp_path / "w.safetensors") as store:
        dtype, columns = TORCH[name]
        assert (store.tensors["w"].dtype, store.tensors["w"].shape) == (dtype, (2, columns))
        assert store.read("w", 1, 2).tobytes() == x[1:].tobytes()
