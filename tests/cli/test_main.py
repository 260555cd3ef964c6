import os
import signal
import subprocess
import sys
import time
from functools import partial

import pytest

import mxref
from mxref.cli import main as cli_main

COMMANDS = list(cli_main._COMMANDS)


def test_version_and_help(invoke):
    assert invoke("--version").output == f"mxref {mxref.__version__}\n"
    result = invoke("--help")
    assert result.exit_code == 0
    for name in COMMANDS:
        assert f"  {name} " in result.output


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(invoke, name):
    result = invoke(name, "--help")
    assert result.exit_code == 0
    assert result.output.startswith(f"Usage: mxref {name}")


def test_unknown_command_and_option(invoke):
    result = invoke("confrom")
    assert result.exit_code == 2
    assert "did you mean 'conform'" in result.stderr
    assert invoke("show", "e4m3", "--polcy").exit_code == 2


def test_without_a_command_the_help_is_shown(invoke):
    result = invoke()
    assert result.exit_code == 2
    assert "Usage: mxref" in result.stderr


def test_show_starts_without_the_heavy_modules():
    code = (
        "import sys\n"
        "from mxref.cli.main import main\n"
        "try: main(['show', 'e4m3', '0x7e'])\n"
        "except SystemExit: pass\n"
        "print(sorted({'numpy', 'numba', 'rich', 'ml_dtypes'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "448" in done.stdout
    assert done.stdout.endswith("[]\n")


def test_a_closed_pipe_ends_quietly():
    command = f"{sys.executable} -m mxref profiles show ocp | head -n 1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.returncode in (0, 141)  # 0 where everything fitted into the pipe
    read, write = os.pipe()
    os.close(read)
    closed = subprocess.run(
        [sys.executable, "-m", "mxref", "profiles", "show", "ocp"],
        stdout=write,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(write)
    assert closed.stderr == b""
    assert closed.returncode == 141


def test_interrupt_is_130(tmp_path):
    (tmp_path / "slow.py").write_text(
        "import sys, time\n"
        "def quantize(x):\n"
        "    sys.stderr.write('running\\n'); sys.stderr.flush(); time.sleep(60)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "mxref", "conform", "py:slow:quantize", "--format", "mxfp4"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        # A shell that runs the tests in the background has it ignored, and children inherit that.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )
    assert process.stderr.readline() == "running\n"
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    assert stderr == "mxref: interrupted\n"


def test_a_bug_of_ours_does_not_look_like_a_verdict(invoke, monkeypatch):
    monkeypatch.setattr("mxref.cli.doctor._facts", lambda: 1 // 0)
    result = invoke("doctor")
    assert result.exit_code == 2
    assert "internal error" in result.stderr


def test_characters_that_the_terminal_lacks_are_replaced(shell):
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = shell("conform", "ml_dtypes", "--op", "decode", "--format", "e2m1", env=environment)
    assert done.returncode == 0
    assert "conforms" in done.stdout
