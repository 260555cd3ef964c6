"""Vectors about NVFP4 and BDR: what they cover, what older readers see, and what faults hide."""

import json

import numpy as np
import pytest

from mxref.faults import bdr, nvfp4
from mxref.relatives.bdr_formats import bdr_format
from mxref.relatives.nvfp4_profiles import get_policy
from mxref.vectors import VectorError, Verdict, load
from mxref.vectors.operations import RELATIVES
from mxref.vectors.recheck import expectation_problems
from mxref.vectors.relatives.equivalent import RULES, equivalent
from mxref.vectors.strength import Strength, strength_of


@pytest.fixture(scope="session")
def relatives(every_file):
    return {path: file for path, file in every_file.items() if file.operation in RELATIVES}


def test_each_operation_has_a_file_and_old_files_keep_their_schema(committed, relatives):
    assert {file.operation for file in relatives.values()} == set(RELATIVES)
    for path in ("quantize/mxfp4.ocp.json", "manifest.json"):
        assert json.loads((committed / path).read_text("ascii"))["schema"] == 2
    for path in relatives:
        assert json.loads((committed / path).read_text("ascii"))["schema"] == 3


def test_a_file_of_a_relative_under_the_old_schema_is_refused(committed, tmp_path):
    text = (committed / "nvfp4_dequantize/nvfp4.te-1d.json").read_text("ascii")
    path = tmp_path / "old.json"
    path.write_text(text.replace('"schema":3', '"schema":2', 1), "ascii")
    with pytest.raises(VectorError, match="schema: expected 3, got 2"):
        load(path)


def test_dequantize_has_every_code_under_every_scale(relatives):
    cases = relatives["nvfp4_dequantize/nvfp4.te-1d.json"].cases
    ones = [c.inputs for c in cases if c.inputs.global_scale == 0x3F800000]
    assert {(i.scales[0], code) for i in ones for code in i.bits} == {
        (scale, code) for scale in range(0x80) for code in range(16)
    }
    e2m1 = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6])
    for case in cases:
        if case.inputs in ones and case.inputs.scales[0] == 0x39:  # 1.125
            found = np.array(case.expected.bits, np.uint32).view(np.float32)
            assert np.array_equal(found, np.concatenate([e2m1, -e2m1]).astype(np.float32) * 1.125)


@pytest.mark.parametrize("name", ["mx9", "mx6", "mx4", "msfp16", "msfp12"])
def test_bdr_dequantize_has_every_code_and_every_scale(relatives, name):
    cases = relatives[f"bdr_dequantize/{name}.bdr-paper.json"].cases
    assert {case.inputs.scales[0] for case in cases} == set(range(256))
    fmt = bdr_format(name)
    seen = {(code, case.inputs.subscales[:1]) for case in cases for code in case.inputs.bits}
    shifts = [(d,) for d in range(fmt.max_shift + 1)] if fmt.has_subscales else [()]
    assert seen >= {(code, shift) for code in range(fmt.code_count) for shift in shifts}


def test_every_scale_code_is_asked_for(relatives):
    for path in ("nvfp4_scale_decode/nvfp4.te-1d.json",):
        assert {c.inputs.bits[0] for c in relatives[path].cases} == set(range(256))
    found = {c.expected.scale for c in relatives["nvfp4_quantize/nvfp4.te-1d.json"].cases}
    assert found >= set(range(0x7F))


def test_profiles_differ_in_their_obligations(relatives):
    outputs = {}
    for path, file in relatives.items():
        if file.operation == "nvfp4_quantize":
            outputs[path] = {c.inputs: c.expected for c in file.cases if c.verdict is Verdict.MUST}
    for one, ours in outputs.items():
        for other, theirs in outputs.items():
            if one < other:
                both = ours.keys() & theirs.keys()
                assert any(ours[i] != theirs[i] for i in both), (one, other)


@pytest.mark.parametrize(
    "path", ["bdr_dot/mx9.bdr-paper.json", "nvfp4_dot/nvfp4.te-1d.json",
             "scaled_quantize/vsq4.bdr-paper.json", "nvfp4_scale_encode/nvfp4.gguf.json"],
)  # fmt: skip
def test_a_wrong_expectation_is_noticed(relatives, path):
    from dataclasses import replace

    file = relatives[path]
    assert list(expectation_problems(file)) == []
    case = next(c for c in file.cases if c.verdict is Verdict.MUST)
    out = replace(case.expected, bits=(case.expected.bits[0] ^ 1, *case.expected.bits[1:]))
    wrong = replace(case, members=(replace(case.members[0], out=out),))
    (problem,) = expectation_problems(replace(file, cases=(wrong,)))
    assert case.id in problem


@pytest.mark.parametrize("path", ["bdr_quantize/mx6.after-rounding.json",
                                  "nvfp4_scale_encode/nvfp4.gguf.json"])  # fmt: skip
def test_no_fault_survives(relatives, path):
    rows = strength_of(relatives[path])
    assert rows
    assert Strength(rows).ok


def _blocks(count, lanes):
    rng = np.random.default_rng(8)
    x = rng.standard_normal((count, lanes)).astype(np.float32)
    x *= np.exp2(rng.integers(-40, 40, (count, 1))).astype(np.float32)
    x[::3] *= np.exp2(rng.integers(-12, 1, (len(x[::3]), lanes))).astype(np.float32)
    x[1::5] = np.round(x[1::5] * 16) / 16
    return x


@np.errstate(all="ignore")
def test_hidden_faults_agree_everywhere(relatives):
    """Each rule hides something, and nothing that dense inputs could show."""
    used = set()
    blocks = _blocks(3000, 16)
    files = [f for f in relatives.values() if f.operation in ("bdr_quantize", "nvfp4_quantize")]
    for file in files:
        if file.operation == "bdr_quantize":
            fmt = bdr_format(file.format)
            models = bdr.implementations(file.operation, fmt, file.policy)
            right, more = bdr.correct(file.operation, fmt, file.policy), ()
        elif nvfp4.is_modelled(file.policy):
            models = nvfp4.implementations(file.operation, file.policy)
            right, more = nvfp4.correct(file.operation, file.policy), (np.float32(2.0**42),)
        else:
            continue
        due = right(blocks, *more)
        for model in models:
            asked = model.id, model.detail, file.operation, file.policy, file.format
            if not equivalent(*asked):
                continue
            used |= {n for n, rule in enumerate(RULES) if rule.hides(*asked)}
            got = model.subject(blocks, *more)
            for a, b in zip(got, due, strict=True):
                assert a is b is None or np.array_equal(a, b), (file.path, model.id, model.detail)
    assert {RULES[n].operation for n in used} == {"bdr_quantize", "nvfp4_quantize"}


def test_casts_of_scales_saturate_or_overflow_as_the_profile_says(relatives):
    def code(name, bits):
        cases = next(
            file.cases
            for file in relatives.values()
            if file.operation == "nvfp4_scale_encode" and file.policy.name == name
        )
        return next(
            c.expected.bits[0]
            for c in cases
            if c.inputs.bits == (bits,) and c.inputs.type == "float32"
        )

    beyond = int(np.float32(1024).view(np.uint32))
    assert (code("te-1d", beyond), code("te-1d:scale_overflow=nan", beyond)) == (0x7E, 0x7F)
    tie = int(np.float32(1.0625).view(np.uint32))  # between 1 and 1.125
    assert (code("te-1d", tie), code("gguf", tie)) == (0x38, 0x39)
    assert get_policy("gguf").scale_rounding == "nearest-up"
