"""`quantize_checkpoint`: what is chosen, what is refused, and that nothing is ever lost."""

import os
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

import mxref
from mxref.checkpoints import CheckpointError, _atomic, open_checkpoint
from mxref.checkpoints._plan_select import select
from mxref.checkpoints.quantize import quantize_checkpoint
from mxref.checkpoints.store import TensorInfo
from mxref.layouts.conventions import LAYOUTS


def save(path, **tensors):
    arrays = {name.replace("__", "."): x for name, x in tensors.items()}
    safetensors.numpy.save_file(arrays, path)
    return path


def ones(*shape):
    return np.ones(shape, np.float32)


@pytest.fixture
def source(tmp_path):
    return save(tmp_path / "in.safetensors", a__weight=ones(4, 64), a__bias=ones(4))


def convert(source, out, **options):
    return quantize_checkpoint(source, out, "mxfp4", "gpt-oss", **options)


def refused(source, out, match, **options):
    """It must be refused with these words, and the folder must be as before."""
    before = {path: path.lstat().st_mtime_ns for path in out.parent.rglob("*")}
    with pytest.raises(CheckpointError, match=match):
        convert(source, out, **options)
    assert {path: path.lstat().st_mtime_ns for path in out.parent.rglob("*")} == before


# --- what is chosen ---------------------------------------------------------------------------


def infos(**shapes):
    return {
        name: TensorInfo(name, dtype, shape, Path("f"), 0, 0)
        for name, (dtype, shape) in {k.replace("__", "."): v for k, v in shapes.items()}.items()
    }


@pytest.mark.parametrize(
    ("name", "dtype", "shape", "why"),
    [
        ("model.layers.0.mlp.up_proj.weight", "BF16", (8, 64), ""),
        ("model.layers.0.mlp.gate_proj.weight", "F16", (8, 64), ""),
        ("blk.0.attn_q.weight", "F32", (8, 64), ""),
        ("x.weight", "F64", (2, 8, 32), ""),
        ("x.bias", "F32", (8, 64), "does not end in .weight"),
        ("x.weight", "F32", (64,), "two axes"),
        ("x.weight", "F32", (8, 33), "33, is not a multiple of 32"),
        ("x.weight", "F32", (0, 32), "empty"),
        ("x.weight", "I64", (8, 64), "holds I64"),
        ("x.weight", "Q4_0", (8, 64), "holds Q4_0"),
        ("model.embed_tokens.weight", "BF16", (8, 64), "kept by default"),
        ("token_embd.weight", "F16", (8, 64), "kept by default"),
        ("transformer.wte.weight", "F32", (8, 64), "kept by default"),
        ("lm_head.weight", "BF16", (8, 64), "kept by default"),
        ("output.weight", "F16", (8, 64), "kept by default"),
        ("h.0.ln_1.weight", "F32", (8, 64), "kept by default"),
        ("a.LayerNorm.weight", "F32", (8, 64), "kept by default"),
        ("model.layers.0.mlp.router.weight", "BF16", (8, 64), "kept by default"),
        ("model.layers.0.mlp.gate.weight", "BF16", (8, 64), "kept by default"),
    ],
)
def test_the_rule_for_names_types_and_shapes(name, dtype, shape, why):
    tensors = infos(sure__weight=("F32", (1, 32))) | infos(**{name: (dtype, shape)})
    chosen, kept = select(tensors, 32)
    assert (name in chosen) == (not why)
    assert why in kept.get(name, "")


def test_patterns():
    tensors = infos(
        a__weight=("F32", (8, 32)), lm_head__weight=("F32", (8, 32)), b=("F32", (8, 32))
    )
    assert select(tensors, 32, include=["*"])[0] == ["a.weight", "lm_head.weight", "b"]
    assert select(tensors, 32, include=["*"], exclude=["b*"])[0] == ["a.weight", "lm_head.weight"]
    assert select(tensors, 32, include=["b"])[1]["a.weight"] == "not included"
    with pytest.raises(CheckpointError, match=r"include 'aa.weight' matches no tensor.*a.weight"):
        select(tensors, 32, include=["aa.weight"])
    with pytest.raises(CheckpointError, match="exclude 'zz' matches no tensor"):
        select(tensors, 32, exclude=["zz"])
    with pytest.raises(
        CheckpointError, match=r"quantized: a.weight: excluded .*b: excluded by '\*'$"
    ):
        select(tensors, 32, exclude=["*"])


