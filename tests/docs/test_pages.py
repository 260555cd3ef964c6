"""The pages that list what the code knows, or show what commands print, are up to date."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Each says of itself that it is written so; a new one needs no entry here.
WRITTEN = sorted(p.name for p in (ROOT / "docs").glob("*.md") if "`make docs`" in p.read_text())


def generate(*arguments):
    return subprocess.run(
        [sys.executable, "docs/generate.py", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.parametrize("page", WRITTEN)
def test_generated_pages_are_up_to_date(page):
    done = generate("--check", page)
    assert done.returncode == 0, done.stderr


def test_a_page_that_is_not_written_is_refused():
    done = generate("--check", "protocols.md")
    assert done.returncode != 0
    assert "protocols.md" in done.stderr
