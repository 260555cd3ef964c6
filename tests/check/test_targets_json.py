"""Harnesses by JSON lines, and what the command line makes of them."""

import json
import sys
import textwrap
from pathlib import Path

import pytest

from mxref.check.kernel import kernel as check_kernel
from mxref.check.target import TargetError, TargetOptions, load_target

sys.path.insert(0, str(Path(__file__).parent))
from ways_in import PATIENT, QUICK, harness, judged, one, trouble_of, write_program


def test_a_right_harness_conforms(tmp_path):
    name = harness(tmp_path)
    reports = judged(name, None)
    assert [(r.op, r.format, str(r.verdict)) for r in reports] == [
        ("quantize", "mxfp4", "conforms"),
        ("dequantize", "mxfp4", "conforms"),
        ("encode", "e4m3", "conforms"),
        ("decode", "e5m2", "conforms"),
    ]
    with load_target(name, op="decode") as target:
        assert target.title == "lab \\x1b 0.1"
        assert len(target.kernels) == 1


def test_a_claimed_policy_is_what_is_judged(tmp_path):
    changes = 'claims = [{"op": "encode", "format": "e4m3", "policy": "ocp:rounding=up"}]'
    report = one(harness(tmp_path, changes), None)
    assert str(report.asked) == "ocp:rounding=up"
    assert not report.ok


INPUTS_ONLY = 'claims = [{"op": "encode", "format": "e4m3"}]\n'
MISBEHAVIOURS = {
    "skips": ("say(event='skipped', id=event['id'], reason='no \\x1b board')", "not-claimed"),
    "skips, no reason": ("say(event='skipped', id=event['id'])", "not-claimed"),
    "errs": ("say(event='errored', id=event['id'], message='board\\n lost')", "raised"),
    "leaves": ("sys.exit(0)", "crashed"),
    "raises": ("raise KeyError('x')", "crashed"),
    "dies": ("os.kill(os.getpid(), 11)", "crashed"),
    "prints": ("print('hello', flush=True)", "garbage"),
    "prints binary": ("os.write(1, bytes(range(256)))", "garbage"),
    "nests": ("print('[' * 200000, flush=True)", "garbage"),
    "a list": ("print('[]', flush=True)", "garbage"),
    "no event": ("print('{}', flush=True)", "garbage"),
    "strange event": ("say(event='\\x1b')", "garbage"),
    "event of its own": ("say(event={})", "garbage"),
    "another id": ("say(event='result', id=event['id'] + 1, outputs=run(event))", "garbage"),
    "no outputs": ("say(event='result', id=event['id'])", "garbage"),
    "no codes": ("say(event='result', id=event['id'], outputs={})", "garbage"),
    "a number": ("say(event='result', id=event['id'], outputs={'codes': 1})", "garbage"),
    "too short": (
        "say(event='result', id=event['id'], outputs={'codes': run(event)['codes'][2:]})",
        "garbage",
    ),
    "no hexadecimal": (
        "say(event='result', id=event['id'], outputs={'codes': 'xx' + run(event)['codes'][2:]})",
        "garbage",
    ),
    "no end of line": ("print('0' * 90_000_000, end='', flush=True)", "garbage"),
}


@pytest.mark.parametrize("name", MISBEHAVIOURS)
def test_misbehaving_harnesses_are_trouble(tmp_path, name):
    source, kind = MISBEHAVIOURS[name]
    changes = INPUTS_ONLY + f"def behave(event):\n    {source}\n"
    trouble = trouble_of(one(harness(tmp_path, changes), None))
    assert trouble.kind == kind, trouble.text


SLOW = {
    "silent": "def behave(event):\n    time.sleep(600)\n",
    "talks": "def behave(event):\n    while True:\n        say(event='log')\n",
}


@pytest.mark.parametrize("name", SLOW)
def test_slow_harnesses_are_stopped(tmp_path, name):
    changes = INPUTS_ONLY + SLOW[name]
    options = TargetOptions(PATIENT)
    with load_target(harness(tmp_path, changes), None, None, options) as target:
        object.__setattr__(options, "timeout", QUICK)  # starting may take longer
        report = check_kernel(target.kernels[0].fn, "e4m3", "encode", timeout=None)
    assert trouble_of(report).kind == "timed-out"


