"""examples/c-target and the snippets of docs/protocols.md: they run as their pages say."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.examples
ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "c-target"
PAGE = ROOT / "docs" / "protocols.md"
VERILOG = ROOT / "docs" / "examples" / "verilog-mxfp4"


def commands(page):
    return re.findall(r"^    (cc .*|mxref .*)$", page.read_text("utf-8"), re.MULTILINE)


@pytest.fixture
def shell(tmp_path):
    """Run a command line of a page beside copies of the example's files."""
    for file in EXAMPLE.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "mxref").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m mxref "$@"\n')
    (tools / "mxref").chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
    }

    def run(command):
        return subprocess.run(
            command,
            shell=True,
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    run.folder = tmp_path
    return run


def test_every_command_of_the_page(shell, need):
    need("cc", "python3")
    said = commands(EXAMPLE / "README.md")
    assert len(said) == 7
    planted = False
    for command in said:
        if command.startswith("cc"):
            planted = "PLANTED_BUG" in command
            command = command.replace("cc ", "cc -std=c99 -Wall -Wextra -Wpedantic -Werror ")  # noqa: PLW2901
        done = shell(command)
        is_wrong = planted and command.startswith("mxref conform cmd:")
        assert done.returncode == int(is_wrong), done.stdout + done.stderr
        if is_wrong:
            assert "Defect E7 in quantize mxfp4" in done.stdout
            planted = False


def test_the_session(shell, need):
    need("cc")
    assert shell("cc -O2 -o mxfp4 mxfp4.c").returncode == 0
    session = re.search(r"### A session\n\n(.*?)\n\n\S", PAGE.read_text("utf-8"), re.DOTALL)[1]
    steps = re.findall(r"^    \$ (.*)\n((?:    [^$].*\n)*)", session + "\n", re.MULTILINE)
    assert len(steps) == 4
    for command, expected in steps:
        done = shell(command)
        assert done.returncode == 0, done.stderr
        if expected:
            assert done.stdout == re.sub("^    ", "", expected, flags=re.MULTILINE)


def test_a_damaged_input_is_no_answer(shell, need):
    need("cc")
    assert shell("cc -O2 -o mxfp4 mxfp4.c").returncode == 0
    assert shell("echo 3f800000 | ./mxfp4 quantize mxfp4 f32").returncode != 0


def test_the_bench(shell, need):
    need("iverilog", "vvp")
    source = re.search(r"```verilog\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)[1]
    (shell.folder / "live.v").write_text(source)
    for file in VERILOG.glob("*_*.v"):
        (shell.folder / file.name).write_bytes(file.read_bytes())
    said = r"^    (iverilog .*|mxref .*vvp.*)$"
    build, check = re.findall(said, PAGE.read_text("utf-8"), re.MULTILINE)
    assert shell(build).returncode == 0
    done = shell(check)
    assert done.returncode == 0, done.stdout + done.stderr
    broken = shell(build.replace("-g2012", "-g2012 -DPLANTED_BUG_STICKY"))
    assert broken.returncode == 0
    done = shell(check)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Defect E" in done.stdout


def test_the_page_has_the_signatures():
    from mxref.check.targets.shared_object import SIGNATURES

    page = PAGE.read_text("utf-8")
    for op, parameters in SIGNATURES.items():
        assert f"int {op}({parameters});" in page
