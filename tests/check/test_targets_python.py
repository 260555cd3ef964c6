"""Python functions in a process of their own: whatever they do, mxref goes on."""

import os
import signal
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

from mxref.check.target import TargetError, TargetOptions, load_target
from mxref.check.targets import isolated

sys.path.insert(0, str(Path(__file__).parent))
from ways_in import PATIENT, QUICK, one, trouble_of

FUNCTIONS = """
    import ctypes, os, signal, sys, time
    import ml_dtypes
    import numpy as np
    import mxref
    import torchlike

    def good(x):
        print("\\x1b[2J a function may talk")
        q = mxref.quantize(x, "mxfp4")
        return q.codes, q.scales

    def stored(x):
        q = mxref.quantize(x, "mxfp4")
        pairs = q.codes.reshape(-1, 2)
        return pairs[:, 0] | pairs[:, 1] << np.uint8(4), q.scales

    def as_object(x):
        return mxref.quantize(x, "mxfp4")

    def typed(x):
        codes, scales = good(x)
        return codes.view(ml_dtypes.float4_e2m1fn), scales.view(ml_dtypes.float8_e8m0fnu)

    def wrongly_typed(x):
        codes, scales = good(x)
        return codes.view(ml_dtypes.float8_e5m2), scales

    def segfault(x):
        ctypes.string_at(0)

    def leaves(x):
        sys.exit(5)

    def leaves_at_once(x):
        os._exit(0)

    def killed(x):
        os.kill(os.getpid(), signal.SIGKILL)

    def hangs(x):
        time.sleep(600)

    def raises(x):
        raise ValueError("no \\x1b[2J device")

    class Strange(BaseException):
        pass

    def strange(x):
        raise Strange("what")

    def unspeakable(x):
        class Mute(Exception):
            def __str__(self):
                raise RuntimeError
        raise Mute

    def interrupts(x):
        raise KeyboardInterrupt

    def writes(x):
        x[0, 0] = 1
        return good(x)

    def nothing(x):
        pass

    def objects(x):
        return object(), object()

    def text(x):
        return "codes", "scales"

    def fork(x):
        if os.fork() == 0:
            time.sleep(600)
        os._exit(7)

    def random(x):
        codes, scales = good(x)
        codes[:, 3] = np.random.default_rng().integers(0, 16, len(codes))
        return codes, scales

    def closes(x):
        os.closerange(0, 50)
        return good(x)

    def deep(x):
        return deep(x)
    """


