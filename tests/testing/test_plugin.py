"""The pytest plugin, run as another project runs it: pytest in a folder of its own."""

import os
import subprocess
import sys

import pytest

KERNELS = """
import mxref

def right(x):
    q = mxref.quantize(x, "mxfp4")
    return q.codes, q.scales

def ties_up(x):
    q = mxref.quantize(x, "mxfp4", policy="ocp:rounding=nearest-away")
    return q.codes, q.scales

def halves(x):
    codes, scales = right(x)
    codes = codes.copy()
    small = (codes & 7) == 1
    codes[small] &= 8
    return codes, scales

def hangs(x):
    import time
    time.sleep(60)

def raises(x):
    raise OSError("no device <b>\\x1b[31m")
"""


@pytest.fixture
def project(tmp_path):
    (tmp_path / "kernels.py").write_text(KERNELS)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")  # no file of a folder above counts
    return tmp_path


def run(folder, *arguments, plugin="mxref.testing.plugin"):
    """Run pytest in a folder, without the options and plugins of this project."""
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    environment.pop("PYTEST_ADDOPTS", None)
    command = [sys.executable, "-m", "pytest", "-p", plugin, "-rA", "--rootdir", str(folder)]
    return subprocess.run(
        [*command, *arguments],
        check=False,
        cwd=folder,
        env=environment,
        text=True,
        capture_output=True,
    )


def target(folder, function, *arguments):
    return run(
        folder, "--mxref-target", f"py:kernels:{function}", "--mxref-format", "mxfp4", *arguments
    )


def test_a_right_kernel_passes(project):
    found = target(project, "right")
    assert found.returncode == 0, found.stdout
    assert "1 passed" in found.stdout
    assert "mxref::quantize-mxfp4" in found.stdout
    assert "Unknown" not in found.stdout  # the marker is registered
    assert target(project, "right", "--strict-markers", "-W", "error").returncode == 0


def test_a_legal_choice_passes_unless_another_one_is_claimed(project):
    assert target(project, "ties_up").returncode == 0
    claimed = target(project, "ties_up", "--mxref-profile", "ocp")
    assert claimed.returncode == 1
    assert "rounding=nearest-away" in claimed.stdout


def test_a_defect_fails_with_the_report_and_no_traceback(project):
    found = target(project, "halves")
    assert found.returncode == 1
    assert "E7" in found.stdout
    assert "Traceback" not in found.stdout
    assert "plugin.py" not in found.stdout


def expect(project, **fields):
    lines = [f'{name} = "{value}"' for name, value in fields.items()]
    (project / "known.toml").write_text("[[expect]]\n" + "\n".join(lines) + "\n")
    return "--mxref-expect", "known.toml"


TRACKED = {"reason": "flushed on purpose", "url": "https://example.org/7"}


def test_a_known_defect_is_expected(project):
    found = target(project, "halves", *expect(project, id="E7", **TRACKED))
    assert found.returncode == 0, found.stdout
    assert "1 xfailed" in found.stdout


def test_a_defect_that_is_gone_must_leave_the_file(project):
    found = target(project, "right", *expect(project, id="E7", **TRACKED))
    assert found.returncode == 1
    assert "delete the entry" in found.stdout


def test_another_defect_than_the_known_one_fails(project):
    found = target(project, "halves", *expect(project, id="E12", **TRACKED))
    assert found.returncode == 1


def test_an_entry_that_matches_nothing_fails(project):
    entry = expect(project, id="E7", op="quantize", format="mxfp8_e4m3", **TRACKED)
    found = target(project, "right", *entry)
    assert found.returncode == 1
    assert "match no kernel" in found.stdout


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[expect]]\nid = 'E7'\n", "no reason"),
        ("[[expect]]\nid = 'E777'\nreason = 'x'\nurl = 'y'\n", "no fault 'E777'"),
        ("[[expect]]\nid = 'E7'\nreason = 'x'\nurl = 'y'\nfault = 'z'\n", "unknown field 'fault'"),
        ("[[expect]\n", "is no TOML"),
        ("[expect]\nid = 'E7'\n", "expected [[expect]] tables"),
    ],
)
def test_a_wrong_file_is_refused_before_anything_runs(project, text, message):
    (project / "known.toml").write_text(text)
    found = target(project, "right", "--mxref-expect", "known.toml")
    assert found.returncode == 4
    assert message in found.stderr
    assert "Traceback" not in found.stderr


def test_wrong_options_are_errors_of_usage(project):
    for arguments, message in (
        (("--mxref-target", "nothing"), "nothing"),
        (("--mxref-target", "ml_dtypes", "--mxref-format", "mxfp44"), "mxfp44"),
        (("--mxref-profile", "ocpp"), "ocpp"),
        (("--mxref-profile", "ocp:rounding=stochastic-a"), "stochastic"),
        (("--mxref-expect", "missing.toml"), "missing.toml"),
    ):
        found = run(project, *arguments)
        assert found.returncode == 4, found.stdout
        assert message in found.stderr
        assert "Traceback" not in found.stderr


def test_a_kernel_that_raises_fails_with_its_words_escaped(project):
    found = target(project, "raises")
    assert found.returncode == 1
    assert "no device" in found.stdout
    assert "\x1b" not in found.stdout


def test_the_fixture_checks_a_function(project):
    (project / "test_mine.py").write_text(
        "import kernels\n"
        "def test_right(mxref_check):\n"
        "    assert mxref_check(kernels.right, 'mxfp4').ok\n"
        "def test_wrong(mxref_check):\n"
        "    mxref_check(kernels.halves, 'mxfp4')\n"
    )
    (project / "conftest.py").write_text("import sys; sys.path.insert(0, '.')\n")
    found = run(project)
    assert "1 failed, 1 passed" in found.stdout, found.stdout
    assert "E7" in found.stdout
    known = run(project, *expect(project, id="E7", op="quantize", format="mxfp4", **TRACKED))
    # Both functions are kernels for quantize mxfp4: the entry is wrong about the right one.
    assert "1 failed, 1 xfailed" in known.stdout, known.stdout


def test_without_an_option_the_plugin_imports_nothing_of_weight(project):
    (project / "test_mine.py").write_text(
        "import sys\n"
        "def test_nothing_loaded():\n"
        "    assert 'numba' not in sys.modules\n"
        "    assert 'mxref.check' not in sys.modules\n"
    )
    assert run(project).returncode == 0
