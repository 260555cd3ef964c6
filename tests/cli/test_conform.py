import io
import json
import os
import re
import textwrap

import pytest
from rich.console import Console

ML_DTYPES = ("conform", "ml_dtypes")


@pytest.fixture(scope="module")
def outcome():
    from mxref.check.target import load_target
    from mxref.cli.conform import _run

    return _run(load_target("ml_dtypes"), None)


@pytest.fixture(scope="module")
def plain(outcome):
    return _rendered(outcome, width=80, terminal=False)


def _rendered(outcome, *, width, terminal, expected=()):
    from mxref.cli._conform_view import print_outcome

    out = Console(
        file=io.StringIO(), width=width, force_terminal=terminal, highlight=False, markup=False
    )
    print_outcome(out, outcome, expected)
    return out.file.getvalue()


def _rows(outcome):
    return {row.name: row for row in outcome.rows}


def test_every_cast_and_block_format_is_run(outcome):
    names = _rows(outcome)
    for element in ("e4m3", "e5m2", "e3m2", "e2m3", "e2m1", "e8m0"):
        assert f"encode {element}" in names
        assert f"decode {element}" in names
    for block in ("mxfp8_e4m3", "mxfp8_e5m2", "mxfp6_e3m2", "mxfp6_e2m3", "mxfp4", "mxint8"):
        assert f"quantize {block}" in names
        assert f"dequantize {block}" in names


# The divergences of ml_dtypes that are known, each under the verdict that it deserves.
KNOWN = {
    "encode e4m3": {"fp8_overflow": "overflow", "nan_payload": None},
    "encode e5m2": {"fp8_overflow": "overflow", "nan_payload": None},
    "encode e3m2": {"nan_element": "flipped-zero"},
    "encode e2m3": {"nan_element": "flipped-zero"},
    "encode e2m1": {"nan_element": "flipped-zero"},
}


@pytest.mark.parametrize("name", KNOWN)
def test_known_choices_of_ml_dtypes(outcome, name):
    report = _rows(outcome)[name].report
    assert report.verdict == "conforms-as"
    chosen = {field: ours for field, (ours, _) in report.policy.diff(_ocp()).items()}
    assert set(chosen) == set(KNOWN[name])
    assert all(value in (None, chosen[field]) for field, value in KNOWN[name].items())


def _ocp():
    from mxref.policy import get_policy

    return get_policy("ocp")


def test_everything_else_of_ml_dtypes_conforms(outcome):
    for name, row in _rows(outcome).items():
        if name not in KNOWN and name != "encode e8m0":
            assert row.report.verdict == "conforms", name


def test_the_e8m0_cast_of_ml_dtypes_has_a_defect(outcome):
    report = _rows(outcome)["encode e8m0"].report
    assert report.verdict == "defect"
    assert [f.id for f in report.findings if not f.legal] == ["S17"]
    legal = {}
    for finding in report.findings:
        if finding.legal:
            legal |= dict(finding.policy_change)
    assert legal["e8m0_zero"] == "nan"
    assert legal["e8m0_rounding"] == "nearest"
    assert legal["e8m0_overflow"] == "nan"
    assert set(outcome.defects()) == {"S17"}
    assert outcome.exit_code() == 1
    assert outcome.exit_code(("S17",)) == 0
    assert outcome.exit_code(("S17", "E1")) == 1


def test_the_report_says_it_in_words(plain):
    assert "overflow becomes NaN" in plain
    assert "NaN becomes zero of the opposite sign" in plain
    assert "0 becomes NaN" in plain
    for point in ("OP-FP8-OVERFLOW", "OP-NAN-ELEMENT", "OP-E8M0-CAST", "S17"):
        assert point in plain
    assert "\x1b" not in plain
    assert max(map(len, plain.splitlines())) <= 80


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_it_fits_any_terminal(outcome, width):
    shown = _rendered(outcome, width=width, terminal=True)
    shown = re.sub(r"\x1b\[[0-9;]*m", "", shown)
    assert max(map(len, shown.splitlines())) <= width
    assert "S17" in shown


