import io
import json
import pickle

import ml_dtypes
import numpy as np
import pytest

import mxref


def check_quantize(files, *more):
    return (
        *("check", "quantize", "--format", "mxfp4"),
        *("--input", files["x"], "--codes", files["c"], "--scales", files["s"]),
        *more,
    )


# --- check ---------------------------------------------------------------------------------------


def test_right_files_conform(invoke, block_files):
    result = invoke(*check_quantize(block_files))
    assert result.exit_code == 0, result.output
    report = json.loads(invoke(*check_quantize(block_files, "--json")).stdout)
    assert (report["verdict"], report["ok"]) == ("conforms", True)


def test_wrong_files_do_not(invoke, block_files):
    codes = np.load(block_files["c"])
    codes[2, 5] ^= 1
    np.save(block_files["c"], codes)
    result = invoke(*check_quantize(block_files))
    assert result.exit_code == 1
    assert "[2, 5]" in result.output


def test_axis_block_size_and_policy(invoke, block_files):
    x = np.load(block_files["x"])
    policy = "ocp:scale_rule=rceil"
    q = mxref.quantize(x.T, "mxfp4", axis=0, policy=policy, block_size=16)
    np.save(block_files["x"], x.T)
    np.save(block_files["c"], q.codes)
    np.save(block_files["s"], q.scales)
    args = check_quantize(block_files, "--axis", 0, "--block-size", 16)
    assert invoke(*args).exit_code == 0
    assert invoke(*args, "--policy", policy).exit_code == 0
    assert invoke(*args, "--policy", "ocp").exit_code == 1


def test_the_other_operations(invoke, block_files, tmp_path):
    codes, scales = np.load(block_files["c"]), np.load(block_files["s"])
    y = tmp_path / "y.npy"
    np.save(y, mxref.dequantize(codes, scales, "mxfp4"))
    args = ("--codes", block_files["c"], "--output", y)
    more = ("--scales", block_files["s"], "--format", "mxfp4")
    assert invoke("check", "dequantize", *args, *more).exit_code == 0

    np.save(y, mxref.decode(codes, "e2m1"))
    assert invoke("check", "decode", *args, "--format", "e2m1").exit_code == 0
    assert invoke("check", "decode", *args, "--format", "e2m3").exit_code == 1

    np.save(block_files["c"], mxref.encode(np.load(block_files["x"]), "e5m2"))
    args = ("--codes", block_files["c"], "--input", block_files["x"])
    assert invoke("check", "encode", *args, "--format", "e5m2").exit_code == 0
    assert invoke("check", "encode", *args, "--format", "e4m3").exit_code == 1


def test_bfloat16_needs_a_word(invoke, fails, block_files):
    x = np.load(block_files["x"]).astype(ml_dtypes.bfloat16)
    q = mxref.quantize(x, "mxfp4")
    np.save(block_files["x"], x)
    np.save(block_files["c"], q.codes)
    np.save(block_files["s"], q.scales)
    assert "--input-dtype bfloat16" in fails(*check_quantize(block_files))
    result = invoke(*check_quantize(block_files, "--input-dtype", "bfloat16"))
    assert result.exit_code == 0, result.output
    np.save(block_files["x"], x.view(np.uint16))
    assert invoke(*check_quantize(block_files, "--input-dtype", "bfloat16")).exit_code == 0
    assert "holds uint16, not float16" in fails(
        *check_quantize(block_files, "--input-dtype", "float16")
    )


@pytest.mark.parametrize("dtype", [">f4", "<f8", "float16"])
def test_other_float_types(invoke, block_files, dtype):
    x = np.load(block_files["x"]).astype(dtype)
    q = mxref.quantize(x, "mxfp4")
    np.save(block_files["x"], x)
    np.save(block_files["c"], q.codes)
    np.save(block_files["s"], q.scales)
    assert invoke(*check_quantize(block_files)).exit_code == 0


def test_wider_integers_are_codes_too(invoke, block_files):
    np.save(block_files["c"], np.load(block_files["c"]).astype(np.int64))
    assert invoke(*check_quantize(block_files)).exit_code == 0


# --- files that cannot be used -------------------------------------------------------------------


def _npy(array, **kwargs):
    buffer = io.BytesIO()
    np.save(buffer, array, **kwargs)
    return buffer.getvalue()


def _npz():
    buffer = io.BytesIO()
    np.savez(buffer, a=np.zeros(3))
    return buffer.getvalue()


X = np.zeros((4, 64), np.float32)
BAD_INPUTS = {
    "empty": (b"", "truncated"),
    "text": (b"1.0 2.0\n", "no .npy file"),
    "truncated": (_npy(X)[:-100], "truncated"),
    "cut header": (_npy(X)[:40], "truncated"),
    "damaged header": (_npy(X).replace(b"'descr'", b"'dexcr'"), "cannot be read"),
    "huge": (_npy(X).replace(b"(4, 64), ", b"(4e9,6), "), "x.npy"),
    "objects": (_npy(np.array([None, {}]), allow_pickle=True), "refused as unsafe"),
    "pickle": (pickle.dumps([1.0]), "refused as unsafe"),
    "archive": (_npz(), ".npz archive"),
    "integers": (_npy(X.astype(np.int32)), "holds int32"),
    "complex": (_npy(X.astype(np.complex64)), "holds complex64"),
    "strings": (_npy(np.array(["1.0"])), "holds <U3"),
    "structured": (_npy(np.zeros(3, dtype="f4,i4")), "expected numbers"),
    "booleans": (_npy(X.astype(bool)), "holds bool"),
    "wrong shape": (_npy(X[:, :32]), "shape"),
    "not a multiple": (_npy(X[:, :40]), ""),
    "scalar": (_npy(np.float32(1)), ""),
}


