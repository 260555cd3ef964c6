"""``--report FORMAT:FILE`` on every command that judges; what cannot be is refused at once."""

import io
import json
import os
from xml.etree import ElementTree as ET

import numpy as np
import pytest

import mxref
from mxref.check import render
from mxref.check.parts import Mismatches, MismatchMap, Place, Trouble, Verdict
from mxref.check.report import Report
from mxref.cli._reports import FORMATS

E4M3 = ("conform", "ml_dtypes", "--op", "encode", "--format", "e2m1")
E8M0 = ("conform", "ml_dtypes", "--op", "encode", "--format", "e8m0")


def _quantize(paths, *args):
    names = [f"--{name}={paths[name[0]]}" for name in ("codes", "scales")]
    return ("check", "quantize", f"--input={paths['x']}", *names, "--format=mxfp4", *args)


def _opens(path, form):
    text = path.read_text("utf-8")
    if form == "jsonl":
        assert [json.loads(line)["event"] for line in text.splitlines()][::2] == [
            "header",
            "footer",
        ]
    elif form == "json":
        assert json.loads(text)["header"]["schema"] == 1
    elif form == "junit":
        assert len(ET.fromstring(text.encode()).findall("testsuite/testcase")) == 1
    else:
        start = {"html": "<!doctype html>", "md": "## ✅", "txt": "CONFORMS"}[form]
        assert text.startswith(start)


def test_the_command_line_knows_every_form():
    assert set(FORMATS) == set(render.FORMATS)


def test_every_form_beside_the_usual_output(invoke, tmp_path):
    specs = [f"--report={form}:{tmp_path}/new/{form}.out" for form in FORMATS]
    result = invoke(*E4M3, *specs)
    assert result.exit_code == 0, result.output
    assert "Verdict: conforms." in result.stdout
    for form in FORMATS:
        _opens(tmp_path / "new" / f"{form}.out", form)
    assert {path.name for path in (tmp_path / "new").iterdir()} == {f"{f}.out" for f in FORMATS}


@pytest.mark.parametrize("form", FORMATS)
def test_checks_of_files(invoke, block_files, tmp_path, form):
    report = tmp_path / "report"
    result = invoke(*_quantize(block_files, f"--report={form}:{report}"))
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("CONFORMS")
    _opens(report, form)


def test_all_four_checks_write_reports(invoke, block_files, tmp_path):
    codes, values = np.arange(16, dtype=np.uint8), tmp_path / "v.npy"
    x = np.load(block_files["x"])
    np.save(values, mxref.quantize(x, "mxfp4").dequantize())
    np.save(tmp_path / "c.npy", codes)
    lone = tmp_path / "lone.npy"
    np.save(lone, mxref.decode(codes, "e2m1"))
    x, c, s = (block_files[name] for name in "xcs")
    small = tmp_path / "c.npy"
    np.save(small, codes)
    np.save(c := tmp_path / "cc.npy", mxref.quantize(np.load(x), "mxfp4").codes)
    for op, files in {
        "dequantize": (f"--codes={c}", f"--scales={s}", f"--output={values}", "--format=mxfp4"),
        "encode": (f"--input={lone}", f"--codes={small}", "--format=e2m1"),
        "decode": (f"--codes={small}", f"--output={lone}", "--format=e2m1"),
    }.items():
        result = invoke("check", op, *files, "--report=jsonl:-")
        assert result.exit_code == 0, result.output
        header, line, footer = map(json.loads, result.stdout.splitlines())
        assert (line["op"], footer["ok"]) == (op, True)
        assert header["target"]["name"].endswith(".npy")


def test_a_report_never_replaces_an_input(fails, block_files):
    before = block_files["c"].read_bytes()
    line = fails(*_quantize(block_files, f"--report=md:{block_files['c']}"))
    assert "is an input" in line
    assert block_files["c"].read_bytes() == before


def test_a_link_stays_a_link(invoke, block_files, tmp_path):
    (tmp_path / "link").symlink_to("real.md")
    assert invoke(*_quantize(block_files, f"--report=md:{tmp_path}/link")).exit_code == 0
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real.md").read_text("utf-8").startswith("## ✅")


def test_a_report_to_standard_output_is_all_there_is(invoke, block_files):
    for args in (E4M3, _quantize(block_files)):
        result = invoke(*args, "--report=json:-")
        assert result.exit_code == 0
        document = json.loads(result.stdout)
        assert document["checks"][0]["ok"] is True
        assert document["footer"]["seconds"] > 0
        assert document["header"]["started"].endswith("+00:00")


def test_failures_reach_reports_and_exit_codes(invoke, tmp_path):
    place = tmp_path / "r.xml"
    assert invoke(*E8M0, f"--report=junit:{place}").exit_code == 1
    case = ET.fromstring(place.read_bytes()).find("testsuite/testcase")
    assert case.find("failure").get("type") == "defect"
    assert float(case.get("time")) > 0
    result = invoke(*E8M0, "--expect=S17", f"--report=junit:{place}", "--report=jsonl:-")
    assert result.exit_code == 0
    case = ET.fromstring(place.read_bytes()).find("testsuite/testcase")
    assert "S17" in case.find("skipped").get("message")
    assert json.loads(result.stdout.splitlines()[0])["expected_defects"] == ["S17"]


