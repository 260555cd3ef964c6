"""`check.checkpoint`: numbers as stored, profiles with defects, mishaps; and how it says so."""

from __future__ import annotations

import json
import math
import re

import numpy as np
import pytest
from safetensors.numpy import save_file
from verify_files import Files, gpt_oss, save_as, weights

import mxref
from mxref.check.checkpoint import checkpoint
from mxref.layouts import pack_scales
from mxref.layouts._layout import Fields

E2M1 = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6])


def decibel(x, codes, scales):
    """QSNR, saturated and flushed by their definitions, as a loader of the file would see them."""
    unit = np.exp2(scales.astype(float) - 127).repeat(32, -1)
    x, y = x.astype(float), E2M1[codes] * unit
    qsnr = 10 * math.log10((x**2).sum() / ((x - y) ** 2).sum())
    return qsnr, (np.abs(x) > 6 * unit).mean(), ((x != 0) & (y == 0)).mean()


def words(report):
    return " ".join(str(report).split())


# --- numbers are those of the file ----------------------------------------------------------------


def exchanged(codes, scales):
    return codes.reshape(-1, 2)[:, ::-1].reshape(codes.shape), scales


def halves(codes, scales):
    order = codes.reshape(-1, 2, 16).swapaxes(1, 2)
    return np.ascontiguousarray(order).reshape(codes.shape), scales


@pytest.mark.parametrize(
    ("spoil", "once"),
    [
        (exchanged, "once the two codes of each byte are exchanged back"),
        (halves, "once the codes are put in order"),
        (lambda codes, scales: (codes, scales + 1), "once -1 is added to the scale codes"),
        (lambda codes, scales: (codes, scales - 1), "once +1 is added to the scale codes"),
    ],
)
def test_numbers_are_of_what_is_stored(tmp_path, spoil, once):
    x = weights(0) + np.float32(0.01)  # no block of zeros: its scale code can't be lowered
    files = Files(tmp_path, {"a": x})
    report = checkpoint(files.quantized(change=lambda _, c, s: spoil(c, s)), files.source)
    tensor = report.tensors[0]
    q = mxref.quantize(x, "mxfp4")
    stored = decibel(x, *(np.ascontiguousarray(a) for a in spoil(q.codes, q.scales)))
    assert (tensor.qsnr, tensor.saturated, tensor.flushed) == pytest.approx(stored, abs=1e-9)
    assert tensor.qsnr_repaired == pytest.approx(decibel(x, q.codes, q.scales)[0], abs=1e-9)
    document = json.loads(report.to_json())["tensors"][0]
    assert document["qsnr"] == tensor.qsnr
    assert document["qsnr_repaired"] == tensor.qsnr_repaired
    assert f"{tensor.qsnr:.1f} dB as stored, {tensor.qsnr_repaired:.1f} dB {once}" in words(report)
    assert "1 tensor only once put right" in words(report)


def test_nothing_is_repaired_where_nothing_is_wrong(tmp_path):
    files = Files(tmp_path, {"a": weights(0)})
    tensor = checkpoint(files.quantized(), files.source).tensors[0]
    assert tensor.qsnr_repaired is None
    assert tensor.repair == ""


def test_a_rounded_source_is_not_what_errors_are_measured_by(tmp_path):
    """The errors are those of the weights that were given."""
    import ml_dtypes

    x = weights(5)
    files = Files(tmp_path, {"a": x})
    narrow = x.astype(ml_dtypes.bfloat16).astype(np.float32)
    q = mxref.quantize(narrow, "mxfp4", policy="torchao-ceil")
    path = tmp_path / "q.safetensors"
    save_file(gpt_oss("a", q.codes, q.scales), path)
    tensor = checkpoint(path, files.source).tensors[0]
    assert "rounded to bfloat16" in tensor.assumed
    assert tensor.qsnr == pytest.approx(decibel(x, q.codes, q.scales)[0], abs=1e-9)


# --- policies that are followed to the bit, and wrong ---------------------------------------------


def edge():
    """Weights with one amax at which a float32 logarithm goes wrong."""
    x = weights(0)
    x[0, :32] = 0.01
    x[0, 0] = np.uint32(0x3D400002).view(np.float32)
    return x


def test_a_profile_with_a_defect_is_named_with_it(tmp_path):
    files = Files(tmp_path, {"a": edge(), "b": weights(1)})
    path = files.quantized("torchao-rceil")
    report = checkpoint(path, files.source)
    assert report.verdict == "defect"
    assert (
        "every tensor follows torchao-rceil, a published profile with a known defect: S8 "
        "(scale_log2=float32, against MX-1.0/6.3/scale), seen in 1 block of 1 tensor; "
        "--policy torchao-rceil accepts it"
    ) in words(report)
    first, second = json.loads(report.to_json())["tensors"]
    assert first["policy_defects"] == ["S8"]
    assert first["policy_defect_blocks"] == 1
    assert second["policy_defects"] == []
    accepted = checkpoint(path, files.source, policy="torchao-rceil")
    assert accepted.verdict == "conforms"
    assert "known defect" not in str(accepted)


