"""Runs the code on the pages of docs/, and writes what commands print below them.

A page is written by hand, except for its sessions: in a block of ``console``, each line after ``$``
is run, and the lines behind it are replaced by what it printed. Blocks of ``python`` are run as
well, the whole page as one session in one folder: a command may read the file that Python wrote
above it. How long something took is left out. `blocks` says which blocks are files, and which are
run only in some places.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from blocks import blocks, replaced

ROOT = Path(__file__).resolve().parents[1]
WORKER = Path(__file__).with_name("python_session.py")
LINKED = ("examples", "docs", "spec_vectors")  # folders of ours that a page's folder has as well
UNFIT = (str(ROOT), "Traceback (most recent call last)", "site-packages", "command not found")
LIMIT = 300  # seconds that a command may take
TIME = re.compile(
    r" in \d+\.\d+s( \(\d+:\d+:\d+\))?| in [\d.]+ s \([\d.]+ [kMG]?B/s\)"
    r"|^[\d.]+ s, \S+ [kMG]?B/s of the source\n",  # a whole line, where it took a second or more
    re.MULTILINE,
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
    found = next((text for text in (*UNFIT, str(folder)) if text in done.stdout), None)
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


class Python:
    """The process in which the Python of one page runs; it starts with the first block."""

    def __init__(self, folder):
        self.folder = folder
        self.process = None

    def run(self, block):
        """What went wrong in a block, or nothing."""
        if self.process is None:
            self.process = subprocess.Popen(
                [sys.executable, str(WORKER)],
                cwd=self.folder,
                env=environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        asked = {"code": block.body, "line": block.first, "doctest": block.is_doctest}
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        return json.loads(answer)["failed"] if answer else "the interpreter was ended"

    def close(self):
        if self.process is not None:
            self.process.stdin.close()
            self.process.wait(LIMIT)
            self.process.stdout.close()


def here(block, groups):
    """Whether a block is run in this place."""
    needs = block.said.get("needs")
    return (
        "not run" not in block.said
        and ("runs" not in block.said or block.said["runs"] in groups)
        and (needs is None or importlib.util.find_spec(needs) is not None)
    )


def lived(text, groups=()):
    """A page with the outputs of now, and what went wrong in its Python.

    Parameters
    ----------
    text : str
    groups : collection of str
        The blocks marked ``runs: GROUP`` that are run; others of them stay as they are.

    Returns
    -------
    (str, list of str)
    """
    bodies, failures = {}, []
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made).resolve()
        for name in LINKED:
            (folder / name).symlink_to(ROOT / name)
        (folder / "pytest.ini").write_text("[pytest]\n")  # no file of a folder above counts
        python = Python(folder)
        try:
            for block in blocks(text):
                if block.file:
                    (folder / block.file).parent.mkdir(parents=True, exist_ok=True)
                    (folder / block.file).write_text(block.body, encoding="utf-8")
                elif not here(block, groups):
                    continue
                elif block.kind == "console":
                    bodies[block.first] = session(block.body, folder)
                elif block.kind == "python":
                    failed = python.run(block)
                    if failed:
                        failures.append(f"block at line {block.first}:\n{failed}")
        finally:
            python.close()
    return replaced(text, bodies), failures


def page_of(text, groups=()):
    """A page with the outputs of now; Python that fails is left to the tests."""
    return lived(text, groups)[0]


def has_sessions(text):
    """Whether a page shows what commands print."""
    return any(block.kind == "console" for block in blocks(text))