def test_expected_defects(outcome):
    shown = _rendered(outcome, width=80, terminal=False, expected=("S17", "E1"))
    assert "as expected" in shown
    assert "E1 was not found" in shown


def test_the_command(invoke):
    result = invoke(*ML_DTYPES, "--op", "encode", "--format", "e4m3")
    assert result.exit_code == 0, result.output
    assert "conforms as" in result.stdout
    result = invoke(*ML_DTYPES, "--op", "encode", "--format", "float8_e4m3fn", "--policy", "ocp")
    assert result.exit_code == 1
    result = invoke(*ML_DTYPES, "--op", "encode", "--format", "e4m3", "--policy", "ml_dtypes")
    assert result.exit_code == 0, result.output


def test_json_is_all_there_is(shell):
    done = shell(*ML_DTYPES, "--format", "e8m0", "--json")
    assert done.returncode == 1
    assert done.stderr == ""
    document = json.loads(done.stdout)
    assert {k["op"] for k in document["kernels"]} == {"encode", "decode"}
    assert document["verdicts"] == {"conforms": 1, "defect": 1}
    assert document["exit_code"] == 1


def test_another_policy_than_the_asked_one_is_no_tick(invoke):
    args = (*ML_DTYPES, "--op", "encode", "--format", "e2m1")
    assert "✓ conforms as" in invoke(*args).stdout
    asked = invoke(*args, "--policy", "ocp")
    assert "✗ conforms as" in asked.stdout
    assert "asked for" in asked.stdout
    assert asked.exit_code == 1


# --- functions ------------------------------------------------------------------------------------