def test_nothing_to_quantize_says_what_to_do():
    tensors = infos(a=("F32", (8, 32)), t__weight=("F32", (8, 40)))
    with pytest.raises(CheckpointError) as refusal:
        select(tensors, 32)
    assert str(refusal.value) == (
        "no tensor can be quantized: a: its name does not end in .weight; t.weight: its last axis, "
        "40, is not a multiple of 32. Name the ones to quantize: include=['*'] (--include '*') "
        "takes all that can be"
    )
    with pytest.raises(CheckpointError, match=r"of 32$"):
        select(tensors, 32, include=["t*"])  # patterns would not help


def test_a_checkpoint_without_floats_is_refused(tmp_path):
    source = save(tmp_path / "i.safetensors", a__weight=np.ones((4, 64), np.int32))
    refused(
        source,
        tmp_path / "o.safetensors",
        "no tensor can be quantized: a.weight: holds I32, [^.]*$",
    )


# --- names that do not go together ------------------------------------------------------------


def test_formats_and_layouts(source, tmp_path):
    out = tmp_path / "o.safetensors"
    with pytest.raises(CheckpointError, match=r"cannot hold mxfp6_e3m2, it holds mxfp4.*torchao"):
        quantize_checkpoint(source, out, "mxfp6_e3m2", "gpt-oss")
    with pytest.raises(CheckpointError, match="does not quantize to it"):
        quantize_checkpoint(source, out, "nvfp4", "torchao")
    with pytest.raises(CheckpointError, match="arrays in memory"):
        quantize_checkpoint(source, out, "mxfp4", "onnx")
    with pytest.raises(ValueError, match="did you mean 'gpt-oss'"):
        quantize_checkpoint(source, out, "mxfp4", "gptoss")
    with pytest.raises(ValueError, match="did you mean 'mxfp4'"):
        quantize_checkpoint(source, out, "mxpf4", "gpt-oss")
    with pytest.raises(CheckpointError, match=r"written as a .gguf file"):
        quantize_checkpoint(source, out, "mxfp4", "gguf")
    with pytest.raises(CheckpointError, match=r"a .safetensors file or a folder"):
        quantize_checkpoint(source, tmp_path / "o.gguf", "mxfp4", "gpt-oss")
    for name in ("o.bin", "o.safetensor", "o.safetensorss"):
        with pytest.raises(CheckpointError, match=r"writes no .* files; .* ends in .safetensors"):
            quantize_checkpoint(source, tmp_path / name, "mxfp4", "gpt-oss", dry_run=True)
    dotted = quantize_checkpoint(source, tmp_path / "v1.5", "mxfp4", "gpt-oss", dry_run=True)
    assert "in 2 files of a folder" in str(dotted)
    with pytest.raises(CheckpointError, match="shards are files of a folder"):
        quantize_checkpoint(source, out, "mxfp4", "gpt-oss", shard_size=100)
    with pytest.raises(CheckpointError, match="0 bytes; expected a positive"):
        quantize_checkpoint(source, tmp_path / "o", "mxfp4", "gpt-oss", shard_size=0)
    with pytest.raises(CheckpointError, match=r"policy .*random"):
        convert(source, out, policy="ocp:rounding=stochastic-a")
    assert [path.name for path in tmp_path.iterdir()] == ["in.safetensors"]


def test_errors_name_paths_as_they_were_given(source, monkeypatch, tmp_path):
    source.rename(tmp_path / "cut.safetensors").write_bytes(b"{}")
    monkeypatch.chdir(tmp_path)
    for name in ("cut.safetensors", "none.safetensors"):
        with pytest.raises(CheckpointError, match=rf"^{name}: "):
            convert(name, "o.safetensors")


def test_a_policy_keeps_its_name(source, tmp_path):
    def made(name, policy):
        out = tmp_path / f"{name}.safetensors"
        summary = convert(source, out, policy=policy)
        with open_checkpoint(out) as store:
            return summary, store.metadata

    summary, metadata = made("named", "riscv-zvfofp")
    full = "ocp:fp8_overflow=overflow"
    assert (summary.policy, summary.policy_choices) == ("riscv-zvfofp", full)
    assert metadata["mxref.policy"] == "riscv-zvfofp"
    assert metadata["mxref.policy.choices"] == full
    assert f"policy riscv-zvfofp ({full})" in str(summary)
    assert summary.to_json()["policy_choices"] == full
    for policy in (full, mxref.get_policy("riscv-zvfofp")):
        summary, metadata = made(f"spelt{type(policy).__name__}", policy)
        assert metadata["mxref.policy"] == summary.policy == full
        assert "mxref.policy.choices" not in metadata
        assert f"policy {full}\n" in str(summary)


ODD = ("red\x1b[31m.weight", "two\nlines.weight", "\u202egnp.weight", "x" * 5000 + ".weight")


