import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "docs" / "examples"
VECTORS = ROOT / "spec_vectors"


@pytest.fixture(scope="session")
def need():
    """Skip without a tool; in CI, which installs it, that is an error."""

    def check(*tools):
        missing = [tool for tool in tools if shutil.which(tool) is None]
        if not missing:
            return
        reason = f"not on this machine: {', '.join(missing)}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)

    return check


@pytest.fixture(scope="session")
def make():
    """Run a target of an example's Makefile; the products go to a directory of the test."""

    def run(example, target, build, **variables):
        given = {"BUILD": build, "VECTORS": VECTORS, **variables}
        command = ["make", "-s", "-C", EXAMPLES / example, target]
        command += [f"{name}={value}" for name, value in given.items()]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    return run


@pytest.fixture
def edited(tmp_path):
    """A copy of one operation's files and the manifest, in which one file says something else."""

    def edit(path, old, new):
        root = tmp_path / "edited"
        target = root / path
        shutil.copytree(VECTORS / target.parent.name, target.parent)
        shutil.copy(VECTORS / "manifest.json", root)
        text = target.read_text("ascii")
        assert text.count(old) == 1, "the edit must hit one place"
        target.write_text(text.replace(old, new), "ascii")
        return root

    return edit
