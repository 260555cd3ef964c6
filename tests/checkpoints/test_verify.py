"""`check.checkpoint` on small files: what made them is told, and planted faults are found."""

from __future__ import annotations

import json
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file
from verify_files import Files, gpt_oss, weights

import mxref
from mxref.check.checkpoint import checkpoint
from mxref.check.report import DefectError


@pytest.fixture
def files(tmp_path):
    return Files(tmp_path, {"a": weights(0), "b": weights(1), "c": weights(2)})


def check(files, path, **options):
    return checkpoint(path, files.source, **options)


def by_name(report):
    return {t.name: t for t in report.tensors}


@pytest.mark.parametrize(
    "policy", ["ocp", "torchao-ceil", "torchao-even", "mlx", "gguf-mxfp4", "microxcaling", "mslk"]
)
def test_the_policy_that_made_it_is_named(files, policy):
    report = check(files, files.quantized(policy))
    assert report.ok, str(report)
    assert policy in report.policies["mxfp4"]
    assert report.verdict == ("conforms" if policy == "ocp" else "conforms-as")
    # Each name that is given makes these very bits.
    for x in files.originals.values():
        theirs = mxref.quantize(x, "mxfp4", policy=policy)
        for name in report.policies["mxfp4"]:
            ours = mxref.quantize(x, "mxfp4", policy=name)
            assert (ours.codes == theirs.codes).all(), name
            assert (ours.scales == theirs.scales).all(), name


@pytest.mark.slow
def test_a_policy_without_a_name_is_spelt_out(files):
    policy = "ocp:scale_rule=ceil,rounding=nearest-away"
    report = check(files, files.quantized(policy))
    assert report.ok, str(report)
    assert "nearest-away" in report.tensors[0].policy
    assert "ceil" in report.tensors[0].policy


def test_what_was_claimed_is_what_is_judged(files):
    path = files.quantized("torchao-ceil")
    good = check(files, path, policy="torchao-ceil")
    assert good.verdict == "conforms"
    assert good.ok
    bad = check(files, path, policy="torchao-even")
    assert bad.verdict == "conforms-as"
    assert not bad.ok
    assert bad.exit_code == 1
    assert bad.tensors[0].policy == "torchao-ceil"
    assert "S5" in [f.id for f in bad.tensors[0].findings]
    with pytest.raises(DefectError, match="torchao-ceil"):
        bad.raise_for_defects()


def test_one_tensor_by_another_rule_is_the_odd_one(files):
    path = files.quantized("torchao-ceil", policies={"b": "ocp"})
    report = check(files, path)
    assert report.odd_ones == ("b.weight",)
    assert not report.ok
    assert report.exit_code == 1
    assert by_name(report)["b.weight"].policy == "ocp"
    assert "2 of 3 tensors follow" in str(report)


def test_a_flipped_byte_is_located_to_the_byte(files):
    path = files.quantized("torchao-ceil")
    before = path.read_bytes()
    spoilt = bytearray(before)
    whole = len(before)
    header = int.from_bytes(before[:8], "little")
    at = json.loads(before[8 : 8 + header])["b.blocks"]["data_offsets"][0] + 8 + header
    at += (7 * 8 + 3) * 16 + 5  # row 7, block 3, byte 5: columns 106 and 107
    spoilt[at] ^= 0x10
    path.write_bytes(spoilt)
    assert len(spoilt) == whole
    report = check(files, path)
    assert report.verdict == "unexplained"
    tensor = by_name(report)["b.weight"]
    assert by_name(report)["a.weight"].verdict == "conforms-as"
    assert tensor.nearest == "torchao-ceil"
    fault = tensor.fault
    assert (fault.blocks, fault.scales, fault.elements) == (1, 0, 1)
    assert fault.rows == ((7, 8),)
    assert fault.first.index == (7, 107)
    assert fault.offset == at
    assert fault.file == str(path)


def test_a_flipped_scale_is_located(files):
    def change(name, codes, scales):
        if name == "c":
            scales[11, 2] += 1
        return codes, scales

    report = check(files, files.quantized(change=change))
    fault = by_name(report)["c.weight"].fault
    assert fault.scales == 1
    assert fault.first.stage == "scale"
    assert fault.first.index == (11, 2)
    stored = Path(fault.file).read_bytes()[fault.offset]
    assert stored == int(fault.first.got_bits, 16)


def test_nan_scales_are_counted_and_located(files):
    def change(name, codes, scales):
        if name == "a":
            scales[3, 1] = scales[9, 7] = 0xFF
        return codes, scales

    tensor = by_name(check(files, files.quantized(change=change)))["a.weight"]
    assert tensor.nan_scales == 2
    assert tensor.fault.scales == 2
    assert tensor.fault.first.index == (3, 1)
    assert any("2 blocks have a NaN scale, the first at [3, 1]" in note for note in tensor.notes)