@pytest.mark.parametrize("name", ODD)
def test_names_that_would_write_on_the_screen(tmp_path, name):
    source = tmp_path / "i.safetensors"
    x = ones(4, 64)
    x[1, 2] = np.nan
    safetensors.numpy.save_file({name: x, "b": ones(3)}, source)
    summary = convert(source, tmp_path / "o.safetensors")
    assert summary.quantized[0].name == name

    def is_harmless(text):
        return text.replace("\n", "").isprintable() and len(text) < 700

    assert is_harmless(str(summary))
    assert len(str(summary).splitlines()) == 3
    messages = []
    for options in ({"policy": "ocp:scale_nan=raise"}, {"exclude": ["*"]}):
        with pytest.raises(CheckpointError) as refusal:
            convert(source, tmp_path / "p.safetensors", **options)
        messages.append(str(refusal.value))
    if len(name) > 63:  # which GGUF cannot hold
        with pytest.raises(CheckpointError) as refusal:
            quantize_checkpoint(source, tmp_path / "p.gguf", "mxfp4", "gguf")
        messages.append(str(refusal.value))
    for message in messages:
        assert is_harmless(message), message
        assert "\n" not in message


def test_names_that_collide(tmp_path):
    source = save(tmp_path / "i.safetensors", a__weight=ones(4, 64), a__blocks=ones(4))
    refused(
        source,
        tmp_path / "o.safetensors",
        r"a\.blocks: two tensors .*the copy of a\.blocks, and the codes of a\.weight",
    )
    name = LAYOUTS["gpt-oss"].names("e", "mxfp4")["scales"]
    both = save(tmp_path / "j.safetensors", **{"e": ones(4, 64), name: ones(4)})
    refused(both, tmp_path / "o.safetensors", "two tensors.*scales of e", include=["e"])


def test_safetensors_cannot_hold_types_of_gguf(tmp_path):
    from mxref.checkpoints.gguf_writer import gguf_file
    from mxref.checkpoints.safetensors_writer import Stored

    stored = [Stored("a.weight", "F32", (1, 32), 128, ""), Stored("q", "Q4_0", (1, 32), 18, "")]
    file = gguf_file("i", stored, b"", 0)
    (tmp_path / "i.gguf").write_bytes(file.header + bytes(file.size - len(file.header)))
    refused(tmp_path / "i.gguf", tmp_path / "o.safetensors", "q: safetensors .*no type Q4_0.*gguf")


# --- nothing is lost --------------------------------------------------------------------------


def test_an_existing_output_stays(source, tmp_path):
    out = save(tmp_path / "o.safetensors", precious=ones(3))
    refused(source, out, "exists; force")
    convert(source, out, force=True)
    assert "a.blocks" in safetensors.numpy.load_file(out)


@pytest.mark.parametrize("force", [False, True])
def test_the_input_is_never_the_output(source, tmp_path, force):
    before = source.read_bytes()
    refused(source, source, "is the input itself", force=force)
    link, hard = tmp_path / "link.safetensors", tmp_path / "hard.safetensors"
    link.symlink_to(source)
    os.link(source, hard)
    refused(source, link, "is the input itself", force=force)
    refused(source, hard, "is the input itself", force=force)
    refused(link, source, "is the input itself", force=force)
    dotted = tmp_path / "sub" / ".." / "in.safetensors"
    (tmp_path / "sub").mkdir()
    refused(source, dotted, "is the input itself", force=force)
    model = tmp_path / "model"
    model.mkdir()
    save(model / "model.safetensors", a__weight=ones(4, 64))
    refused(model, model, "is the input itself", force=force)
    assert source.read_bytes() == before


def test_an_output_within_the_input_and_around_it(tmp_path):
    model = tmp_path / "m"
    model.mkdir()
    source = save(model / "model.safetensors", a__weight=ones(4, 64))
    refused(model, model / "q.safetensors", "no longer be one checkpoint")
    refused(source, model, "holds the input", force=True)
    convert(source, model / "q.safetensors")  # one file beside another is fine
    assert (model / "q.safetensors").is_file()


