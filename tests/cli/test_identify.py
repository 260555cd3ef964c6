import json

import numpy as np
import pytest
from click.testing import CliRunner

import mxref
from mxref.cli.identify import command


@pytest.fixture
def identify():
    def run(*args):
        return CliRunner().invoke(command, [str(a) for a in args])

    return run


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Write a module of kernels into the current directory; return how it is named as a target."""

    def write(name, text):
        # Modules stay imported, so that each test needs a name of its own.
        (tmp_path / f"{name}.py").write_text(f"import mxref\n\n\n{text}")
        monkeypatch.chdir(tmp_path)
        return f"py:{name}:q"

    return write


def save(folder, **arrays):
    paths = {name: folder / f"{name}.npy" for name in arrays}
    for name, array in arrays.items():
        np.save(paths[name], array)
    return paths


def test_ml_dtypes_as_a_whole(identify):
    result = identify("ml_dtypes")
    assert result.exit_code == 0, result.output
    assert "ml_dtypes in 12, known by 0.6.0" in result.stdout
    assert "ml_dtypes (with S17)" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_one_kernel_in_full(identify):
    result = identify("ml_dtypes", "--format", "e5m2", "--op", "encode")
    assert result.exit_code == 0
    assert "encode e5m2: as ml_dtypes, in every bit." in result.stdout
    assert "by input 1 of the" in result.stdout


def test_json(identify):
    result = identify("ml_dtypes", "--format", "e5m2", "--json")
    document = json.loads(result.stdout)
    assert document["exit_code"] == 0
    assert document["profiles"]["ml_dtypes"] == {"matched": 2, "kernels": 2}
    assert [kernel["op"] for kernel in document["kernels"]] == ["encode", "decode"]


def test_a_function_that_is_like_nobody(identify, module):
    target = module(
        "odd_kernel",
        "def q(x):\n    return mxref.quantize(x, 'mxfp4', policy='ocp:rounding=to-odd')\n",
    )
    result = identify(target, "--format", "mxfp4", "--no-isolate")
    assert result.exit_code == 1, result.output
    assert "no known implementation gives these bits" in result.stdout
    assert "rounding=to-odd" in result.stdout


def test_what_a_target_prints_is_no_part_of_the_answer(identify, module):
    target = module(
        "noisy_kernel",
        "def q(x):\n    print('noise')\n    return mxref.quantize(x, 'mxfp4', policy='mlx')\n",
    )
    result = identify(target, "--format", "mxfp4", "--no-isolate", "--json")
    assert json.loads(result.stdout)["kernels"][0]["matches"][0]["name"] == "mlx"
    assert "noise" not in result.stdout


def test_a_target_that_fails_exits_with_2(identify, module):
    target = module("failing_kernel", "def q(x):\n    raise RuntimeError('out of order')\n")
    result = identify(target, "--format", "mxfp4", "--no-isolate")
    assert result.exit_code == 2
    assert "out of order" in result.stderr
    assert result.stdout == ""
    assert "Traceback" not in result.stderr


def test_files_of_a_quantizer(identify, block_files):
    files = ("--input", block_files["x"], "--codes", block_files["c"], "--scales", block_files["s"])
    result = identify(*files, "--format", "mxfp4")
    assert result.exit_code == 0, result.output
    assert "ocp" in result.stdout
    assert "These data do not decide" in result.stdout
    without = identify(*files)
    assert without.exit_code == 2
    assert "--format" in without.stderr


def test_files_of_casts(identify, tmp_path):
    x = np.array([464.5, -np.nan, 3.0], np.float32)
    paths = save(tmp_path, x=x, c=mxref.encode(x, "e4m3", "ml_dtypes"))
    result = identify("--input", paths["x"], "--codes", paths["c"], "--format", "e4m3", "--json")
    document = json.loads(result.stdout)
    assert [m["name"] for m in document["kernels"][0]["matches"]] == ["ml_dtypes"]
    values = save(tmp_path, y=mxref.decode(np.load(paths["c"]), "e4m3"))
    decoded = identify("--codes", paths["c"], "--output", values["y"], "--format", "e4m3")
    assert decoded.exit_code == 0


def test_nothing_to_compare_is_no_answer(identify, tmp_path):
    empty = np.zeros((0, 32), np.float32)
    codes, scales = empty.astype(np.uint8), np.zeros((0, 1), np.uint8)
    paths = save(tmp_path, x=empty, c=codes, s=scales)
    files = ("--input", paths["x"], "--codes", paths["c"], "--scales", paths["s"])
    assert identify(*files, "--format", "mxfp4").exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "give a target, or files"),
        (("nobody",), "unknown target"),
        (("ml_dtypes", "--op", "quantise"), "operation"),
        (("ml_dtypes", "--format", "mxfp5"), "mxfp5"),
        (("ml_dtypes", "--codes", "c.npy"), "not both"),
        (("--codes", "c.npy", "--format", "e4m3"), "needs --input, --codes"),
        (("--codes", "c.npy", "--op", "dot", "--format", "e4m3"), "needs"),
        (("--input", "none.npy", "--codes", "none.npy", "--format", "e4m3"), "no such file"),
    ],
)
def test_what_cannot_be_run_is_one_line(identify, arguments, said):
    result = identify(*arguments)
    assert result.exit_code == 2, result.output
    assert said in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


@pytest.mark.parametrize("isolated", [(), ("--no-isolate",)])
def test_a_function_of_bfloat16(identify, module, isolated):
    target = module(
        "bfloat16_kernel",
        "def q(x):\n"
        "    assert x.dtype == 'bfloat16', x.dtype\n"
        "    return mxref.quantize(x, 'mxfp4', policy='mlx')\n",
    )
    how = (target, "--format", "mxfp4", "--json", *isolated)
    result = identify(*how, "--input-dtype", "bfloat16")
    assert result.exit_code == 0, result.output
    names = [m["name"] for m in json.loads(result.stdout)["kernels"][0]["matches"]]
    assert names == ["mlx"]
    assert "AssertionError: float32" in identify(*how).stderr
    assert "unknown input type 'float64'" in identify(*how, "--input-dtype", "float64").stderr


def test_a_function_of_other_arrays(identify, module):
    text = "def q(x):\n    return mxref.quantize(x.numpy(), 'mxfp4', policy='mlx')\n"
    target = module("torch_kernel", text)
    how = (target, "--format", "mxfp4", "--no-isolate")
    refused = identify(*how, "--arrays", "troch")
    assert refused.exit_code == 2
    assert "did you mean 'torch'" in refused.stderr
    pytest.importorskip("torch")
    assert identify(*how, "--arrays", "torch").exit_code == 0


def test_arrays_are_for_targets(identify):
    files = ("--codes", "c.npy", "--output", "y.npy", "--format", "e4m3")
    result = identify(*files, "--arrays", "torch")
    assert result.exit_code == 2
    assert "files need none" in result.stderr


def test_profiles_without_the_operation_are_said(identify):
    result = identify("ml_dtypes", "--format", "e5m2", "--op", "encode")
    assert "Profiles that have no encode e5m2: " in result.stdout


def test_help_keeps_its_lines(identify):
    shown = identify("--help").stdout
    assert "\\b" not in shown
    assert "\n    decode      --codes c.npy --output y.npy --format e4m3\n" in shown
