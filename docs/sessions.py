"""Runs the commands on the pages of docs/ and writes what they print below them.

A page is written by hand, except for its sessions: in a block of ``console``, each line after ``$``
is run, and the lines behind it are replaced by what it printed. A block below a comment
``<!-- file: NAME -->`` is a file; the commands find it in their folder. Commands that this machine
cannot run stand in blocks of ``sh``. How long something took is left out.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
UNFIT = (str(ROOT), "Traceback (most recent call last)", "site-packages", "command not found")
LIMIT = 300  # seconds that a command may take
TIME = re.compile(r" in \d+\.\d+s( \(\d+:\d+:\d+\))?| in [\d.]+ s \([\d.]+ [kMG]?B/s\)")
BLOCK = re.compile(
    r"(?:<!-- file: (?P<name>\S+) -->\n)?^```(?P<kind>\w+)\n(?P<body>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


def environment():
    """Our mxref first, 80 columns, no colour, and no plugin of pytest's but ours."""
    return {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": os.environ.get("HOME", "/"),
        "COLUMNS": "80",
        "LC_ALL": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTEST_PLUGINS": "mxref.testing.plugin",
    }


def commands(body):
    """The commands of a session: a line after ``$``, and those that a backslash joins to it."""
    lines = iter(body.splitlines())
    for line in lines:
        if line.startswith("$ "):
            command = [line[2:]]
            while command[-1].endswith("\\"):
                command.append(next(lines))
            yield "\n".join(command)


def run(command, code, folder):
    """What a command prints, with its exit code; ``$?`` is that of the command before."""
    done = subprocess.run(
        ["bash", "-c", f"(exit {code}); {command}"],
        cwd=folder,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    found = next((text for text in UNFIT if text in done.stdout), None)
    if found:
        sys.exit(f"{command}\nprinted {found!r}, which does not belong on a page:\n{done.stdout}")
    lines = TIME.sub("", done.stdout).rstrip().splitlines()
    return "".join(f"{line.rstrip()}\n" for line in lines), done.returncode


def session(body, folder):
    """A session with the outputs of now."""
    parts, code = [], 0
    for command in commands(body):
        printed, code = run(command, code, folder)
        parts.append(f"$ {command}\n{printed}")
    return "".join(parts)


def page_of(text):
    """A page with the outputs of now."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        (folder / "examples").symlink_to(ROOT / "examples")
        (folder / "pytest.ini").write_text("[pytest]\n")  # no file of a folder above counts

        def renewed(block):
            if block["name"]:
                (folder / block["name"]).write_text(block["body"], encoding="utf-8")
            if block["kind"] != "console":
                return block[0]
            return f"```console\n{session(block['body'], folder)}```"

        return BLOCK.sub(renewed, text)


def sessions_page(path):
    """A page of docs/ with the outputs of now."""
    return page_of(path.read_text(encoding="utf-8"))