def test_folders_with_other_things_are_not_replaced(source, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.txt").write_text("years of work")
    refused(source, out, "holds more than a checkpoint", force=True)
    (out / "model.safetensors").write_bytes(b"")
    refused(source, out, "holds more than a checkpoint .thesis.txt", force=True)
    (out / "thesis.txt").unlink()
    (out / "sub").mkdir()
    refused(source, out, "holds more than a checkpoint .sub", force=True)
    (out / "sub").rmdir()
    refused(source, out, "exists")
    convert(source, out, force=True)
    assert sorted(path.name for path in out.iterdir()) == ["config.json", "model.safetensors"]
    assert not (tmp_path / "out.partial").exists()


def test_places_that_cannot_be(source, tmp_path):
    refused(source, tmp_path / "no" / "o.safetensors", "there is no folder")
    fifo = tmp_path / "o.safetensors"
    os.mkfifo(fifo)
    refused(source, fifo, "no regular file", force=True)


def test_sources_that_cannot_be(tmp_path):
    refused(tmp_path / "none.safetensors", tmp_path / "o.safetensors", "none.safetensors")
    np.save(tmp_path / "i.npy", np.ones((4, 64), np.int32))
    refused(tmp_path / "i.npy", tmp_path / "o.safetensors", "holds int32")
    np.save(tmp_path / "f.npy", np.asfortranarray(ones(4, 64)))
    refused(tmp_path / "f.npy", tmp_path / "o.safetensors", "columns first")
    np.save(tmp_path / "x.npy", ones(4, 64))
    data = (tmp_path / "x.npy").read_bytes()
    (tmp_path / "t.npy").write_bytes(data[:-1])
    refused(tmp_path / "t.npy", tmp_path / "o.safetensors", "truncated")
    (tmp_path / "d.npy").write_bytes(data[:20])
    refused(tmp_path / "d.npy", tmp_path / "o.safetensors", "damaged .npy header")


def test_a_configuration_that_says_quantized(tmp_path):
    model = tmp_path / "m"
    model.mkdir()
    save(model / "model.safetensors", a__weight=ones(4, 64))
    (model / "config.json").write_text('{"quantization_config": {}}')
    refused(model, tmp_path / "out", "quantized already")
    (model / "config.json").write_text("[")
    refused(model, tmp_path / "out", r"config\.json: cannot be read")


# --- room -------------------------------------------------------------------------------------


def test_no_room_is_said_before_anything_is_written(source, tmp_path, monkeypatch):
    monkeypatch.setattr(_atomic.Workplace, "free", lambda _: 100)
    with pytest.raises(CheckpointError, match=r"needs \d+ bytes, but .* has 100 free"):
        convert(source, tmp_path / "o.safetensors")
    assert [path.name for path in tmp_path.iterdir()] == ["in.safetensors"]


# --- NaN and infinity -------------------------------------------------------------------------


def test_weights_that_are_not_finite_are_counted_and_named(tmp_path):
    x, y = ones(8, 64), ones(8, 64)
    x[5, 7], x[5, 9], x[6, 40] = np.nan, np.inf, -np.inf
    source = save(tmp_path / "i.safetensors", bad__weight=x, good__weight=y)
    summary = convert(source, tmp_path / "o.safetensors")
    (bad,) = summary.not_finite
    assert (bad.name, bad.nan, bad.inf, bad.first) == ("bad.weight", 1, 2, (5, 7))
    scales = mxref.quantize(x, "mxfp4").scales
    assert bad.nan_scales == np.count_nonzero(scales == 0xFF)
    assert "bad.weight: 1 NaN and 2 infinite weights, the first at row 5, column 7" in str(summary)
    assert summary.to_json()["quantized"][0]["first_not_finite"] == [5, 7]


def test_a_policy_that_refuses_them_names_tensor_and_place(tmp_path):
    x = ones(8, 64)
    x[5, 7] = np.nan
    source = save(tmp_path / "i.safetensors", bad__weight=x)
    out = tmp_path / "o.safetensors"
    refused(source, out, r"bad\.weight: x holds NaN.*row 5, column 7", policy="ocp:scale_nan=raise")
    assert not (tmp_path / "o.safetensors.partial").exists()


# --- dry run ----------------------------------------------------------------------------------


def test_a_dry_run_knows_everything_and_writes_nothing(source, tmp_path):
    out = tmp_path / "o.safetensors"
    planned = convert(source, out, dry_run=True)
    assert [path.name for path in tmp_path.iterdir()] == ["in.safetensors"]
    done = convert(source, out)
    assert (planned.bytes, planned.files) == (out.stat().st_size, done.files)
    assert planned.quantized == done.quantized
    assert "would be quantized" in str(planned)
    assert done.kept == {"a.bias": "its name does not end in .weight"}


def test_progress_ends_at_the_whole(source, tmp_path):
    seen = []
    convert(source, tmp_path / "o.safetensors", progress=lambda *a: seen.append(a))
    with open_checkpoint(source) as store:
        total = sum(info.nbytes for info in store.tensors.values())
    assert seen[0] == (0, total)
    assert seen[-1] == (total, total)
    assert seen == sorted(seen)
