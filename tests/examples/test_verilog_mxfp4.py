"""docs/examples/verilog-mxfp4 under Icarus Verilog and Verilator, by both kinds of files."""

import re
from pathlib import Path

import pytest

from mxref.vectors.export import export_files
from mxref.vectors.generate import build as built
from mxref.vectors.generate import jobs

pytestmark = pytest.mark.examples
EXAMPLE = "verilog-mxfp4"
VECTORS = Path(__file__).resolve().parents[2] / "spec_vectors"


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    return tmp_path_factory.mktemp(EXAMPLE)


def test_icarus_passes_every_case_without_a_warning(need, make, build):
    need("make", "iverilog", "vvp")
    done = make(EXAMPLE, "check", build)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^mxfp4: \d+ cases, 0 failed", done.stdout)
    assert (done.stdout.splitlines()[-1], done.stderr) == ("PASSED", "")


def test_icarus_catches_both_planted_bugs(need, make, build):
    need("make", "iverilog", "vvp")
    done = make(EXAMPLE, "planted", build)
    assert done.returncode == 0, done.stdout + done.stderr
    scale, sticky = (int(n) for n in re.findall(r"cases, (\d+) failed", done.stdout))
    assert scale > 0
    assert sticky > 0
    assert done.stdout.count("FATAL") == 2
    assert re.search(r"^[0-9a-f]{12}: fails with scale ", done.stdout)


def test_verilator_lints_and_passes(need, make, build):
    need("make", "verilator", "c++")
    done = make(EXAMPLE, "verilator", build)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "%Warning" not in done.stdout + done.stderr
    assert re.search(r"^mxfp4: \d+ cases, 0 failed.*\nPASSED$", done.stdout, re.MULTILINE)


def test_a_wrong_expectation_fails(need, make, build, edited):
    need("make", "iverilog", "vvp")
    path = "quantize/mxfp4.ocp.hex"
    lines = (VECTORS / path).read_text("ascii").splitlines()
    line = next(ln for ln in lines if re.match(r"[0-9a-f]{12} 0 1 f32 ", ln))
    wrong = f"{line[:-2]}{int(line[-2:], 16) ^ 1:02x}"
    done = make(EXAMPLE, "check", build / "wrong", VECTORS=edited(path, line, wrong))
    assert done.returncode != 0
    assert f"{line[:12]}: fails" in done.stdout
    assert " 1 failed" in done.stdout


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    job = next(
        j
        for j in jobs()
        if j.operation == "quantize" and j.format.name == "mxfp4" and j.policy.name == "ocp"
    )
    folder = tmp_path_factory.mktemp("exported")
    for name, data in export_files(built(job), to="sv").items():
        (folder / name).write_bytes(data)
    return folder


def test_the_exported_package_gives_the_same_verdict(need, make, build, exported):
    need("make", "iverilog", "vvp")
    done = make(EXAMPLE, "export", build, EXPORT=exported)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^mxfp4: \d{3} of \d{3} cases, 0 failed\nPASSED", done.stdout)


def test_the_exported_package_catches_a_planted_bug(need, make, build, exported):
    need("make", "iverilog", "vvp")
    done = make(EXAMPLE, "export", build, EXPORT=exported, BUG="-DPLANTED_BUG_STICKY")
    assert done.returncode != 0
    assert re.search(r"^[0-9a-f]{12}: fails with scale ", done.stdout)