@pytest.fixture
def here(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(textwrap.dedent(FUNCTIONS).replace("import torchlike\n", ""))
    # A module of the user's must not replace one that mxref's own worker needs.
    (tmp_path / "json.py").write_text("raise ImportError('not this one')\n")
    (tmp_path / "slow.py").write_text("import time\ntime.sleep(600)\n")
    (tmp_path / "fatal.py").write_text("import os\nos._exit(9)\n")
    (tmp_path / "shouts.py").write_text("raise ValueError('\\x1b[2J' * 1000)\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    return tmp_path


@pytest.mark.parametrize("function", ["good", "as_object", "typed"])
@pytest.mark.usefixtures("here")
def test_a_right_function_conforms(function):
    assert one(f"py:mine:{function}", "mxfp4").verdict == "conforms"


BAD_FUNCTIONS = {
    "segfault": ("crashed", "was ended by signal SIGSEGV during the call"),
    "leaves": ("crashed", "sys.exit(5)"),
    "leaves_at_once": ("crashed", "ended with exit code 0"),
    "killed": ("crashed", "SIGKILL"),
    "raises": ("raised", "ValueError: no \\x1b[2J device (mine.py, line"),
    "strange": ("raised", "Strange: what"),
    "unspeakable": ("raised", "Mute (mine.py"),
    "interrupts": ("crashed", "during the call"),
    "writes": ("changed-input", "wrote into its input"),
    "nothing": ("mis-wired", "returned None"),
    "objects": ("mis-wired", "Python objects"),
    "text": ("mis-wired", ""),
    "wrongly_typed": ("mis-wired", "dtype float8_e5m2, not e2m1"),
    "fork": ("crashed", "exit code 7"),
    "closes": ("crashed", ""),
    "deep": ("raised", "RecursionError"),
}


@pytest.mark.parametrize("function", BAD_FUNCTIONS)
@pytest.mark.usefixtures("here")
def test_bad_functions_are_trouble(function):
    kind, said = BAD_FUNCTIONS[function]
    trouble = trouble_of(one(f"py:mine:{function}", "mxfp4", timeout=20.0))
    assert (trouble.kind, said in trouble.text) == (kind, True), trouble.text


@pytest.mark.usefixtures("here")
def test_chance_is_no_conformance():
    report = one("py:mine:random", "mxfp4")
    assert not report.ok
    assert report.trouble.kind == "nondeterministic"


@pytest.mark.usefixtures("here")
def test_a_hanging_function_is_stopped():
    start = time.monotonic()
    assert trouble_of(one("py:mine:hangs", "mxfp4", timeout=QUICK)).kind == "timed-out"
    assert time.monotonic() - start < 60


@pytest.mark.parametrize(
    ("module", "kind", "said"),
    [
        ("slow", "timed-out", "while it was loaded"),
        ("fatal", "crashed", "exit code 9"),
        ("shouts", "raised", "\\x1b[2J"),
    ],
)
@pytest.mark.usefixtures("here")
def test_modules_that_cannot_be_imported(module, kind, said, monkeypatch):
    monkeypatch.setattr(isolated, "_START_SECONDS", 2.0)
    with pytest.raises(TargetError) as caught:
        load_target(f"py:{module}:f", "mxfp4", options=TargetOptions(QUICK))
    assert caught.value.kind == kind
    assert said in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.usefixtures("here")
def test_a_worker_is_started_again_and_ends():
    with load_target("py:mine:killed", "mxfp4", options=TargetOptions(PATIENT)) as target:
        fn = target.kernels[0].fn
        for _ in range(2):
            with pytest.raises(TargetError, match="SIGKILL"):
                fn(np.zeros((1, 32), np.float32))
        running = load_target("py:mine:good", "mxfp4", options=TargetOptions(PATIENT))
        worker = running.kernels[0].fn.__self__
        process = worker._running._process
        assert process.poll() is None
        running.close()
        assert process.poll() == -signal.SIGKILL
        running.close()  # twice is no error


@pytest.mark.usefixtures("here")
def test_in_this_process_on_request():
    (kernel,) = load_target(
        "py:os:getpid", "mxfp4", options=TargetOptions(PATIENT, isolate=False)
    ).kernels
    assert kernel.fn() == os.getpid()


@pytest.fixture
def invoke():
    from click.testing import CliRunner

    from mxref.cli.main import main

    return lambda *args: CliRunner().invoke(main, ["conform", *args])


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--level", "cor"), "did you mean 'core'"),
        (("--input-dtype", "bfloat"), "did you mean 'bfloat16'"),
        (("--timeout", "0"), "--timeout"),
        (("--arrays", "trch"), "did you mean 'torch'"),
        (("--arrays", "numpy:cuda"), "no device"),
        (("--axis", "1"), "--op quantize_tensor"),
    ],
)
@pytest.mark.usefixtures("here")
def test_bad_options(invoke, args, said):
    result = invoke("py:mine:good", "--format", "mxfp4", *args)
    assert result.exit_code == 2
    assert said in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.usefixtures("here")
def test_options_reach_the_check(invoke):
    result = invoke("py:mine:good", "--format", "mxfp4", "--level", "smoke", "--no-isolate")
    assert result.exit_code == 0, result.output
    assert "\x1b" not in result.stdout
    args = ("--op", "quantize_tensor", "--packing", "nibbles-low-first")
    result = invoke("py:mine:stored", "--format", "mxfp4", *args)
    assert result.exit_code == 0, result.output
    assert invoke("py:mine:stored", "--format", "mxfp4", *args[:2]).exit_code == 2
    assert invoke("ml_dtypes", "--arrays", "torch").exit_code == 2