@pytest.mark.parametrize(
    ("reading", "fault"),
    [("exchanged", "L1"), ("halves", "L2")],
)
def test_nibbles_out_of_order_are_named(files, reading, fault):
    def change(name, codes, scales):
        if name != "b":
            return codes, scales
        if reading == "exchanged":
            return codes.reshape(-1, 2)[:, ::-1].reshape(codes.shape), scales
        halves = codes.reshape(-1, 2, 16).swapaxes(1, 2)
        return np.ascontiguousarray(halves).reshape(codes.shape), scales

    report = check(files, files.quantized("torchao-even", change=change))
    tensor = by_name(report)["b.weight"]
    assert report.verdict == "defect"
    assert tensor.findings[0].id == fault
    assert "torchao-even" in tensor.policies
    assert tensor.qsnr_repaired > 10 > tensor.qsnr  # as it was meant, and as it is


def test_swizzled_scales_are_named(tmp_path):
    x = weights(3, (256, 256))
    files = Files(tmp_path, {"a": x})

    def change(_, codes, scales):
        tiles = scales.reshape(2, 4, 32, 2, 4).transpose(0, 3, 2, 1, 4)
        return codes, np.ascontiguousarray(tiles).reshape(scales.shape)

    tensor = check(files, files.quantized(change=change)).tensors[0]
    assert tensor.verdict == "defect"
    assert tensor.findings[0].id.startswith("L")


def test_permuted_rows_are_said_to_be_permuted(files):
    def change(name, codes, scales):
        order = np.arange(len(codes)).reshape(2, -1).T.reshape(-1)
        return (codes[order], scales[order]) if name == "b" else (codes, scales)

    tensor = by_name(check(files, files.quantized(change=change)))["b.weight"]
    assert tensor.verdict == "unexplained"
    assert any("rows are in another order" in note for note in tensor.notes)


def test_exchanged_tensors_are_said_to_be_exchanged(files):
    path = files.quantized()
    swapped = Files(files.folder, {"a": files.originals["b"], "b": files.originals["a"]})
    report = checkpoint(path, swapped.source, names=["a.weight"])
    assert any("codes of 'b.weight'" in note for note in report.tensors[0].notes)


def test_the_wrong_source_is_called_so(files):
    path = files.quantized()
    save_file({f"{n}.weight": weights(9 + i) for i, n in enumerate("abc")}, files.source)
    report = check(files, path)
    assert report.verdict == "unexplained"
    assert all(any("not the source" in n for n in t.notes) for t in report.tensors)
    assert all(not t.findings for t in report.tensors)


def test_a_source_that_was_rounded_first_is_recognised(tmp_path):
    x = weights(5)
    narrow = x.astype(ml_dtypes.bfloat16)
    files = Files(tmp_path, {"a": narrow.astype(np.float32)})
    path = files.quantized("torchao-ceil")
    save_file({"a.weight": x}, files.source)
    tensor = check(files, path).tensors[0]
    assert tensor.verdict == "conforms-as"
    assert "rounded to bfloat16" in tensor.assumed
    assert tensor.policy == "torchao-ceil"


@pytest.mark.parametrize("dtype", [np.float64, np.float16, ml_dtypes.bfloat16])
def test_sources_of_every_type(tmp_path, dtype):
    x = weights(6).astype(dtype)
    save_file({"a.weight": x}, tmp_path / "s.safetensors")
    q = mxref.quantize(x, "mxfp4", policy="mlx")
    save_file(gpt_oss("a", q.codes, q.scales), tmp_path / "q.safetensors")
    report = checkpoint(tmp_path / "q.safetensors", tmp_path / "s.safetensors")
    assert "mlx" in report.tensors[0].policies


def test_a_transposed_source_is_read_across(tmp_path):
    x = weights(7, (2, 96, 64))
    source = np.ascontiguousarray(x.swapaxes(1, 2))
    save_file({"a.weight": source}, tmp_path / "s.safetensors")
    q = mxref.quantize(x, "mxfp4", policy="torchao-ceil")
    blocks = (q.codes[..., ::2] | q.codes[..., 1::2] << 4).reshape(2, 96, 2, 16)
    save_file({"a.blocks": blocks, "a.scales": q.scales}, tmp_path / "q.safetensors")
    report = checkpoint(tmp_path / "q.safetensors", tmp_path / "s.safetensors")
    assert report.tensors[0].policy == "torchao-ceil", str(report)


