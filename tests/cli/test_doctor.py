import ctypes
import ctypes.util
import json
import os
import platform
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

import mxref
from mxref.cli import _doctor_facts as facts
from mxref.cli import _doctor_float as floats
from mxref.cli import _doctor_selftest as selftest

ITEMS = [name for name, _ in selftest._items()]
ON_X86_LINUX = sys.platform.startswith("linux") and platform.machine() == "x86_64"


PATIENT = ("doctor", "--budget", "300")  # other work on this machine is no reason to skip items


def test_the_report_can_be_pasted(invoke):
    result = invoke(*PATIENT)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert all(line.isascii() for line in lines)
    names = [line[:18].strip() for line in lines if line[:1].strip()]
    for name in ("mxref", "python", "numpy", "numba", "processor", "compiled for", "float mode"):
        assert name in names
    assert {"kernels", "threads", "threading layers", "cache", "core vectors"} <= set(names)
    assert names[-len(ITEMS) - 1 :] == [*ITEMS, "verdict"]
    assert lines[-1].endswith("self-test passed")
    assert str(Path.home()) + os.sep not in result.stdout  # the user's name is nobody's business


def test_json_has_the_same(invoke):
    result = invoke(*PATIENT, "--json")
    found = json.loads(result.stdout)
    assert result.exit_code == 0
    assert found["passed"] is True
    assert [item["name"] for item in found["self_test"]] == ITEMS
    assert {item["result"] for item in found["self_test"]} <= {"pass", "skip"}
    assert found["mxref"] == mxref.__version__
    assert found["numpy"] == np.__version__
    assert found["optional"]["pytest"] == pytest.__version__
    assert set(found["optional"]) == set(facts.OPTIONAL)
    assert all(isinstance(found[name], str) for name in ("threads", "cache", "core vectors"))


def test_without_the_self_test(invoke):
    result = invoke("doctor", "--no-self-test")
    assert result.exit_code == 0
    assert "verdict" not in result.stdout
    found = json.loads(invoke("doctor", "--no-self-test", "--json").stdout)
    assert found["self_test"] == []
    assert found["passed"] is None


def test_no_time_skips_and_is_no_failure(invoke):
    result = invoke("doctor", "--budget", "0")
    assert result.exit_code == 0
    assert "nothing was tested" in result.stdout
    assert result.stdout.count("skip: 0 s were over before its turn") == len(ITEMS)


def test_it_takes_less_than_its_budget_where_kernels_are_compiled():
    outcomes = list(selftest.self_test(300.0))  # whatever was missing is compiled now
    assert [outcome.result for outcome in outcomes if outcome.result == "fail"] == []
    begin = time.process_time()  # what other processes take does not count
    again = list(selftest.self_test(300.0))
    assert time.process_time() - begin < 5
    assert sum(outcome.compiled for outcome in again) == 0


# --- what is wrong is found ------------------------------------------------------------------


@pytest.fixture
def only(monkeypatch):
    """Leave these items of the self-test alone in it, and run it."""

    def run(*names):
        items = [(name, item) for name, item in selftest._items() if name in names]
        assert [name for name, _ in items] == list(names)
        with monkeypatch.context() as patch:
            patch.setattr(selftest, "_items", lambda: iter(items))
            return {outcome.name: outcome for outcome in selftest.self_test(300.0)}

    return run


def _flipped(array, bits=1):
    wrong = np.array(array)
    wrong.reshape(-1).view(np.uint8)[-1] ^= bits
    return wrong


@contextmanager
def _quantized_wrongly(monkeypatch, part, name):
    right = mxref.quantize

    def wrong(x, format, *rest, **options):  # noqa: A002
        q = right(x, format, *rest, **options)
        if format == name:
            getattr(q, part).reshape(-1)[-1] ^= 1
        return q

    with monkeypatch.context() as patch:
        patch.setattr(mxref, "quantize", wrong)
        yield


@pytest.mark.parametrize(
    ("function", "failing"),
    [
        ("decode", {"decode", "under FTZ"}),
        ("encode", {"encode", "threads", "under FTZ"}),
        ("dequantize", {"dequantize", "under FTZ"}),
        ("matmul", {"matmul", "under FTZ"}),
    ],
)
def test_one_wrong_bit_is_found(monkeypatch, invoke, function, failing):
    right = getattr(mxref, function)
    monkeypatch.setattr(mxref, function, lambda *args: _flipped(right(*args)))
    result = invoke(*PATIENT, "--json")
    assert result.exit_code == 1
    found = {item["name"]: item for item in json.loads(result.stdout)["self_test"]}
    failed = {name for name, item in found.items() if item["result"] == "fail"}
    assert failed == failing - (set() if ON_X86_LINUX else {"under FTZ"})
    assert "differ from the definition, first at" in found[min(failed)]["detail"]


@pytest.mark.parametrize("part", ["codes", "scales"])
@pytest.mark.parametrize(
    ("name", "item"), [("mxfp6_e2m3", "quantize"), ("nvfp4", "relatives"), ("mx9", "relatives")]
)
def test_one_wrong_bit_of_a_block_is_found(monkeypatch, only, part, name, item):
    with _quantized_wrongly(monkeypatch, part, name):
        found = only(item)[item]
    assert found.result == "fail"
    assert f"{part} of {name}" in found.detail