KERNELS = """
    import sys
    import numpy as np
    import mxref

    def good(x):
        print("a kernel may talk")
        q = mxref.quantize(x, "mxfp4")
        return q.codes, q.scales

    def wrong(x):
        q = mxref.quantize(x, "mxfp4", policy="ocp:rounding=toward-zero")
        q.codes[q.codes == 7] = 6
        return q.codes, q.scales

    def raises(x):
        raise KeyError("no such thing")

    def leaves(x):
        sys.exit(0)

    def nothing(x):
        pass

    def values(x):
        q = mxref.quantize(x, "mxfp4")
        return mxref.decode(q.codes, "e2m1"), q.scales

    def writes(x):
        q = mxref.quantize(x, "mxfp4")
        x *= 0
        return q.codes, q.scales

    def decode(codes):
        return mxref.decode(codes, "e2m1")

    def dot(codes_a, scales_a, codes_b, scales_b):
        a, b = (mxref.dequantize(*p, "mxfp4") for p in ((codes_a, scales_a), (codes_b, scales_b)))
        return (a * b).sum(axis=1, dtype=np.float32)

    number = 3
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(textwrap.dedent(KERNELS))
    (tmp_path / "broken.py").write_text("def f(:\n")
    (tmp_path / "leaving.py").write_text("import sys\nsys.exit(3)\n")
    (tmp_path / "lacking.py").write_text("import nosuchpackage\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_function_in_the_current_directory(shell, here):
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    done = shell("conform", "py:mine:good", "--format", "mxfp4", cwd=here, env=environment)
    assert done.returncode == 0, done.stderr
    assert "a kernel may talk" not in done.stdout
    assert "a kernel may talk" in done.stderr
    done = shell("conform", "py:mine:wrong", "--format", "mxfp4", "--json", cwd=here)
    assert done.returncode == 1
    assert json.loads(done.stdout)["exit_code"] == 1
    done = shell("conform", "py:mine:decode", "--format", "e2m1", "--op", "decode", cwd=here)
    assert done.returncode == 0, done.stderr


BAD_TARGETS = {
    "py:mine:raises": "KeyError: 'no such thing' (mine.py, line 17)",
    "py:mine:leaves": "sys.exit(0)",
    "py:mine:nothing": "returned None",
    "py:mine:values": "values instead of codes",
    "py:mine:writes": "wrote into its input",
    "py:mine:number": "not a function",
    "py:mine:godo": "did you mean 'good'",
    "py:nosuchmodule:f": "no module named 'nosuchmodule'",
    "py:broken:f": "SyntaxError",
    "py:leaving:f": "SystemExit: 3",
    "py:lacking:f": "No module named 'nosuchpackage'",
    "py:mine.py:good": "py:mine:good",
    "py:mine": "py:MODULE:FUNCTION",
    "py:": "py:MODULE:FUNCTION",
    "mine.py": "py:mine:FUNCTION",
    "ml_dtyps": "did you mean 'ml_dtypes'",
    "cmd:./program": "no program './program'",
    "so:./lib.so:f": "no library './lib.so'",
    "xy:z": "unknown target",
}


@pytest.mark.parametrize("target", BAD_TARGETS)
def test_bad_targets_are_one_line(shell, here, target):
    done = shell("conform", target, "--format", "mxfp4", cwd=here)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert BAD_TARGETS[target] in done.stderr


@pytest.mark.usefixtures("here")
def test_bad_formats(fails):
    assert "--format" in fails("conform", "py:mine:good")
    assert "'mxfp4'" in fails("conform", "py:mine:good", "--format", "mxpf4")
    assert "mxfp4" in fails("conform", "py:mine:good", "--format", "e2m1")
    assert "'mxfp4'" in fails(*ML_DTYPES, "--format", "mxpf4")
    assert "did you mean 'encode'" in fails(*ML_DTYPES, "--op", "encod")
    assert "no kernel for" in fails(*ML_DTYPES, "--op", "encode", "--format", "int8")
    assert "did you mean 'ocp'" in fails(*ML_DTYPES, "--policy", "opc")


@pytest.mark.usefixtures("here")
def test_wishes_that_no_check_can_meet(fails):
    tensors = ("conform", "py:mine:good", "--format", "mxfp4", "--op", "quantize_tensor")
    assert "packing" in fails(*tensors, "--packing", "nibble")
    assert "did you mean '128x4'" in fails(*tensors, "--scale-layout", "128x5")
    random = ("conform", "py:mine:good", "--format", "mxfp4")
    said = fails(*random, "--policy", "ocp:rounding=stochastic-a")
    assert "mxref.check.encode_stochastic" in said


@pytest.mark.usefixtures("here")
def test_a_bug_of_ours_does_not_read_as_the_target_s(invoke, monkeypatch):
    def broken(*_, **__):
        raise ValueError("operands could not be broadcast together")

    monkeypatch.setattr("mxref.check._drive.Drive.run", broken)
    result = invoke("conform", "py:mine:good", "--format", "mxfp4", "--no-isolate")
    assert result.exit_code == 2
    assert "internal error" in result.stderr
    assert "mine.good" not in result.stderr


@pytest.mark.usefixtures("here")
def test_level_smoke_lists_no_gaps(invoke):
    smoke = ("conform", "py:mine:good", "--format", "mxfp4", "--level", "smoke", "--no-isolate")
    result = invoke(*smoke)
    assert result.exit_code == 0, result.output
    assert "level smoke tries easy values only, level core the rest" in " ".join(
        result.stdout.split()
    )
    assert "smallest input" not in result.stdout
    gaps = json.loads(invoke(*smoke, "--json").stdout)["kernels"][0]["report"]["gaps"]
    assert len(gaps) == 1


@pytest.mark.usefixtures("here")
def test_a_sum_is_compared_with_the_exact_sum(invoke):
    result = invoke("conform", "py:mine:dot", "--format", "mxfp4", "--op", "dot", "--no-isolate")
    assert result.exit_code == 0, result.output
    assert "exact sum\n" in result.stdout
    assert "1 with a sum that the standard leaves open." in result.stdout