def test_a_rare_choice_late_in_the_tensor_decides(tmp_path):
    """The sample can't show it: only one element of a later row is a tie."""
    rng = np.random.default_rng(8)
    x = rng.uniform(0.51, 0.59, (4096, 512)).astype(np.float32)
    x[:, ::32] = 6.0
    x[1234, 77] = 0.25
    files = Files(tmp_path, {"a": x})
    report = check(files, files.quantized("ocp:rounding=nearest-away"))
    tensor = report.tensors[0]
    assert tensor.verdict == "conforms-as", str(report)
    assert "ocp" not in tensor.policies
    x[1234, 77] = 0.3
    save_file({"a.weight": x}, files.source)
    files.originals = {"a": x}
    assert check(files, files.quantized("ocp:rounding=nearest-away")).verdict == "conforms"


def test_a_named_fault_of_elements(files):
    def change(name, codes, scales):
        flushed = np.where(codes & 7 == 1, codes & 8, codes).astype(np.uint8)  # subnormals
        return (flushed, scales) if name == "a" else (codes, scales)

    tensor = by_name(check(files, files.quantized("torchao-ceil", change=change)))["a.weight"]
    assert tensor.verdict == "defect"
    assert tensor.nearest == "torchao-ceil"
    assert [f.id for f in tensor.findings] == ["E7"]
    index = tensor.findings[0].witness.index
    q = mxref.quantize(files.originals["a"], "mxfp4", policy="torchao-ceil")
    assert q.codes[index] & 7 == 1
    assert tensor.fault.scales == 0
    assert tensor.fault.elements == (q.codes & 7 == 1).sum()


def test_counts_are_exact_in_large_tensors(tmp_path):
    x = np.random.default_rng(12).standard_normal((1024, 1024)).astype(np.float32)
    files = Files(tmp_path, {"a": x})
    spoilt = np.random.default_rng(13).random((1024, 32)) < 0.2

    def change(_, codes, scales):
        codes[:, ::32][spoilt] ^= 1
        return codes, scales

    fault = check(files, files.quantized(change=change)).tensors[0].fault
    assert fault.elements == fault.blocks == spoilt.sum()
    rows = np.zeros(1024, bool)
    for lo, hi in fault.rows:
        rows[lo:hi] = True
    assert (rows == spoilt.any(1)).all()


def test_lost_signs_are_not_another_source(files):
    def change(name, codes, scales):
        return (codes & 7, scales) if name == "a" else (codes, scales)

    tensor = by_name(check(files, files.quantized("torchao-ceil", change=change)))["a.weight"]
    assert tensor.verdict == "unexplained"
    assert tensor.nearest == "torchao-ceil"
    assert not any("not the source" in note for note in tensor.notes)
    assert any("wrong sign" in place.what for place in tensor.places)


@pytest.mark.parametrize("offset", [-2, 1])
def test_a_wrong_bias_is_named(files, offset):
    def change(name, codes, scales):
        moved = np.where(scales > 0, scales.astype(int) + offset, scales).astype(np.uint8)
        return codes, moved if name == "c" else scales

    tensor = by_name(check(files, files.quantized("torchao-even", change=change)))["c.weight"]
    assert tensor.verdict == "defect"
    assert [f.id for f in tensor.findings] == ["S6"]
    assert tensor.findings[0].detail.startswith(f"{offset:+d}")
    assert ("bias of 125" in tensor.findings[0].detail) == (offset == -2)
    assert "torchao-even" in tensor.policies


def test_the_report_does_not_depend_on_the_cut(files):
    path = files.quantized("mlx")
    reports = [check(files, path, memory=m) for m in (1 << 20, 1 << 29)]
    assert reports[0].tensors == reports[1].tensors


@pytest.mark.slow
def test_threads_and_processes_agree(files):
    def change(name, codes, scales):
        if name == "b":
            codes[50, 3] ^= 1
        return codes, scales

    path = files.quantized(change=change)
    reports = [check(files, path, executor=e) for e in ("threads:1", "threads:3", "processes:2")]
    assert reports[0].tensors == reports[1].tensors == reports[2].tensors


def test_json_is_plain(files):
    report = check(files, files.quantized("mlx"))
    document = json.loads(report.to_json())
    assert document["verdict"] == "conforms-as"
    assert document["tensors"][0]["policies"][0] == "mlx"
    assert document["tensors"][0]["shape"] == [96, 256]
    assert "<pre" in report._repr_html_()


def test_text_is_80_columns_wide(files):
    def change(name, codes, scales):
        if name == "b":
            scales[:, 0] = 0xFF
        return codes, scales

    text = str(check(files, files.quantized(change=change)))
    assert max(map(len, text.replace(str(files.folder), "").splitlines())) <= 80