def test_a_failure_names_the_input_and_both_codes(monkeypatch, invoke):
    right = mxref.encode
    monkeypatch.setattr(mxref, "encode", lambda x, name: right(x, name) ^ (x == 0.125))
    result = invoke(*PATIENT)
    assert result.exit_code == 1
    text = " ".join(result.stdout.split())
    assert "of 0x3e000000: got 0x21, expected 0x20" in text  # 0.125 in E4M3 is 0x20
    assert "self-test failed: encode" in text
    assert "Please report" in text


def test_a_result_that_depends_on_subnormals_is_found(monkeypatch, only):
    """A quantizer that computes with floats, as many do, is right until subnormals are lost."""
    right = mxref.quantize

    def in_floats(x, *rest):
        with np.errstate(invalid="ignore"):  # signalling NaNs
            return right(x * np.float32(1), *rest)

    with floats.flushing() as is_on:
        if not is_on:
            pytest.skip("subnormals cannot be switched off here")
    monkeypatch.setattr(mxref, "quantize", in_floats)
    outcomes = only("quantize", "under FTZ")
    assert outcomes["quantize"].result == "pass"
    assert outcomes["under FTZ"].result == "fail"
    assert "codes of mxfp8_e4m3" in outcomes["under FTZ"].detail


def test_damaged_vectors_are_found(monkeypatch, only, tmp_path):
    import shutil

    from mxref import vectors

    shutil.copytree(vectors.core_directory(), tmp_path / "core")
    path = next((tmp_path / "core" / "encode").glob("*.json"))
    path.write_bytes(path.read_bytes().replace(b"1", b"2", 1))
    monkeypatch.setattr(vectors, "core_directory", lambda: tmp_path / "core")
    found = only("vector files")["vector files"]
    assert found.result == "fail"
    assert path.name in found.detail


# --- a broken installation -------------------------------------------------------------------


def _doctor(*args, code="", **environment):
    program = f"{code}\nfrom mxref.cli.main import main\nmain({['doctor', *args]!r})"
    return subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
        env={**os.environ, **environment},
    )


@pytest.mark.parametrize(
    "code",
    [
        "import sys; sys.modules['numba'] = None",
        "import sys; sys.modules['llvmlite'] = None",
        "import sys; sys.modules['numpy'] = None",
        "import sys, types; sys.modules['numba'] = types.ModuleType('numba')",
    ],
)
def test_packages_that_are_missing_or_broken(code):
    done = _doctor(code=code)
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    text = " ".join(done.stdout.split())
    assert "do not load" in text
    assert "pip install" in text
    assert "self-test failed: kernels" in text
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert json.loads(_doctor("--json", code=code).stdout)["passed"] is False


def test_a_cache_that_cannot_be_written(monkeypatch, tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    monkeypatch.setenv("MXREF_CACHE_DIR", str(file))
    found = facts.facts()
    assert "not writable" in found["cache"]
    assert "MXREF_CACHE_DIR" in found["cache"]
    assert f"MXREF_CACHE_DIR={file}" in found["settings"]


def test_a_cache_that_is_empty_is_said(invoke, monkeypatch, tmp_path):
    monkeypatch.setenv("MXREF_CACHE_DIR", str(tmp_path))
    assert facts.facts()["cached kernels"].startswith("0 ")
    result = invoke("doctor", "--budget", "0")
    assert "compiles them" in result.stderr


def test_the_home_folder_is_not_shown(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert facts._short(tmp_path / "x" / "y") == f"~{os.sep}x{os.sep}y"
    assert facts._short(f"{tmp_path}er/x") == f"{tmp_path}er/x"
    monkeypatch.setenv("HOME", "/")
    assert facts._short("/etc") == "/etc"


# --- the floating-point mode -----------------------------------------------------------------


def test_flushing_is_seen_and_taken_back():
    before = floats.float_mode()
    with floats.flushing() as is_on:
        if not is_on:
            pytest.skip("subnormals cannot be switched off here")
        assert "FTZ" in floats.float_mode()
        least = np.array([1], np.uint32).view(np.float32)
        assert (least + least).view(np.uint32)[0] == 0  # NumPy says so as well
    assert floats.float_mode() == before
    assert (least + least).view(np.uint32)[0] == 2


@pytest.mark.skipif(not ON_X86_LINUX, reason="the numbers of the modes are those of x86")
@pytest.mark.parametrize(
    ("mode", "word"), [(0x400, "downward"), (0x800, "upward"), (0xC00, "toward zero")]
)
def test_another_rounding_is_seen(mode, word):
    library = ctypes.CDLL(ctypes.util.find_library("m"))
    library.fesetround(mode)
    try:
        found = floats.float_mode()
    finally:
        library.fesetround(0)
    assert found == f"{word}, subnormals kept"
    assert floats.float_mode() == "nearest even, subnormals kept"