def test_a_profile_of_another_standard_is_named_so(tmp_path):
    x = weights(3)
    q = mxref.quantize(x, "mxfp8_e4m3", policy="p3109")
    save_file({"a.weight": x}, tmp_path / "s.safetensors")
    fields = Fields(q.codes, q.scales, None)
    path = save_as(tmp_path / "q.safetensors", "torchao", "mxfp8_e4m3", "a", fields)
    report = checkpoint(path, tmp_path / "s.safetensors")
    legal = mxref.quantize(x, "mxfp8_e4m3", policy="p3109:neg_zero=keep")
    lost = (q.codes != legal.codes).reshape(-1, 32).any(1).sum()
    assert (
        "p3109, a published profile that is not legal mxfp8_e4m3: E19 (neg_zero=drop, against "
        f"OFP8-1.0/sign), seen in {lost} blocks of 1 tensor; --policy p3109 accepts it"
    ) in words(report)
    assert checkpoint(path, tmp_path / "s.safetensors", policy="p3109").ok


def test_the_name_that_was_claimed_is_echoed(tmp_path):
    files = Files(tmp_path, {"a": weights(0)})
    report = checkpoint(files.quantized(), files.source, policy="riscv-zvfofp")
    assert report.ok
    assert report.asked == "riscv-zvfofp"
    assert "claimed riscv-zvfofp" in words(report)
    assert "riscv-zvfofp" in report.tensors[0].policies


# --- what went wrong with whole tensors -----------------------------------------------------------


def pair(tmp_path, change, source=None, shape=(128, 256)):
    files = Files(tmp_path, {"a": weights(0, shape), "b": weights(1, shape)})
    path = files.quantized(change=change)
    if source is not None:
        save_file({f"{n}.weight": source(x) for n, x in files.originals.items()}, files.source)
    return checkpoint(path, files.source)


def as_is(_, codes, scales):
    return codes, scales


def test_a_transposed_source_is_said_to_be(tmp_path):
    report = pair(tmp_path, as_is, lambda x: np.ascontiguousarray(x.T))
    assert report.verdict == "conforms"
    assert all(t.transposed for t in report.tensors)
    assert "The source of 2 tensors is stored the other way round" in words(report)


def test_a_transposed_square_source_is_recognised(tmp_path):
    report = pair(tmp_path, as_is, lambda x: np.ascontiguousarray(x.T), (256, 256))
    assert report.verdict == "conforms-as"
    assert report.policies["mxfp4"][0] == "ocp"
    assert "explained if the source is transposed" in words(report)


@pytest.mark.parametrize(
    ("change", "source", "note"),
    [
        (lambda _, c, s: (c * 0, s), None, "All codes are zero, the source is not"),
        (lambda _, c, s: (c * 0, s * 0), None, "All codes and scale codes are zero"),
        (as_is, np.negative, "Every sign is the opposite of the source's"),
        (
            lambda _, c, s: (np.roll(c, 32, 1), np.roll(s, 1, 1)),
            None,
            "The blocks of each row lie +1 places from where they belong",
        ),
    ],
)
def test_mishaps_are_named(tmp_path, change, source, note):
    report = pair(tmp_path, change, source)
    assert report.verdict == "unexplained"
    assert words(report).count(note) == 2
    assert "This is not the source" not in words(report)


def test_exchanged_codes_under_the_right_scales(tmp_path):
    rng = np.random.default_rng(0)
    x = {name: rng.standard_normal((128, 256)).astype(np.float32) for name in "ab"}
    files = Files(tmp_path, x)
    codes = {"a": mxref.quantize(x["b"], "mxfp4").codes, "b": mxref.quantize(x["a"], "mxfp4").codes}
    report = checkpoint(files.quantized(change=lambda n, _, s: (codes[n], s)), files.source)
    assert "These are the codes of 'b.weight', not of 'a.weight'" in words(report)
    assert "The scale codes are those of the source." in words(report)


@pytest.mark.parametrize(
    ("spoil", "note"),
    [
        (lambda c, s: (c[5], s[5]), "Matrix 3 holds rows of matrix 5"),
        (lambda c, s: (c[3] * 0, s[3]), "Of what differs: All codes are zero"),
        (lambda c, s: (c[3] ^ 8, s[3]), "Of what differs: Every sign is the opposite"),
    ],
)
def test_one_wrong_expert(tmp_path, spoil, note):
    x = weights(0, (8, 64, 128))
    q = mxref.quantize(x, "mxfp4")
    codes, scales = q.codes.copy(), q.scales.copy()
    codes[3], scales[3] = spoil(q.codes, q.scales)
    blocks = (codes[..., ::2] | codes[..., 1::2] << 4).reshape(8, 64, 4, 16)
    save_file({"a.blocks": blocks, "a.scales": scales}, tmp_path / "q.safetensors")
    save_file({"a.weight": x}, tmp_path / "s.safetensors")
    report = checkpoint(tmp_path / "q.safetensors", tmp_path / "s.safetensors")
    assert report.tensors[0].fault.rows == ((192, 256),)
    assert note in words(report)


