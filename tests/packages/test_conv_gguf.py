"""Layout gguf: records that gguf.quants dequantizes, and files of GGUFWriter."""

import numpy as np
import pytest
from _compare import peers
from _conventions import random_fields, values

from mxref.checkpoints import open_checkpoint
from mxref.checkpoints.find import find_quantized
from mxref.layouts.conventions import pack

pytestmark = peers("gguf")

TYPES = {"mxfp4": "MXFP4", "nvfp4": "NVFP4"}


def kind(name):
    import gguf

    return gguf.GGMLQuantizationType[TYPES[name]]


@pytest.mark.parametrize("name", TYPES)
def test_gguf_dequantizes_our_records(name):
    import gguf

    fields = random_fields(name, (66, 320))
    records = pack(fields, "gguf", name)["records"]
    theirs = gguf.quants.dequantize(records, kind(name))
    np.testing.assert_array_equal(theirs, values(fields, name).astype(np.float32))


@pytest.mark.parametrize("name", TYPES)
def test_a_file_of_gguf_is_found_and_read(name, tmp_path):
    import gguf

    fields = random_fields(name, (2, 33, 128), factor=np.float32(0.25))
    if name == "mxfp4":
        fields = random_fields(name, (2, 33, 128))
    parts = pack(fields, "gguf", name)
    writer = gguf.GGUFWriter(str(tmp_path / "w.gguf"), "llama")
    writer.add_tensor("blk.0.ffn_up_exps.weight", parts["records"], raw_dtype=kind(name))
    if name == "nvfp4":
        writer.add_tensor("blk.0.ffn_up_exps.scale", parts["global_scale"])
    q8 = gguf.quants.quantize(np.ones((2, 64), np.float32), gguf.GGMLQuantizationType.Q8_0)
    writer.add_tensor("output.weight", q8, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    theirs = gguf.GGUFReader(tmp_path / "w.gguf").tensors[0]
    assert theirs.tensor_type == kind(name)
    with open_checkpoint(tmp_path / "w.gguf") as store:
        found, other = find_quantized(store)
        whole, some = found.read(store), found.read(store, 30, 40)
    assert (found.layout, found.format, found.shape) == ("gguf", name, (2, 33, 128))
    assert (other.status, other.notes) == ("not-mx", ("not MX: Q8_0 of GGUF",))
    flat = fields.codes.reshape(66, 128)
    np.testing.assert_array_equal(whole.codes, flat)
    np.testing.assert_array_equal(some.codes, flat[30:40])
    assert whole.global_scale is None if name == "mxfp4" else whole.global_scale == 0.25


def test_mxfp4_of_gguf_is_read():
    import gguf

    from mxref.layouts.conventions import unpack

    x = np.random.default_rng(0).standard_normal((4, 64)).astype(np.float32)
    records = gguf.quants.quantize(x, kind("mxfp4"))
    fields = unpack({"records": records}, "gguf", "mxfp4")
    theirs = gguf.quants.dequantize(records, kind("mxfp4"))
    np.testing.assert_array_equal(values(fields, "mxfp4").astype(np.float32), theirs)


def test_names_of_tensors_are_those_of_gguf():
    import gguf

    from mxref.checkpoints._find_gguf import _LAYER, _WHOLE, hugging_face_names

    maps = [
        gguf.get_tensor_name_map(gguf.MODEL_ARCH[name], 4)
        for name in ("LLAMA", "QWEN2MOE", "GPT_OSS")
    ]
    for stem in [*_WHOLE, *(f"blk.3.{part}" for part in _LAYER)]:
        (there,) = hugging_face_names(f"{stem}.weight")
        theirs = {each.get_name(there, try_suffixes=(".weight",)) for each in maps}
        assert f"{stem}.weight" in theirs, (stem, there, theirs)