def test_a_harness_is_started_again(tmp_path):
    """What one operation does to it must not touch the next one."""
    changes = """
        def behave(event):
            if event["op"] == "quantize":
                os._exit(4)
            say(event="result", id=event["id"], outputs=run(event))
        """
    reports = judged(harness(tmp_path, changes), None)
    assert [r.trouble.kind if r.trouble else str(r.verdict) for r in reports] == [
        "crashed",
        "conforms",
        "conforms",
        "conforms",
    ]


BAD_STARTS = {
    "version = 2": "speaks protocol 2, mxref speaks 1",
    "sys.exit()": "ended with exit code 0",
    "print('hello')": "'hello', which is no event",
    "say(event='claims', claims=claims)": "sent the event 'claims', expected start",
    "say(event='start', protocol=1)": "has no name",
    "claims = 3": "claims are no list",
    "claims = [3]": "a claim of the target is wrong",
    "claims = [{'op': 'encod', 'format': 'e4m3'}]": "did you mean 'encode'",
    "claims = [{'op': 'encode', 'format': 'e4m4'}]": "did you mean 'e4m3'",
    "claims = [{'op': 'encode', 'format': 'e4m3', 'policy': 'opc'}]": "did you mean 'ocp'",
    "claims = [{'op': 'encode', 'format': 'e4m3', 'policy': 3}]": "a claim of the target is wrong",
    "claims = []": "not claimed",
    "claims = [{'op': 'encode', 'format': 'e4m3', 'types': ['float16']}]": "not claimed",
    "claims = [{'op': 'dot', 'format': 'mxfp4'}]": "not claimed",
}


@pytest.mark.parametrize("changes", BAD_STARTS)
def test_bad_introductions(tmp_path, changes):
    with pytest.raises(TargetError) as caught:
        load_target(harness(tmp_path, changes))
    assert BAD_STARTS[changes] in str(caught.value)


@pytest.fixture
def invoke():
    from click.testing import CliRunner

    from mxref.cli.main import main

    return lambda *args: CliRunner().invoke(main, ["conform", *args])


def test_the_command_reports_a_broken_program_in_one_line(tmp_path, invoke):
    command = write_program(tmp_path, "import sys; sys.exit('\\x1b[2Jno')", "-I", "-S")
    result = invoke(f"cmd:{command}", "--format", "e2m1", "--op", "encode")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.count("\n") == 1
    assert "\x1b" not in result.stderr
    assert "Traceback" not in result.stderr
    result = invoke(f"cmd:{command}", "--format", "e2m1", "--op", "encode", "--json")
    assert result.exit_code == 2
    document = json.loads(result.stdout)
    assert document["exit_code"] == 2


def test_what_is_skipped_counts_neither_way(tmp_path, invoke):
    changes = """
        def behave(event):
            if event["op"] in SKIPPED:
                say(event="skipped", id=event["id"], reason="no board")
            else:
                say(event="result", id=event["id"], outputs=run(event))
        """
    some = harness(tmp_path, "SKIPPED = ['quantize', 'encode']\n" + textwrap.dedent(changes))
    result = invoke(some, "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    kinds = [(k["report"].get("trouble") or {}).get("kind") for k in document["kernels"]]
    assert kinds == ["not-claimed", None, "not-claimed", None]
    every = ("quantize", "dequantize", "encode", "decode")
    nothing = harness(tmp_path, f"SKIPPED = {every}\n" + textwrap.dedent(changes))
    assert invoke(nothing).exit_code == 2


def test_claims_are_listed(tmp_path, invoke):
    name = harness(tmp_path, 'claims[0]["policy"] = "te-mxfp8"')
    result = invoke(name, "--list-claims")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[:2] == ["quantize mxfp4 te-mxfp8", "dequantize mxfp4"]
    listed = json.loads(invoke(name, "--list-claims", "--json").stdout)
    assert listed["claims"][3] == {"op": "decode", "format": "e5m2", "policy": None}