# --- words ----------------------------------------------------------------------------------------


def test_names_are_shown_and_counts_agree(tmp_path):
    name = "model.layers.11.self_attn.q_proj"
    huge, odd = "a" * 5000, "b\x1b[31m\n"
    files = Files(tmp_path, {name: weights(0), huge: weights(1), odd: weights(2)})

    def change(each, codes, scales):
        if each == name:
            codes[7, 3] ^= 1
        return codes, scales

    text = str(checkpoint(files.quantized(change=change), files.source))
    assert f"  {name}.weight\n" in text
    assert "1 of 768 blocks differs in row 7 (0 scale codes, 1 element)" in " ".join(text.split())
    assert "\x1b" not in text
    assert "b\\x1b[31m\\n.weight" in text
    lines = text.replace(str(tmp_path), "").splitlines()
    assert max(map(len, lines)) <= 80
    assert re.search(r"compared +295 kB of source in \d+\.\d s \([\d.]+ [kM]B/s\)", text)


def test_an_array_is_a_source(tmp_path):
    x = weights(0)
    np.save(tmp_path / "x.npy", x)
    q = mxref.quantize(x, "mxfp4")
    save_file(gpt_oss("x", q.codes, q.scales), tmp_path / "q.safetensors")
    report = checkpoint(tmp_path / "q.safetensors", tmp_path / "x.npy")
    assert report.verdict == "conforms"
    assert report.tensors[0].source == "x.weight"


# --- found by a hostile reader --------------------------------------------------------------------


def normal(shape, seed=0):
    """Numbers whose blocks have much the same scale: exchanged ones do little harm."""
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize(
    ("order", "fault", "words_of_it"), [("128x4", "L3", "128x4"), ("turned", "L8", "column-major")]
)
def test_scale_codes_in_another_order(tmp_path, order, fault, words_of_it):
    files = Files(tmp_path, {"a": normal((256, 512))})

    def change(_, codes, scales):
        if order == "turned":
            return codes, np.ascontiguousarray(scales.T).reshape(scales.shape)
        return codes, pack_scales(scales, order).reshape(scales.shape)

    report = checkpoint(files.quantized(change=change), files.source)
    assert report.verdict == "defect", str(report)
    assert [f.id for f in report.tensors[0].findings] == [fault]
    assert f"written as: {words_of_it}" in words(report)


def test_scale_codes_in_no_known_order(tmp_path):
    files = Files(tmp_path, {"a": normal((256, 512))})
    order = np.random.default_rng(1).permutation(256 * 16)

    def change(_, codes, scales):
        return codes, scales.reshape(-1)[order].reshape(scales.shape)

    report = checkpoint(files.quantized(change=change), files.source)
    assert report.verdict == "unexplained"
    assert not report.tensors[0].findings
    assert "as frequent as they should be, but not where they should be" in words(report)


def test_two_policies_in_one_tensor(tmp_path):
    x = normal((1024, 512))
    files = Files(tmp_path, {"a": x})
    lower = mxref.quantize(x, "mxfp4", policy="torchao-ceil")

    def change(_, codes, scales):
        codes[300:], scales[300:] = lower.codes[300:], lower.scales[300:]
        return codes, scales

    report = checkpoint(files.quantized(change=change), files.source)
    assert report.verdict == "unexplained"
    text = words(report)
    assert "Two policies share its rows: all but rows" in text
    assert "all but rows 300-1023 follow ocp" in text
    assert "all but rows 0-299 follow torchao-ceil" in text


def test_an_unpublished_policy_is_spelt_from_the_default(tmp_path):
    x = (np.round(normal((256, 512)) * 64) / 64).astype(np.float32)
    files = Files(tmp_path, {"a": x})
    report = checkpoint(files.quantized("ocp:rounding=nearest-away"), files.source)
    assert report.ok, str(report)
    assert report.tensors[0].policy == "ocp:rounding=nearest-away"


def test_nothing_is_claimed_of_what_was_not_tested(tmp_path):
    files = Files(tmp_path, {"a": weights(0)})
    path = files.quantized()
    save_file({"z.weight": weights(0)}, files.source)
    report = checkpoint(path, files.source)
    assert report.exit_code == 2
    assert "nothing could be tested" in words(report)
    assert "no tensor follows" not in words(report)
