"""MXArray for others to keep: what NumPy sees of it, pickles and files."""

import io
import json
import os
import pickle
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mxref
from mxref.formats import BLOCK_FORMATS, BlockFormat, block_format
from mxref.mxarray import _files

FORMATS = tuple(BLOCK_FORMATS)


def sample(shape, fmt="mxfp4/4", axis=-1, policy=None, seed=0):
    """Any codes at all, so that NaN, infinities and negative zeros are among them."""
    rng = np.random.default_rng(seed)
    fmt = block_format(fmt)
    axis %= len(shape)
    blocks = (*shape[:axis], -(-shape[axis] // fmt.block_size), *shape[axis + 1 :])
    codes = rng.integers(0, fmt.element.code_count, shape, np.uint8)
    return mxref.MXArray(codes, rng.integers(0, 256, blocks, np.uint8), fmt, axis, policy=policy)


def same(a, b):
    return a.equals(b) and a.policy == b.policy and type(a) is type(b)


# --- NumPy ----------------------------------------------------------------------------------------


def test_numpy_sees_the_values():
    q = mxref.quantize(np.linspace(-3, 3, 64, dtype=np.float32), "mxfp4")
    values = q.dequantize()
    stream = io.BytesIO()
    np.save(stream, q)
    stream.seek(0)
    stored = np.load(stream, allow_pickle=False)
    assert stored.dtype == np.float32
    np.testing.assert_array_equal(stored, values)
    np.testing.assert_array_equal(np.asarray(q), values)
    assert np.asarray(q, np.float64).dtype == np.float64
    np.testing.assert_array_equal(np.array(q, copy=True), values)
    with pytest.raises(ValueError, match="copy=False cannot be met"):
        np.array(q, copy=False)


def test_dlpack_is_refused_with_advice():
    q = sample((4,))
    with pytest.raises(TypeError, match=r"two arrays.*q\.to_torch\(\)"):
        np.from_dlpack(q)


# --- pickles --------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("fmt", [*FORMATS, "mxfp4/5"])
def test_pickles(fmt, protocol):
    for policy in ("ocp", "te-mxfp8", "ocp:rounding=toward-zero,neg_zero=drop"):
        for shape, axis in (((3, 40), 1), ((40, 3), 0), ((0, 32), 1), ((5,), 0)):
            q = sample(shape, fmt, axis, policy)
            assert same(pickle.loads(pickle.dumps(q, protocol)), q)


def test_protocol_5_carries_the_bytes_outside():
    q = sample((64, 256), "mxfp8_e4m3")
    buffers = []
    data = pickle.dumps(q, 5, buffer_callback=buffers.append)
    assert len(buffers) == 2
    assert len(data) < 4000
    back = pickle.loads(data, buffers=buffers)
    assert same(back, q)
    assert np.shares_memory(back.codes, q.codes)


def test_a_format_of_the_users_own_survives():
    own = BlockFormat("mine", *(getattr(block_format("mxfp4"), n) for n in ("element", "scale")), 8)
    q = mxref.MXArray(np.zeros(16, np.uint8), np.zeros(2, np.uint8), own)
    assert same(pickle.loads(pickle.dumps(q)), q)


def test_pickles_name_no_module_that_may_move():
    data = pickle.dumps(sample((4, 4)), 0)
    assert b"mxref.mxarray\n" in data
    assert b"_array" not in data.replace(b"mxref.mxarray", b"")


def test_a_pickle_for_another_process(tmp_path):
    q = sample((3, 64), "mxfp6_e2m3", policy="torchao-even")
    (tmp_path / "q.pickle").write_bytes(pickle.dumps(q))
    source = (
        "import pickle, sys; q = pickle.load(open(sys.argv[1], 'rb'));"
        "print(q.format.name, q.axis, q.policy, q.codes.sum(), q.scales.sum())"
    )
    done = subprocess.run(
        [sys.executable, "-c", source, tmp_path / "q.pickle"],
        capture_output=True,
        text=True,
        check=True,
    )
    expected = f"mxfp6_e2m3 1 {q.policy} {q.codes.sum()} {q.scales.sum()}"
    assert done.stdout.strip() == expected


# --- files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("fmt", [*FORMATS, "mxfp8_e5m2/7"])
def test_files_round_trip(tmp_path, fmt):
    path = tmp_path / "q.mx"
    for policy in ("ocp", "te-mxfp8", "ocp:rounding=toward-zero,neg_zero=drop"):
        for shape, axis in (((3, 40), 1), ((40, 3), 0), ((0, 32), 1), ((2, 3, 5), 1)):
            q = sample(shape, fmt, axis, policy)
            q.save(path, overwrite=True)
            assert same(mxref.MXArray.load(path), q)
            q.T.save(path, overwrite=True)
            back = mxref.MXArray.load(str(path))
            assert same(back, q.T)
    assert back.codes.flags.writeable


def test_numpy_alone_reads_a_file(tmp_path):
    q = sample((3, 40), "mxfp8_e4m3", policy="te-mxfp8")
    q.save(tmp_path / "q.npz")
    with np.load(tmp_path / "q.npz", allow_pickle=False) as archive:
        np.testing.assert_array_equal(archive["codes"], q.codes)
        np.testing.assert_array_equal(archive["scales"], q.scales)
        facts = json.loads(str(archive["mxref"]))
    assert (facts["format"], facts["axis"]) == ("mxfp8_e4m3", 1)
    assert facts["policy"]["fields"] == q.policy.as_dict()


def test_the_same_array_gives_the_same_file(tmp_path):
    for name in "ab":
        sample((3, 40)).save(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_nothing_is_overwritten_unasked(tmp_path):
    path = tmp_path / "q"
    path.write_text("precious")
    with pytest.raises(FileExistsError, match="overwrite=True"):
        sample((4,)).save(path)
    assert path.read_text() == "precious"
    sample((4,)).save(path, overwrite=True)
    assert mxref.MXArray.load(path).shape == (4,)
    assert os.listdir(tmp_path) == ["q"]  # noqa: PTH208


def test_a_name_taken_meanwhile_is_kept(tmp_path, monkeypatch):
    path = tmp_path / "q"

    def taken(*_, **__):
        path.write_text("somebody else's")

    monkeypatch.setattr(_files.os, "fsync", taken)
    with pytest.raises(FileExistsError, match="overwrite=True"):
        sample((4,)).save(path)
    assert path.read_text() == "somebody else's"
    assert os.listdir(tmp_path) == ["q"]  # noqa: PTH208


@pytest.mark.parametrize("links", [True, False])
def test_an_interruption_leaves_what_was_there(tmp_path, monkeypatch, links):
    path = tmp_path / "q"
    path.write_text("old")

    def fails(*_, **__):
        raise OSError(28, "No space left on device")

    if not links:
        monkeypatch.setattr(_files.os, "link", fails)
        sample((4,)).save(tmp_path / "new")
        assert mxref.MXArray.load(tmp_path / "new").shape == (4,)
        (tmp_path / "new").unlink()
    monkeypatch.setattr(_files.os, "fsync", fails)
    with pytest.raises(OSError, match="No space left"):
        sample((4,)).save(path, overwrite=True)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["q"]  # noqa: PTH208


def test_a_file_cannot_name_a_format_of_the_users_own(tmp_path):
    own = BlockFormat("mine", *(getattr(block_format("mxfp4"), n) for n in ("element", "scale")), 8)
    q = mxref.MXArray(np.zeros(16, np.uint8), np.zeros(2, np.uint8), own)
    with pytest.raises(ValueError, match="differs from mxref's own"):
        q.save(tmp_path / "q")
    assert not os.listdir(tmp_path)  # noqa: PTH208


def stored(**changes):
    """The members of a good file, some changed; None leaves one out."""
    q = sample((2, 8), "mxfp8_e4m3/4")
    facts = {
        "version": 1,
        "format": "mxfp8_e4m3/4",
        "axis": 1,
        "policy": {"name": "ocp", "fields": q.policy.as_dict()},
    }
    members = {"codes": q.codes, "scales": q.scales, "facts": facts} | changes
    facts = members.pop("facts")
    if "mxref" not in members and facts is not None:
        members["mxref"] = np.array(facts if isinstance(facts, str) else json.dumps(facts))
    stream = io.BytesIO()
    np.savez(stream, **{k: v for k, v in members.items() if v is not None})
    return stream.getvalue()


def facts(**changes):
    good = {"version": 1, "format": "mxfp8_e4m3/4", "axis": 1}
    good["policy"] = {"fields": mxref.get_policy("ocp").as_dict()}
    return {"facts": good | changes}


def lying(shape):
    """A member whose header claims another shape than its bytes have."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, claimed in (("codes", shape), ("scales", (2, 2))):
            member = io.BytesIO()
            header = {"descr": "|u1", "fortran_order": False, "shape": claimed}
            np.lib.format.write_array_header_1_0(member, header)
            archive.writestr(f"{name}.npy", member.getvalue() + bytes(16 if name == "codes" else 4))
        member = io.BytesIO()
        np.save(member, np.array(json.dumps(facts()["facts"])))
        archive.writestr("mxref.npy", member.getvalue())
    return stream.getvalue()


def compressed():
    q = sample((2, 8), "mxfp8_e4m3/4")
    stream = io.BytesIO()
    np.savez_compressed(stream, codes=q.codes, scales=q.scales, mxref=np.array("{}"))
    return stream.getvalue()


def one_array():
    stream = io.BytesIO()
    np.save(stream, np.zeros(4, np.uint8))
    return stream.getvalue()


def with_objects():
    stream = io.BytesIO()
    np.savez(stream, codes=np.array([{}], object), scales=np.zeros(1, np.uint8), mxref=np.array(""))
    return stream.getvalue()


BAD = {
    "empty": (b"", "no .npz archive"),
    "text": (b"hello" * 100, "no .npz archive"),
    "one array": (one_array(), "one array .*without its scales"),
    "pickled": (pickle.dumps({"codes": 1}), "no .npz archive"),
    "objects": (with_objects(), "mxref|codes"),
    "other members": (stored(other=np.zeros(3)), "expected codes.npy"),
    "no scales": (stored(scales=None), "expected codes.npy"),
    "no description": (stored(facts=None), "expected codes.npy"),
    "description of bytes": (stored(mxref=np.zeros(4, np.uint8)), "description is no text"),
    "description is no JSON": (stored(facts="{"), "not mxref's"),
    "description is a list": (stored(facts="[1]"), "not mxref's"),
    "long description": (stored(facts="1" * 400_000), "description is no text"),
    "float codes": (stored(codes=np.zeros((2, 8), np.float32)), "codes have type float32"),
    "wider scales": (stored(scales=np.zeros((2, 2), np.uint16)), "scales have type uint16"),
    "shape": (stored(scales=np.zeros((2, 3), np.uint8)), "arrays do not fit"),
    "no axis": (stored(codes=np.zeros((), np.uint8)), "arrays do not fit"),
    "compressed": (compressed(), "is compressed"),
    "newer": (stored(**facts(version=2)), "version 2; this mxref reads version 1"),
    "format": (stored(**facts(format="mxfp5")), "unknown block format 'mxfp5'"),
    "format of a type": (stored(**facts(format=3)), "block format is a name"),
    "axis": (stored(**facts(axis=7)), "axis 7 is out of range"),
    "axis of a type": (stored(**facts(axis="1")), "axis must be an integer"),
    "policy field": (stored(**facts(policy={"fields": {"taste": "sweet"}})), "does not know"),
    "policy choice": (stored(**facts(policy={"fields": {"rounding": "up-ish"}})), "up-ish"),
    "policy": (stored(**facts(policy={"fields": [1]})), "description says"),
    "claims too much": (lying((1 << 62,)), "claim shape"),
    "claims too little": (lying((2, 4)), "claim shape"),
    "claims a negative": (lying((-2, -8)), "claim shape"),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_files_are_refused(tmp_path, what):
    data, text = BAD[what]
    path = tmp_path / "bad"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=text) as caught:
        mxref.MXArray.load(path)
    assert str(path) in str(caught.value)


def test_codes_out_of_range_are_refused(tmp_path):
    path = tmp_path / "bad"
    path.write_bytes(stored(codes=np.full((2, 8), 16, np.uint8), **facts(format="mxfp4/4")))
    with pytest.raises(ValueError, match=r"arrays do not fit.*out of range"):
        mxref.MXArray.load(path)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        mxref.MXArray.load(tmp_path / "none")
    with pytest.raises(FileNotFoundError):
        sample((4,)).save(tmp_path / "none" / "q")


def test_every_truncation_is_noticed(tmp_path):
    path = tmp_path / "cut"
    whole = stored()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match="cut"):
            mxref.MXArray.load(path)


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_a_damaged_file_is_refused_or_harmless(tmp_path_factory, data):
    """A flipped byte of an array breaks the checksum; elsewhere it may not matter."""
    whole = bytearray(stored())
    for _ in range(data.draw(st.integers(1, 3))):
        whole[data.draw(st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
    path = tmp_path_factory.getbasetemp() / "damaged"
    path.write_bytes(whole)
    try:
        found = mxref.MXArray.load(path)
    except ValueError as error:
        assert str(path) in str(error)  # noqa: PT017
    else:
        assert same(found, sample((2, 8), "mxfp8_e4m3/4"))


def test_a_folder_that_is_not_there_is_named_by_the_path_given(tmp_path):
    path = tmp_path / "nowhere" / "q.npz"
    with pytest.raises(FileNotFoundError) as caught:
        mxref.quantize(np.ones(32, np.float32), "mxfp4").save(path)
    assert caught.value.filename == str(path)
