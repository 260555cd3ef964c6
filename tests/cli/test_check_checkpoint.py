"""``mxref check checkpoint``: exit codes, and one clear line for each kind of bad input."""

import json

import numpy as np
import pytest
from safetensors.numpy import save_file
from verify_files import Files, gpt_oss, weights

import mxref


@pytest.fixture
def files(tmp_path):
    return Files(tmp_path, {"a": weights(0), "b": weights(1)})


def command(files, path, *more):
    return ("check", "checkpoint", path, "--source", files.source, *more)


def test_conforming_is_0(invoke, files):
    result = invoke(*command(files, files.quantized("torchao-ceil")))
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("mxref check checkpoint: conforms-as, 2 tensors")
    assert "every tensor follows torchao-ceil" in " ".join(result.stdout.split())
    assert result.stderr == ""


def test_another_policy_than_claimed_is_1(invoke, files):
    path = files.quantized("torchao-ceil")
    result = invoke(*command(files, path, "--policy", "ocp", "--json"))
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert document["asked"] == "ocp"
    assert document["tensors"][0]["policies"][0] == "torchao-ceil"


def test_a_glob_chooses_tensors(invoke, files):
    path = files.quantized(policies={"b": "mlx"})
    assert invoke(*command(files, path)).exit_code == 1  # two policies
    for name in "ab":
        result = invoke(*command(files, path, "--tensor", f"{name}.*"))
        assert result.exit_code == 0
        assert "1 tensor" in result.stdout


def test_processes_do_the_same(shell, files):
    path = files.quantized("mlx")
    texts = [
        shell(*command(files, path, "--json", "--executor", kind)).stdout
        for kind in ("threads:2", "processes:2")
    ]
    first, second = (json.loads(text)["tensors"] for text in texts)
    assert first == second
    assert first[0]["policies"][0] == "mlx"


# --- bad input, line by line ----------------------------------------------------------------------


def test_a_file_that_is_not_there(fails, files):
    assert "nothing.safetensors" in fails(*command(files, files.folder / "nothing.safetensors"))
    path = files.quantized()
    files.source.unlink()
    assert "original.safetensors" in fails(*command(files, path))


def test_a_file_that_is_no_checkpoint(fails, files):
    path = files.folder / "x.safetensors"
    path.write_bytes(b"not a checkpoint at all")
    assert "x.safetensors" in fails(*command(files, path))


def test_a_truncated_file(fails, files):
    path = files.quantized()
    path.write_bytes(path.read_bytes()[:-100])
    assert "quantized.safetensors" in fails(*command(files, path))


def test_a_missing_shard(fails, files):
    path = files.quantized()
    index = {"weight_map": {"a.blocks": path.name, "a.scales": "gone-00002.safetensors"}}
    where = files.folder / "model.safetensors.index.json"
    where.write_text(json.dumps(index))
    assert "gone-00002.safetensors" in fails(*command(files, where))


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (("--policy", "ocpp"), "ocpp"),
        (("--policy", "ocp:rounding=stochastic-a"), "stochastic"),
        (("--layout", "gptoss"), "gptoss"),
        (("--format", "mxfp5"), "mxfp5"),
        (("--tensor", "z.*"), "z.*"),
        (("--executor", "threads:none"), "threads:none"),
    ],
)
def test_options_that_do_not_exist(fails, files, options, word):
    assert word in fails(*command(files, files.quantized(), *options))


def test_nothing_quantized_is_not_testable(invoke, files):
    result = invoke(*command(files, files.source))
    assert result.exit_code == 2
    assert "not-testable" in result.stdout
    assert "no tensor that looks quantized" in " ".join(result.stdout.split())


def test_a_tensor_without_a_source(invoke, files):
    path = files.quantized()
    save_file({"a.weight": files.originals["a"]}, files.source)
    result = invoke(*command(files, path))
    assert result.exit_code == 2
    assert "no source" in result.stdout


def test_a_source_of_another_shape(invoke, files):
    path = files.quantized()
    x = files.originals
    save_file({"a.weight": x["a"][:50], "b.weight": x["b"]}, files.source)
    result = invoke(*command(files, path))
    assert result.exit_code == 2
    assert "the source does not fit" in result.stdout
    assert "[50, 256]" in result.stdout


def test_a_source_of_integers(invoke, files):
    path = files.quantized()
    save_file({f"{n}.weight": x.astype(np.int32) for n, x in files.originals.items()}, files.source)
    result = invoke(*command(files, path))
    assert result.exit_code == 2
    assert "is I32; expected the weights before" in " ".join(result.stdout.split())


def test_the_quantized_file_as_its_own_source(invoke, files):
    path = files.quantized()
    result = invoke("check", "checkpoint", path, "--source", path)
    assert result.exit_code == 2
    assert "no source" in result.stdout or "expected the weights" in result.stdout


def test_names_that_collide(invoke, files):
    x = files.originals["a"]
    q = mxref.quantize(x, "mxfp4")
    path = files.folder / "twice.safetensors"
    twice = {name.replace(".", "_"): t for name, t in gpt_oss("a", q.codes, q.scales).items()}
    save_file({**gpt_oss("a", q.codes, q.scales), **twice}, path)
    result = invoke(*command(files, path))
    assert result.exit_code == 2
    assert "twice" in result.stdout


def test_nan_weights_are_counted(invoke, tmp_path):
    x = weights(4)
    x[3, 40] = np.nan
    x[5, 70] = np.inf
    files = Files(tmp_path, {"a": x})
    result = invoke(*command(files, files.quantized()))
    assert result.exit_code == 0, result.stdout
    assert "The source holds 2 NaN or infinities." in result.stdout
    assert "2 blocks have a NaN scale, the first at [3, 1]." in result.stdout


def test_the_wrong_source_exits_with_1(invoke, files):
    path = files.quantized()
    save_file({f"{n}.weight": weights(7 + i) for i, n in enumerate("ab")}, files.source)
    result = invoke(*command(files, path))
    assert result.exit_code == 1
    assert "This is not the source" in result.stdout


def test_an_empty_tensor(invoke, tmp_path):
    files = Files(tmp_path, {"a": np.zeros((0, 64), np.float32)})
    result = invoke(*command(files, files.quantized()))
    assert result.exit_code == 2
    assert "Traceback" not in result.output
