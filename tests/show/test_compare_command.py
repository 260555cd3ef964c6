"""``mxref compare``: what it prints, and that mistakes end in one line and exit code 2."""

import json
import re
import struct

import numpy as np
import pytest
from click.testing import CliRunner

import mxref
from mxref.cli.compare import command
from mxref.show.compare import compare, compare_array


def run(*arguments):
    return CliRunner().invoke(command, [str(a) for a in arguments], prog_name="mxref compare")


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "x.npy"
    np.save(path, np.random.default_rng(0).standard_normal((40, 64)).astype(np.float32))
    return path


def safetensors(path):
    data = np.random.default_rng(1).standard_normal((40, 64)).astype(np.float32).tobytes()
    entry = {"dtype": "F32", "shape": [40, 64], "data_offsets": [0, len(data)]}
    header = json.dumps({"layer.weight": entry}).encode()
    header += b" " * (-len(header) % 8)
    path.write_bytes(struct.pack("<Q", len(header)) + header + data)
    return path


def test_table(file):
    result = run(file, "--format", "mxfp4", "--format", "mx6")
    assert result.exit_code == 0
    assert result.stdout.startswith("x.npy: float32, 40 x 64; blocks along axis -1")
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert "\nmx6 bdr-paper" in result.stdout


def test_json_and_markdown(file):
    result = run(file, "--format", "mxfp4", "--rule", "floor", "--rule", "rceil", "--json")
    assert [row["rule"] for row in json.loads(result.stdout)["rows"]].sort() == [
        "floor",
        "rceil",
    ].sort()
    assert len(json.loads(result.stdout)["rows"]) == 2
    result = run(file, "--format", "mxfp4", "--rule", "floor", "--markdown")
    assert result.stdout.count("| mxfp4 |") == 1
    result = run(file, "--json", "--markdown")
    assert result.exit_code == 2


def test_all_rules_and_axis(file):
    result = run(file, "--format", "mxfp4", "--all", "--axis", 0)
    assert "  mxfp4 plus-one" in result.stdout
    assert "axis 0" in result.stdout


def test_a_tensor_of_a_checkpoint(tmp_path):
    path = safetensors(tmp_path / "w.safetensors")
    result = run(path, "layer.weight", "--format", "mxfp4", "--rule", "floor")
    assert result.exit_code == 0
    assert result.stdout.startswith("layer.weight: float32, 40 x 64")
    for arguments, text in (
        ([path], "which tensor? Name one of 1 after the file: layer.weight"),
        ([path, "layer.weigt"], "did you mean 'layer.weight'"),
        ([path, "layer.weight", "--input-dtype", "float32"], "goes with .npy files"),
    ):
        result = run(*arguments)
        assert result.exit_code == 2
        assert text in result.stderr
        assert len(result.stderr.splitlines()) == 1


def test_picture(file, tmp_path):
    pytest.importorskip("matplotlib")
    picture = tmp_path / "out.svg"
    result = run(file, "--format", "mxfp4", "--plot", picture)
    assert result.exit_code == 0
    assert picture.read_text("utf-8").startswith("<?xml")
    result = run(file, "--format", "mxfp4", "--plot", picture)
    assert result.exit_code == 2
    assert "exists; --force overwrites it" in result.stderr
    assert run(file, "--format", "mxfp4", "--plot", picture, "--force").exit_code == 0


def test_without_matplotlib(file, tmp_path, monkeypatch):
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda *_: None)
    result = run(file, "--plot", tmp_path / "out.svg")
    assert result.exit_code == 2
    assert "pip install 'mxref[plot]'" in result.stderr
    assert not result.stdout


@pytest.mark.parametrize(
    ("extra", "text"),
    [
        (["--format", "mxfp5"], "unknown format 'mxfp5'"),
        (["--rule", "ceiling"], "unknown rule"),
        (["--axis", "7"], "axis"),
        (["--plot", "x.jpg"], "a plot's name ends in"),
        (["weight"], "holds one array"),
        (["--input-dtype", "float64"], "holds float32, not float64"),
    ],
)
def test_mistakes(file, extra, text):
    result = run(file, *extra)
    assert result.exit_code == 2
    assert text in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_files_that_are_none(tmp_path):
    result = run(tmp_path / "missing.npy")
    assert result.exit_code == 2
    other = tmp_path / "y.npy"
    np.save(other, np.arange(9))
    result = run(other)
    assert result.exit_code == 2
    assert "holds int64" in result.stderr
    assert run(tmp_path / "missing.safetensors", "w").exit_code == 2
    assert "if they are numbers, save them as float32" in result.stderr
    assert "--codes" not in result.stderr  # compare has no such option


def test_what_is_quantized_already(tmp_path):
    """The format that it is in would seem to be without error."""
    q = mxref.quantize(np.ones((2, 32), np.float32), "mxfp4")
    for function in (compare, compare_array):
        with pytest.raises(TypeError, match=r"quantized already, in mxfp4.*x\.dequantize\(\)"):
            function(q)
    q.save(tmp_path / "q.npz")
    result = run(tmp_path / "q.npz")
    assert result.exit_code == 2
    assert "q.npz: is quantized already, in mxfp4" in result.stderr
    assert "mxref look" in result.stderr
    np.savez(tmp_path / "other.npz", x=np.ones(3))
    assert "is an .npz archive" in run(tmp_path / "other.npz").stderr
    assert "No such file" in run(tmp_path / "none.npz").stderr


@pytest.mark.parametrize("odd", [np.nan, np.inf])
def test_no_finite_number_has_no_quality(tmp_path, odd):
    x = np.full((4, 32), odd, np.float32)
    with pytest.raises(ValueError, match="no finite number"):
        compare(x, "mxfp4")
    np.save(tmp_path / "x.npy", x)
    assert "no finite number" in run(tmp_path / "x.npy").stderr
    x[0, 0] = 1
    assert "127 elements are NaN or infinite" in " ".join(str(compare(x, "mxfp4")).split())


def test_the_legend_explains_what_is_there(file):
    shown = " ".join(run(file, "--format", "mxfp4").stdout.split())
    assert re.search(r"\d rows more with --all", shown)
    assert "* is the best rule" not in shown
    shown = run(file, "--format", "mxfp4", "--rule", "floor").stdout  # nothing is left out
    assert "* is the best rule" not in shown
    assert "--all" not in shown
    shown = run(file, "--format", "mxfp4", "--all").stdout
    assert "\n* mxfp4" in shown
    assert "* is the best rule" in shown
