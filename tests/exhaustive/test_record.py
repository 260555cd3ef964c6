"""The page that `make exhaustive` writes, and that it writes none where something failed."""

import importlib.util
import json
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SWEEP = {
    "seconds": 8.0,
    "sweeps": [{"format": "e4m3"}, {"format": "e4m3"}, {"format": "e8m0"}, {"format": "e8m0"}],
}


@pytest.fixture
def run(tmp_path, monkeypatch):
    spec = importlib.util.spec_from_file_location("exhaustive_run", HERE / "run.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "PAGE", tmp_path / "exhaustive.md")
    return module


def commands(monkeypatch, run, *, tests, sweep):
    """Let the two commands end with these codes."""
    found = {
        "pytest": (tests, ["...\n", "90 passed in 3.00s\n"]),
        "sweep": (sweep, [json.dumps(SWEEP)]),
    }

    class Fake:
        def __init__(self, command, **_):
            self.returncode, self.stdout = found["pytest" if "pytest" in command else "sweep"]

        def __enter__(self):
            return self

        def __exit__(self, *_):
            return None

    monkeypatch.setattr(run.subprocess, "Popen", Fake)
    monkeypatch.setattr(run, "commit", lambda: "0123456789ab")


def test_the_page_says_what_ran(run, monkeypatch, capsys):
    commands(monkeypatch, run, tests=0, sweep=0)
    run.main()
    text = run.PAGE.read_text(encoding="utf-8")
    assert "| policies | 4 (e4m3 2, e8m0 2) |" in text
    assert "| seconds | 8, 2.0 for each policy |" in text
    assert "| further tests | 90 passed, in 0 s |" in text
    assert "17,179,869,184" in text
    for name in ("numba", "llvmlite", "Python", "processor", "date", "commit"):
        assert f"| {name} | " in text
    assert capsys.readouterr().out == text + "\n"


@pytest.mark.parametrize(("tests", "sweep", "code"), [(1, 0, 1), (0, 1, 1), (0, 2, 2), (5, 0, 5)])
def test_no_page_unless_everything_passed(run, monkeypatch, tests, sweep, code):
    commands(monkeypatch, run, tests=tests, sweep=sweep)
    with pytest.raises(SystemExit) as end:
        run.main()
    assert end.value.code == code
    assert not run.PAGE.exists()