def test_a_target_that_could_not_run_is_reported(shell, tmp_path):
    (tmp_path / "mine.py").write_text("def f(x):\n    raise ValueError('<b>\\x1b[31m')\n")
    args = ("conform", "py:mine:f", "--format", "mxfp4", "--report=html:r.html")
    done = shell(*args, "--report=junit:r.xml", cwd=tmp_path)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    page = (tmp_path / "r.html").read_text("utf-8")
    assert "<b>\x1b" not in page
    assert "&lt;b&gt;" in page
    assert ET.parse(tmp_path / "r.xml").find("testsuite/testcase/error") is not None


def test_an_existing_report_is_replaced_at_once(invoke, tmp_path):
    place = tmp_path / "r.md"
    place.write_text("old")
    assert invoke(*E4M3, f"--report=md:{place}").exit_code == 0
    assert place.read_text("utf-8").startswith("## ✅")
    assert list(tmp_path.iterdir()) == [place]
    assert place.stat().st_mode & 0o777 == 0o644


@pytest.fixture
def no_work(monkeypatch):
    def judged(*_args, **_kwargs):
        raise AssertionError("the work began before the options were refused")

    monkeypatch.setattr("mxref.cli.conform._run", judged)
    monkeypatch.setattr("mxref.cli.check.load_numbers", judged)


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize("command", [E4M3, ("check", "encode", "--input=x", "--codes=c")])
def test_what_cannot_be_written_is_refused_before_the_work(fails, tmp_path, command):
    if command[0] == "check":
        command = (*command, "--format=e4m3")
    (tmp_path / "file").write_text("")
    assert "expected FORMAT:FILE" in fails(*command, "--report=r.html")
    assert "expected FORMAT:FILE" in fails(*command, "--report=html:")
    assert "did you mean 'html'" in fails(*command, "--report=htm:r")
    assert "is a folder" in fails(*command, f"--report=html:{tmp_path}")
    assert "cannot write" in fails(*command, f"--report=html:{tmp_path}/file/r.html")
    assert "cannot write" in fails(*command, "--report=html:a\0b")
    (tmp_path / "link").symlink_to("r")
    both = (f"--report=md:{tmp_path}/r", f"--report=txt:{tmp_path}/link")
    assert "two reports" in fails(*command, *both)
    assert "no ordinary file" in fails(*command, "--report=md:/dev/null")
    assert "two reports" in fails(*command, "--report=md:-", "--report=txt:-")
    assert "--json" in fails(*command, "--report=md:-", "--json")
    assert "--json" in fails(*command, "--json", "--report=md:-")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "link"]


@pytest.mark.usefixtures("no_work")
@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_rights_is_refused_before_the_work(fails, tmp_path):
    tmp_path.chmod(0o500)
    assert "cannot write" in fails(*E4M3, f"--report=md:{tmp_path}/r.md")


def test_a_place_that_vanishes_ends_in_one_line(fails, tmp_path, monkeypatch):
    from mxref.cli import conform

    run, folder = conform._run, tmp_path / "gone"

    def vandal(*args, **kwargs):
        folder.write_text("a file where the folder would be")
        return run(*args, **kwargs)

    monkeypatch.setattr(conform, "_run", vandal)
    assert "cannot write" in fails(*E4M3, f"--report=md:{folder}/r.md")


# --- what a person sees of targets that cannot, or need not, be judged --------------------------


def _outcome(*reports):
    from mxref.check.target import Kernel, Target
    from mxref.cli._conform_data import Outcome, Row

    rows = [Row(Kernel(r.op, r.format, lambda: None), r) for r in reports]
    rows.append(Row(Kernel("decode", "e2m1", lambda: None), None, "gone \x1b[2J"))
    return Outcome(
        Target("py:x", "x \x1b[31m", tuple(row.kernel for row in rows)), tuple(rows), None
    )


def _shown(outcome, **how):
    from rich.console import Console

    from mxref.cli._conform_view import print_outcome

    out = Console(file=io.StringIO(), highlight=False, markup=False, **how)
    print_outcome(out, outcome)
    return out.file.getvalue()


def _troubled(op, kind, text):
    none = Mismatches(0, 0, 0, 0)
    trouble = Trouble(kind, text)
    return Report(op, "e4m3", Verdict.NOT_TESTABLE, None, None, (), none, trouble=trouble)


def test_trouble_is_told_apart_and_escaped():
    crashed = _troubled("encode", "crashed", "signal 11 \x1b[2J")
    unclaimed = _troubled("decode", "not-claimed", "not offered")
    outcome = _outcome(crashed, unclaimed)
    shown = _shown(outcome, width=80)
    assert "crashed: signal 11 \\x1b[2J" in shown
    assert "- not claimed" in shown
    assert "1 not testable, 1 not claimed, 1 not run" in shown
    assert "\x1b" not in shown
    assert "\x1b" not in json.dumps(outcome.to_dict(), ensure_ascii=False)
    assert "\x1b[2J" not in _shown(outcome, width=80, force_terminal=True)
    assert outcome.exit_code() == 2


def test_the_terminal_shows_where_unexplained_mismatches_lie():
    picture = MismatchMap((1, 32), ((1.0,) + (0.0,) * 31,), (1, 1), (1,) + (0,) * 31)
    place = Place("Only lane 0.", "a race", "run it twice")
    wrong = Mismatches(0, 1, 1, 32, None, picture)
    report = Report(
        "quantize", "mxfp4", Verdict.UNEXPLAINED, None, None, (), wrong, places=(place,)
    )
    shown = _shown(_outcome(report), width=80)
    for text in ("Only lane 0.", "try next: run it twice", "    #" + "." * 31):
        assert text in shown
