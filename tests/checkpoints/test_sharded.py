"""Checkpoints in several files: indexes, loose shards, split GGUF, and what is missing of them."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from made_files import STRING, Gguf
from safetensors.numpy import save_file

from mxref.checkpoints import CheckpointError, open_checkpoint

A, B = np.arange(6, dtype=np.float32).reshape(2, 3), np.arange(4, dtype=np.int16).reshape(4, 1)
FIRST, SECOND = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
INDEX = "model.safetensors.index.json"


@pytest.fixture
def folder(tmp_path):
    """A checkpoint as it is published: an index, two shards, and other files beside them."""
    save_file({"a": A}, tmp_path / FIRST, {"format": "pt", "made": "first"})
    save_file({"b": B}, tmp_path / SECOND, {"format": "pt"})
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "._model.safetensors").write_bytes(b"left by a Mac")
    write_index(tmp_path, {"a": FIRST, "b": SECOND})
    return tmp_path


def write_index(folder, weight_map, **more):
    index = {"metadata": {"total_size": 32}, "weight_map": weight_map, **more}
    (folder / INDEX).write_text(json.dumps(index))


def refusal(path):
    with pytest.raises(CheckpointError) as refused:
        open_checkpoint(path)
    assert str(path) in str(refused.value)
    return str(refused.value)


def no_open_files():
    files = [os.path.realpath(link) for link in Path("/proc/self/fd").iterdir()]
    return not [file for file in files if "safetensors" in file or ".gguf" in file]


@pytest.mark.parametrize("named", ["", INDEX])
def test_a_folder_and_its_index_are_the_same(folder, named):
    with open_checkpoint(folder / named) as store:
        assert [(t.name, t.file) for t in store.tensors.values()] == [
            ("a", folder / FIRST),
            ("b", folder / SECOND),
        ]
        assert np.array_equal(store.read("a", 1, 2), A[1:])
        assert np.array_equal(store.read("b"), B)
        assert store.read_bytes("b", 2, 4).tobytes() == B.tobytes()[2:4]
        assert store.metadata == {"format": "pt", "made": "first"}
        assert store.files == (folder / FIRST, folder / SECOND)
        assert store.notes == ()
        with pytest.raises(CheckpointError, match="holds no tensor 'c'; it holds 2 others"):
            store.read("c")
    with pytest.raises(CheckpointError, match="is closed"):
        store.read("a")
    store.close()
    assert no_open_files()


def test_a_shard_named_by_itself_is_just_that_file(folder):
    with open_checkpoint(folder / SECOND) as store:
        assert list(store.tensors) == ["b"]


def test_links_as_the_cache_of_the_hub_makes_them(folder):
    cache = folder / "snapshot"
    cache.mkdir()
    for i, name in enumerate((FIRST, SECOND, INDEX)):
        (folder / name).rename(folder / f"blob{i}")
        (cache / name).symlink_to(f"../blob{i}")
    with open_checkpoint(cache) as store:
        assert np.array_equal(store.read("a"), A)


def test_shards_without_an_index(folder):
    (folder / INDEX).unlink()
    with open_checkpoint(folder) as store:
        assert sorted(store.tensors) == ["a", "b"]
    (folder / SECOND).unlink()
    assert f"1 of 2 files are missing: '{SECOND}'; fetch them into" in refusal(folder)


def test_missing_shards_are_named(folder):
    (folder / FIRST).unlink()
    assert f"{INDEX}: 1 of 2 files are missing: '{FIRST}'" in refusal(folder)
    shards = {f"t{i}": f"x-{i:02}.safetensors" for i in range(20)}
    write_index(folder, shards)
    message = refusal(folder)
    assert "20 of 20 files are missing" in message
    assert "'x-04.safetensors' and 15 more" in message


def test_a_damaged_shard_is_named_and_nothing_stays_open(folder):
    path = folder / SECOND
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(CheckpointError, match=rf"{SECOND}: truncated: .* 3 are missing"):
        open_checkpoint(folder)
    assert no_open_files()


def test_a_tensor_that_the_shard_does_not_hold(folder):
    write_index(folder, {"a": FIRST, "b": SECOND, "c": FIRST})
    assert "tensor 'c' should be in model-00001" in refusal(folder)
    assert "it is in none of the shards" in refusal(folder)
    write_index(folder, {"a": SECOND, "b": FIRST})
    assert "tensor 'a' should be in model-00002-of-00002.safetensors, but it is in" in refusal(
        folder
    )
    assert no_open_files()


def test_a_tensor_that_the_index_does_not_list_is_noted(folder):
    save_file({"b": B, "extra": B}, folder / SECOND)
    with open_checkpoint(folder) as store:
        assert "extra" in store.tensors
        assert store.notes == (f"1 tensors of the shards are not in the index {INDEX}: 'extra'",)


def test_a_file_beside_the_index_is_noted(folder):
    save_file({"a": A}, folder / "consolidated.safetensors")
    with open_checkpoint(folder) as store:
        assert sorted(store.tensors) == ["a", "b"]
        assert store.notes == (
            f"consolidated.safetensors beside the index {INDEX} but not in it: not read",
        )


def test_names_that_collide(folder):
    save_file({"a": A, "b": B}, folder / SECOND)
    assert f"tensor 'a' is in {FIRST} and in {SECOND}; which one counts?" in refusal(folder)
    (folder / INDEX).unlink()
    assert "tensor 'a' is in" in refusal(folder)
    assert no_open_files()


@pytest.mark.parametrize(
    "shard",
    ["../other.safetensors", "/etc/passwd", "x/../../y", "", ".", "a\0b", "..", "//x/y"],
)
def test_an_index_cannot_name_files_elsewhere(folder, shard):
    write_index(folder, {"a": FIRST, "evil": shard})
    assert "places tensor 'evil' in" in refusal(folder)
    assert "not below its own folder: refused" in refusal(folder)


def test_an_index_of_other_files(folder):
    """As of pytorch_model.bin.index.json, and names that no file can have."""
    (folder / SECOND).write_bytes(b"PK\x03\x04" + bytes(100))
    with pytest.raises(CheckpointError, match=rf"{SECOND}: .* pickled by torch.save: convert it"):
        open_checkpoint(folder)
    (folder / SECOND).write_bytes(Gguf().bytes())
    with pytest.raises(CheckpointError, match=rf"{SECOND}: is a GGUF file where a safetensors"):
        open_checkpoint(folder)
    write_index(folder, {"a": FIRST, "b": "n" * 300})
    assert "1 of 2 files are missing: 'nnnn" in refusal(folder)


def test_a_folder_below_is_fine(folder):
    (folder / "sub").mkdir()
    (folder / SECOND).rename(folder / "sub" / SECOND)
    write_index(folder, {"a": FIRST, "b": f"sub/{SECOND}"})
    with open_checkpoint(folder) as store:
        assert np.array_equal(store.read("b"), B)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{}", "is JSON without a weight_map"),
        ('{"weight_map": {}', "the text ends"),
        ('{"weight_map": {"a": 1}}', "no file name for tensor 'a'"),
        ('{"weight_map": []}', "'[' instead of '{'"),
        ('{"weight_map": {"a": "x", "a": "y"}}', "it has the key 'a' twice"),
        ('{"weight_map": {}, "weight_map": {}}', "it has the key 'weight_map' twice"),
        ('{"metadata": ' + "[" * 5000, "lists within lists"),
        ('{"metadata": {"total_size": ' + "9" * 5000 + "}}", "out of range"),
        ('{"metadata": NaN}', "NaN, which JSON does not know"),
        ('{"a": 1} {"b": 2}', "there is more text after the end"),
    ],
)
def test_an_index_that_lies(folder, text, reason):
    (folder / INDEX).write_text(text)
    assert reason in refusal(folder)


def test_an_index_that_is_no_text(folder):
    (folder / INDEX).write_bytes(b'{"weight_map": "\xff"}')
    assert "is no UTF-8 at byte 16" in refusal(folder)


def test_which_of_several(folder):
    (folder / "other.safetensors.index.json").write_text("{}")
    assert f"several checkpoints: {INDEX}, other.safetensors.index.json; name the one" in refusal(
        folder
    )
    (folder / "other.safetensors.index.json").unlink()
    (folder / "m.gguf").write_bytes(Gguf().bytes())
    assert f"several checkpoints: {INDEX}, m.gguf" in refusal(folder)
    for file in folder.glob("*safetensors*"):
        file.unlink()
    assert list(open_checkpoint(folder).tensors) == []
    (folder / "n.gguf").write_bytes(Gguf().bytes())
    assert "several checkpoints: m.gguf, n.gguf" in refusal(folder)


def test_a_folder_without_a_checkpoint(tmp_path):
    assert "holds no .safetensors and no .gguf file (0 others)" in refusal(tmp_path)


# --- GGUF ------------------------------------------------------------------------------------


def split(folder, names=("g-00001-of-00002.gguf", "g-00002-of-00002.gguf"), **lies):
    numbers = {"no": (0, 1), "count": (2, 2), "total": 2} | lies
    for i, (name, x) in enumerate(zip(names, (A, B), strict=True)):
        made = Gguf().field("split.no", 2, numbers["no"][i])
        made.field("split.count", 2, numbers["count"][i])
        made.field("split.tensors.count", 5, numbers["total"])
        if i == 0:
            made.field("general.name", STRING, "m")
        kind = {"float32": 0, "int16": 25}[x.dtype.name]
        made.tensor("ab"[i], x.shape[::-1], kind, x.tobytes())
        (folder / name).write_bytes(made.bytes())
    return folder


@pytest.mark.parametrize("named", ["", "g-00001-of-00002.gguf", "g-00002-of-00002.gguf"])
def test_a_split_gguf_is_one_whichever_file_is_named(tmp_path, named):
    with open_checkpoint(split(tmp_path) / named) as store:
        assert np.array_equal(store.read("a"), A)
        assert np.array_equal(store.read("b"), B)
        assert store.metadata["general.name"] == "m"
        assert store.fields["split.count"].value == 2
        assert (store.version, store.alignment, store.byte_order) == (3, 32, "little")
    assert no_open_files()


@pytest.mark.parametrize(
    ("lies", "reason"),
    [
        ({"no": (1, 0)}, "g-00001-of-00002.gguf: split.no is 1, but its name says 0"),
        ({"count": (2, 3)}, "g-00002-of-00002.gguf: split.count is 3, but its name says 2"),
        ({"total": 3}, "split.tensors.count is 3, and the 2 files hold 2 tensors"),
    ],
)
def test_a_split_gguf_that_contradicts_its_names(tmp_path, lies, reason):
    split(tmp_path, **lies)
    with pytest.raises(CheckpointError) as refused:
        open_checkpoint(tmp_path)
    assert reason in str(refused.value)
    assert no_open_files()


def test_a_split_gguf_with_a_part_missing(tmp_path):
    (split(tmp_path) / "g-00001-of-00002.gguf").unlink()
    assert "1 of 2 files are missing: 'g-00001-of-00002.gguf'" in refusal(tmp_path)


def test_a_name_that_claims_a_billion_parts_is_just_a_name(tmp_path):
    path = tmp_path / "g-00001-of-999999999.gguf"
    path.write_bytes(Gguf().bytes())
    assert list(open_checkpoint(path).tensors) == []
