import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import mxref
from mxref.cli.main import main

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def invoke():
    """Run a command line in this process."""

    def run(*args):
        return CliRunner().invoke(main, [str(a) for a in args])

    return run


@pytest.fixture
def fails(invoke):
    """Run a command line that must fail with exit code 2 and one line; return that line."""

    def run(*args):
        result = invoke(*args)
        assert result.exit_code == 2, result.output
        assert result.stdout == ""
        assert result.stderr.count("\n") == 1, result.stderr
        assert "Traceback" not in result.stderr
        return result.stderr

    return run


@pytest.fixture
def shell():
    """Run `python -m mxref` in a process of its own."""

    def run(*args, **kwargs):
        return subprocess.run(
            [sys.executable, "-m", "mxref", *map(str, args)],
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
            **{"cwd": ROOT, **kwargs},
        )

    return run


@pytest.fixture
def block_files(tmp_path):
    """Files x.npy, c.npy and s.npy: an array with its codes and scale codes in MXFP4."""
    x = np.random.default_rng(3).standard_normal((4, 64)).astype(np.float32)
    q = mxref.quantize(x, "mxfp4")
    paths = {name: tmp_path / f"{name}.npy" for name in "xcs"}
    for name, array in (("x", x), ("c", q.codes), ("s", q.scales)):
        np.save(paths[name], array)
    return paths