@pytest.mark.parametrize("name", BAD_INPUTS)
def test_bad_input_is_one_line(fails, block_files, name):
    content, said = BAD_INPUTS[name]
    block_files["x"].write_bytes(content)
    assert said in fails(*check_quantize(block_files))


BAD_CODES = {
    "values": (np.zeros((4, 64), np.float32), "as uint8"),
    "ml_dtypes": (
        np.zeros((4, 64), ml_dtypes.float4_e2m1fn),
        "np.save(path, codes.view(np.uint8))",
    ),
    "float8": (np.zeros((4, 64), ml_dtypes.float8_e5m2), "np.save(path, codes.view(np.uint8))"),
    "out of range": (np.full((4, 64), 16, np.uint8), "0x10"),
    "far out of range": (np.full((4, 64), 300, np.int32), "300"),
    "packed": (np.zeros((4, 32), np.uint8), "shape"),
    "booleans": (np.zeros((4, 64), np.bool_), "holds bool"),
}


@pytest.mark.parametrize("name", BAD_CODES)
def test_bad_codes_are_one_line(fails, block_files, name):
    array, said = BAD_CODES[name]
    np.save(block_files["c"], array)
    assert said in fails(*check_quantize(block_files))


def test_missing_unreadable_and_folder(fails, block_files, tmp_path):
    block_files["x"].unlink()
    assert "no such file" in fails(*check_quantize(block_files))
    block_files["x"] = tmp_path
    assert "cannot be read" in fails(*check_quantize(block_files))


def test_bad_names(fails, block_files):
    args = [*check_quantize(block_files)]
    assert "did you mean 'ocp'" in fails(*args, "--policy", "opc")
    assert "axis" in fails(*args, "--axis", "7")
    assert "block" in fails(*args, "--block-size", "0")
    args[args.index("mxfp4")] = "mxpf4"
    assert "'mxfp4'" in fails(*args)


# --- quantize ------------------------------------------------------------------------------------


def test_quantize_writes_what_the_library_gives(invoke, block_files, tmp_path):
    outputs = ("--codes", tmp_path / "oc", "--scales", tmp_path / "os.npy")
    result = invoke("quantize", block_files["x"], "--format", "mxfp4", *outputs)
    assert result.exit_code == 0, result.output
    assert result.stdout == ""
    np.testing.assert_array_equal(np.load(tmp_path / "oc"), np.load(block_files["c"]))
    np.testing.assert_array_equal(np.load(tmp_path / "os.npy"), np.load(block_files["s"]))
    assert not list(tmp_path.glob(".*"))
    again = invoke("quantize", block_files["x"], "--format", "mxfp4", *outputs, "--force", "--json")
    assert json.loads(again.stdout)["codes"]["shape"] == [4, 64]


def test_quantize_options(invoke, fails, block_files, tmp_path):
    x = np.random.default_rng(1).standard_normal((40, 3)).astype(ml_dtypes.bfloat16)
    np.save(block_files["x"], x)
    args = ("quantize", block_files["x"], "--format", "mxfp8_e4m3", "--axis", 0)
    args += ("--codes", tmp_path / "a.npy", "--scales", tmp_path / "b.npy")
    args += ("--input-dtype", "bfloat16", "--policy", "ocp:scale_rule=rceil")
    assert "pad" in fails(*args)
    assert invoke(*args, "--pad").exit_code == 0
    q = mxref.quantize(x, "mxfp8_e4m3", axis=0, policy="ocp:scale_rule=rceil", pad=True)
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), q.codes)
    np.testing.assert_array_equal(np.load(tmp_path / "b.npy"), q.scales)


def test_nothing_existing_is_lost(fails, block_files, tmp_path):
    x = block_files["x"]
    before = {path: path.read_bytes() for path in block_files.values()}
    start = ("quantize", x, "--format", "mxfp4")
    free, c = tmp_path / "free.npy", block_files["c"]
    assert "--force" in fails(*start, "--codes", c, "--scales", free)
    assert "--force" in fails(*start, "--codes", free, "--scales", c)
    assert "named twice" in fails(*start, "--codes", free, "--scales", free, "--force")
    assert "named twice" in fails(*start, "--codes", x, "--scales", free, "--force")
    assert "no folder" in fails(*start, "--codes", tmp_path / "no" / "c", "--scales", free)
    assert "is a folder" in fails(*start, "--codes", tmp_path, "--scales", free, "--force")
    assert "did you mean" in fails(
        "quantize", x, "--format", "mxpf4", "--codes", free, "--scales", tmp_path / "s2"
    )
    assert {path: path.read_bytes() for path in block_files.values()} == before
    assert not free.exists()
    assert not list(tmp_path.glob(".*"))


def test_the_first_file_goes_if_the_second_fails(fails, block_files, tmp_path, monkeypatch):
    from mxref.cli import _files

    place = _files.place

    def fail_on_scales(temporary, path, *, overwrite):
        if path.name == "s2.npy":
            raise FileExistsError(path)  # somebody else took the name meanwhile
        place(temporary, path, overwrite=overwrite)

    monkeypatch.setattr(_files, "place", fail_on_scales)
    outputs = ("--codes", tmp_path / "c2.npy", "--scales", tmp_path / "s2.npy")
    assert "exists" in fails("quantize", block_files["x"], "--format", "mxfp4", *outputs)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["c.npy", "s.npy", "x.npy"]
