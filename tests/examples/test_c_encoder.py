"""docs/examples/c-encoder: the encoder passes, planted bugs and damaged files do not."""

import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.examples
EXAMPLE = "c-encoder"
ROOT = Path(__file__).resolve().parents[2]
VECTORS = ROOT / "spec_vectors"


@pytest.fixture(scope="module")
def build(need, make, tmp_path_factory):
    need("make", "cc")
    folder = tmp_path_factory.mktemp(EXAMPLE)
    done = make(EXAMPLE, "check", folder)
    assert done.returncode == 0, done.stdout + done.stderr
    (folder / "output").write_text(done.stdout, "ascii")
    return folder


def case_count(root, path):
    return int(re.search(r"^// (\d+) cases", (root / path).read_text("ascii"), re.MULTILINE)[1])


def test_every_case_passes(build):
    output = (build / "output").read_text("ascii")
    for fmt in ("e2m1", "e4m3"):
        count = case_count(VECTORS, f"encode/{fmt}.ocp.hex")
        assert re.search(rf"^{fmt}: {count} cases, 0 failed", output, re.MULTILINE)


def test_ties_away_is_caught_by_the_id_of_a_tie(build, make):
    done = make(EXAMPLE, "planted", build)
    assert done.returncode == 0, done.stdout + done.stderr
    # 0.25 lies halfway between 0 and 0.5, and 0 is even.
    assert re.search(r"^[0-9a-f]{12}: 3e800000 gives 01, not 00$", done.stdout, re.MULTILINE)
    failed = re.findall(r"^(e2m1|e4m3): \d+ cases, ([1-9]\d*) failed", done.stdout, re.MULTILINE)
    assert [fmt for fmt, _ in failed] == ["e2m1", "e4m3"]


def line_of(root, path, verdict):
    lines = (root / path).read_text("ascii").splitlines(keepends=True)
    return next(ln for ln in lines if re.match(rf"[0-9a-f]{{12}} {verdict} 1 f32 ", ln))


@pytest.fixture
def must_line():
    return line_of(VECTORS, "encode/e2m1.ocp.hex", 0)


def test_a_wrong_expectation_fails_with_its_id(build, make, edited, must_line):
    wrong = must_line[:-3] + f"{int(must_line[-3:], 16) ^ 1:02x}\n"
    done = make(EXAMPLE, "check", build, VECTORS=edited("encode/e2m1.ocp.hex", must_line, wrong))
    assert done.returncode != 0
    assert f"{must_line[:12]}: " in done.stdout
    assert "1 failed" in done.stdout


def test_an_open_case_never_fails(build, make, edited, must_line):
    code = f"{int(must_line[-3:], 16) ^ 1:02x}\n"
    opened = must_line[:13] + "2" + must_line[14:-3] + code
    done = make(EXAMPLE, "check", build, VECTORS=edited("encode/e2m1.ocp.hex", must_line, opened))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 open" in done.stdout


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda _: "", "truncated"),
        (lambda line: line.replace(" f32 ", " f64 "), "unknown input type"),
        (lambda line: line[:-1] + " 00\n", "does not end where its fields do"),
    ],
    ids=["line missing", "other type", "field too many"],
)
def test_a_damaged_file_is_no_pass(build, make, edited, must_line, change, reason):
    root = edited("encode/e2m1.ocp.hex", must_line, change(must_line))
    done = make(EXAMPLE, "check", build, VECTORS=root)
    assert done.returncode != 0
    assert reason in done.stderr


def test_the_runner_is_short():
    runner = ROOT / "docs" / "examples" / EXAMPLE / "runner.c"
    assert len(runner.read_text("ascii").splitlines()) <= 60
