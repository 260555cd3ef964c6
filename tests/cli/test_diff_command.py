"""``mxref diff``: files in, the same words as the library's, exit codes 0, 1 and 2."""

import json

import numpy as np
import pytest

import mxref
from mxref.show.diff import diff


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Files a.npz and b.npz, and their parts as .npy, in the current folder."""
    x = np.random.default_rng(3).standard_normal((4, 64)).astype(np.float32)
    q = mxref.quantize(x, "mxfp4"), mxref.quantize(x, "mxfp4", policy="ocp:rounding=toward-zero")
    for name, each in zip("ab", q, strict=True):
        each.save(tmp_path / f"{name}.npz")
        np.save(tmp_path / f"{name}c.npy", each.codes)
        np.save(tmp_path / f"{name}s.npy", each.scales)
        np.save(tmp_path / f"{name}y.npy", each.dequantize())
    monkeypatch.chdir(tmp_path)
    return q


def test_saved_arrays(files, invoke):
    result = invoke("diff", "a.npz", "b.npz")
    assert result.exit_code == 1
    assert result.stdout == f"{diff(*files)}\n"
    assert invoke("diff", "a.npz", "a.npz").exit_code == 0
    result = invoke("diff", "a.npz", "b.npz", "--json", "--packing", "nibbles-low-first")
    assert result.exit_code == 1
    expected = diff(*files, packing="nibbles-low-first").to_dict()
    assert json.loads(result.stdout) == json.loads(json.dumps(expected))


def test_codes_and_values(files, invoke):
    a, b = files
    plain = (a.codes, a.scales), (b.codes, b.scales)
    result = invoke("diff", "ac.npy:as.npy", "bc.npy:bs.npy", "--format", "mxfp4")
    assert (result.exit_code, result.stdout) == (1, f"{diff(*plain, 'mxfp4')}\n")
    result = invoke("diff", "ac.npy", "bc.npy", "--format", "e2m1")
    assert (result.exit_code, result.stdout) == (1, f"{diff(a.codes, b.codes, 'e2m1')}\n")
    result = invoke("diff", "ay.npy", "by.npy")
    assert result.stdout == f"{diff(a.dequantize(), b.dequantize())}\n"
    result = invoke("diff", "ac.npy:as.npy", "by.npy", "--format", "mxfp4")
    assert result.stdout == f"{diff(a, b.dequantize())}\n"
    assert invoke("diff", "a.npz", "ay.npy").exit_code == 0
    result = invoke("diff", "a.npz", "bc.npy:bs.npy", "--format", "mxfp4", "--layout", "gpt-oss")
    assert "(gpt-oss)" in result.stdout


def test_axis_and_relatives(tmp_path, invoke, monkeypatch):
    monkeypatch.chdir(tmp_path)
    x = np.random.default_rng(0).standard_normal((64, 3)).astype(np.float32)
    for name, scale in (("a", 1.0), ("b", 1.1)):
        q = mxref.quantize(x * scale, "mxint8", 0)
        np.save(f"{name}c.npy", q.codes)
        np.save(f"{name}s.npy", q.scales)
        v = mxref.quantize((x * scale).T.copy(), "nvfp4")
        np.save(f"{name}v.npy", v.codes)
        np.save(f"{name}w.npy", v.scales)
        np.save(f"{name}g.npy", np.float32(v.global_scale))
        m = mxref.quantize((x * scale).T.copy(), "mx6")
        for part, array in (("m", m.codes), ("n", m.scales), ("o", m.subscales)):
            np.save(f"{name}{part}.npy", array)
    result = invoke("diff", "ac.npy:as.npy", "bc.npy:bs.npy", "--format", "mxint8", "--axis", "0")
    assert "along axis 0" in result.stdout
    pair = "av.npy:aw.npy:ag.npy", "bv.npy:bw.npy:bg.npy"
    result = invoke("diff", *pair, "--format", "nvfp4")
    assert result.exit_code == 1
    assert "  global" in result.stdout
    result = invoke("diff", "av.npy:aw.npy:0.5", "av.npy:aw.npy:0.25", "--format", "nvfp4")
    assert result.exit_code == 1
    assert "a 0.5, b 0.25" in result.stdout
    result = invoke("diff", "am.npy:an.npy:ao.npy", "bm.npy:bn.npy:bo.npy", "--format", "mx6")
    assert "  subscales" in result.stdout


def test_colour(files, invoke):
    always = invoke("diff", "a.npz", "b.npz", "--color", "always").stdout
    assert always == diff(*files).to_ansi() + "\n"
    assert "\x1b" not in invoke("diff", "a.npz", "b.npz").stdout


@pytest.mark.usefixtures("files")
def test_picture(invoke):
    pytest.importorskip("matplotlib")
    result = invoke("diff", "a.npz", "b.npz", "--plot", "d.svg")
    assert result.exit_code == 1
    assert "d.svg: where elements differ" in result.stderr
    assert invoke("diff", "a.npz", "b.npz", "--plot", "d.svg").exit_code == 2
    assert invoke("diff", "a.npz", "b.npz", "--plot", "d.svg", "--force").exit_code == 1
    result = invoke("diff", "a.npz", "a.npz", "--plot", "e.svg")
    assert result.exit_code == 0
    assert "not drawn" in result.stderr


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["a.npz", "c.npz"], "c.npz: cannot be read: No such file"),
        (["a.npz", "c.npy"], "c.npy: no such file"),
        (["ac.npy", "bc.npy"], "say which: --format e4m3"),
        (
            ["ac.npy", "bc.npy", "--format", "mxfp4"],
            "or compare the codes alone with --format e2m1",
        ),
        (["ac.npy:as.npy", "bc.npy:bs.npy"], "codes with scales need their format"),
        (["ac.npy:as.npy:as.npy", "b.npz", "--format", "mxfp4"], "3 parts; mxfp4 has 2"),
        (["ay.npy", "bc.npy", "--format", "e2m1"], "expected codes as uint8, not values"),
        (["a.npz", "b.npz", "--axis", "0"], "knows it"),
        (["a.npz", "b.npz", "--packing", "nibbles"], "nibbles-low-first"),
        (["a.npz", "b.npz", "--plot", "d.jpg"], "a plot's name ends in"),
        (["ay.npy", "by.npy", "--input-dtype", "float16"], "holds float32, not float16"),
        (["ac.npy:as.npy", "bc.npy:bs.npy", "--format", "mxfp44"], "did you mean 'mxfp4'"),
    ],
)
def test_mistakes(fails, arguments, text):
    assert text in fails("diff", *arguments)


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["a.npz", "e.npz"], "no bits in common. Compare the values: add --values"),
        (["a.npz", "f.npz"], "share their scales differently. Compare the values: add --values"),
        (["ay.npy", "wide.npy"], "as float64, which keeps every value: add --values"),
        (["tiny.npz", "half.npy"], "compare as float32, with --values"),
        (
            ["a.npz", "ac.npy", "--format", "mxfp4"],
            "as codes it needs scales, CODES.npy:SCALES.npy",
        ),
        (["a.npz", "b.npz", "--format", "mxint8"], "leave --format out"),
        (["a.npz", "b.npz", "--axis", "0"], "leave out --axis"),
        (["ac.npy", "bc.npy", "--format", "e2m1", "--axis", "0"], "CODES.npy:SCALES.npy"),
        (["ay.npy", "short.npy"], "save the same part of both"),
        (["ac.npy", "bc.npy", "--format", "e2m4"], "'e2m3' or 'e2m1'"),
        (["ac.npy", "bc.npy", "--format", "mx6"], "mx6 has scales"),
        (["ay.npy", "by.npy", "--values", "--packing", "bytes"], "leave out --packing"),
        (["i.npy", "i.npy"], "say which: --format e4m3"),
    ],
)
def test_refusals_speak_of_options(arguments, text, files, fails, tmp_path):
    a, _ = files
    mxref.quantize(a.dequantize(), "mxfp8_e4m3").save(tmp_path / "e.npz")
    mxref.quantize(a.dequantize(), "mxfp4", axis=0, pad=True).save(tmp_path / "f.npz")
    mxref.quantize(a.dequantize() * 2.0**-30, "mxfp4").save(tmp_path / "tiny.npz")
    np.save(tmp_path / "wide.npy", a.dequantize().astype(np.float64))
    np.save(tmp_path / "half.npy", np.ones((4, 64), np.float16))
    np.save(tmp_path / "short.npy", a.dequantize()[1:])
    np.save(tmp_path / "i.npy", np.arange(4))
    said = fails("diff", *arguments)
    assert text in said
    for word in ("mxref.", "np.", "dequantize()", "block_size", ".T"):
        assert word not in said


def test_values_of_two_formats(files, invoke, tmp_path):
    a, b = files
    mxref.quantize(a.dequantize(), "mxfp8_e4m3").save(tmp_path / "e.npz")
    e = mxref.MXArray.load(tmp_path / "e.npz")
    np.save(tmp_path / "wide.npy", b.dequantize().astype(np.float64))
    for arguments, wanted in (
        (("a.npz", "e.npz"), diff(a.dequantize(), e.dequantize())),
        (("a.npz", "b.npz"), diff(a.dequantize(), b.dequantize())),
        (("ac.npy:as.npy", "by.npy", "--format", "mxfp4"), diff(a.dequantize(), b.dequantize())),
        (
            ("ac.npy", "bc.npy", "--format", "e2m1"),
            diff(mxref.decode(a.codes, "e2m1"), mxref.decode(b.codes, "e2m1")),
        ),
        (
            ("ay.npy", "wide.npy"),
            diff(a.dequantize().astype(np.float64), b.dequantize().astype(np.float64)),
        ),
    ):
        result = invoke("diff", *arguments, "--values")
        assert (result.exit_code, result.stdout) == (int(bool(wanted)), f"{wanted}\n")


def test_a_saved_array_says_what_the_codes_mean(files, invoke):
    result = invoke("diff", "ac.npy:as.npy", "b.npz")
    assert result.exit_code == 1
    assert invoke("diff", "a.npz", "ac.npy:as.npy").exit_code == 0
    a, _ = files
    assert result.stdout.startswith(f"different: {a.format.name}, shape (4, 64)")


def test_text_names_the_commands_too(files, invoke):
    out = " ".join(invoke("diff", "a.npz", "b.npz").stdout.split())
    assert "for files, mxref check quantize" in out
    out = " ".join(invoke("diff", "ac.npy", "bc.npy", "--format", "e2m1").stdout.split())
    assert "for files, mxref check encode" in out
    assert "of the same scale" not in out  # codes alone have none
    assert files[0].shape == (4, 64)


def test_a_damaged_file(tmp_path, fails):
    (tmp_path / "a.npz").write_bytes(b"PK\x03\x04nothing")
    assert "a.npz: is no .npz archive" in fails("diff", tmp_path / "a.npz", tmp_path / "a.npz")
