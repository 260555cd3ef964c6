"""Programs by hexadecimal lines: right ones conform, and broken ones get no verdict."""

import os
import sys
import textwrap
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mxref.check.kernel import kernel as check_kernel
from mxref.check.target import TargetError, TargetOptions, load_target
from mxref.check.targets._escape import escaped
from mxref.check.targets.hexlines import arrays_of, text_of, values_of

sys.path.insert(0, str(Path(__file__).parent))
from ways_in import PATIENT, QUICK, one, trouble_of, write_program


@pytest.fixture
def script(tmp_path):
    """Write a Python program, and return the command line that starts it."""
    return partial(write_program, tmp_path)


# MXFP4 by hand, so that a program starts in no time.
RIGHT = """
import math, struct, sys

op, fmt, kind = sys.argv[1:]
E2M1 = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)

def number(token):
    if kind == "f16":
        return struct.unpack(">e", bytes.fromhex(token))[0]
    return struct.unpack(">f", bytes.fromhex(token + "0000" * (kind == "bf16")))[0]

def bits(value):
    try:
        return int(struct.pack(">f", value).hex(), 16)
    except OverflowError:
        return 0x7F800000 if value > 0 else 0xFF800000

def encode(x):
    if x != x:
        return 7
    for code in range(7):
        middle = (E2M1[code] + E2M1[code + 1]) / 2
        if abs(x) < middle or (abs(x) == middle and code % 2 == 0):
            break
    else:
        code = 7
    return code | (8 if math.copysign(1, x) < 0 else 0)

def decode(code):
    return math.copysign(E2M1[code & 7], -1 if code & 8 else 1)

def answer(tokens):
    if op == "encode":
        return [encode(number(tokens[0]))]
    if op == "decode":
        return [bits(decode(int(tokens[0], 16)))]
    if op == "dequantize":
        scale, *codes = (int(token, 16) for token in tokens)
        if scale == 255:
            return [0x7FC00000] * len(codes)
        return [bits(math.ldexp(decode(code), scale - 127)) for code in codes]
    block = [number(token) for token in tokens]
    if not all(math.isfinite(x) for x in block):
        return [255] + [0] * len(block)
    amax = max(abs(x) for x in block)
    exponent = min(max(math.frexp(amax)[1] - 3, -127), 127) if amax else -127
    return [exponent + 127] + [encode(math.ldexp(x, -exponent)) for x in block]

lines = [answer(line.split()) for line in sys.stdin]
"""
EXACT = RIGHT + 'print("\\n".join(" ".join(format(t, "02x") for t in line) for line in lines))\n'


@pytest.mark.parametrize(
    ("op", "fmt"),
    [
        ("encode", "e2m1"),
        ("decode", "e2m1"),
        ("quantize", "mxfp4"),
        ("quantize", "mxfp4/16"),
        ("dequantize", "mxfp4"),
    ],
)
def test_a_right_program_conforms(script, op, fmt):
    assert one(f"cmd:{script(EXACT, '-I', '-S')}", fmt, op).verdict == "conforms"


def test_freedoms_of_the_protocol(script):
    source = RIGHT + textwrap.dedent(
        """
        print("# a comment\\n\\n// another, as in .hex files")
        for number, line in enumerate(lines):
            form = ["{:x}", "{:08X}", "  {:02X}\\t"][number % 3]
            print(" ".join(form.format(token) for token in line), end="\\r\\n")
        print("x" * 10_000_000, file=sys.stderr)
        """
    )
    assert one(f"cmd:{script(source, '-I', '-S')}", "e2m1", "encode").verdict == "conforms"


@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
def test_the_type_of_the_numbers(script, kind):
    options = TargetOptions(PATIENT, input_type=kind)
    name = f"cmd:{script(EXACT, '-I', '-S')}"
    with load_target(name, "e2m1", "encode", options) as target:
        fn = target.kernels[0].fn
        report = check_kernel(fn, "e2m1", "encode", input_dtype=kind, timeout=None)
    assert report.verdict == "conforms"


def test_places_for_operation_format_and_type(script):
    command = script("import sys\nfor line in sys.stdin: pass\nsys.exit(repr(sys.argv[1:]))\n")
    report = one(f"cmd:{command} +op={{op}} +format={{format}}.{{type}}", "e2m1", "encode")
    assert "['+op=encode', '+format=e2m1.f32']" in trouble_of(report).text


# What a program does with `encode e2m1`, with the kind of trouble and what has to be said.
BROKEN = {
    "exit code": ("sys.exit(3)", "crashed", "ended with exit code 3"),
    "says why": ("sys.exit('no device')", "crashed", "'no device'"),
    "killed": ("import os; os.kill(os.getpid(), 9)", "crashed", "SIGKILL"),
    "segmentation fault": ("import ctypes; ctypes.string_at(0)", "crashed", "SIGSEGV"),
    "crash at the end": ("answer(); sys.exit(1)", "crashed", "exit code 1"),
    "no hexadecimal": ("answer('zz')", "garbage", "'zz', which is no hexadecimal number"),
    "unknown bits": ("answer('0x')", "garbage", "bits that a simulator does not know"),
    "sign": ("answer('-1')", "garbage", "no hexadecimal number"),
    "underscore": ("answer('0_1')", "garbage", "no hexadecimal number"),
    "too wide": ("answer('0100')", "garbage", "more than 8 bits"),
    "two on a line": ("answer('00 00')", "garbage", "has 2 numbers, expected 1"),
    "one line": ("print('00')", "garbage", "answered 1 of"),
    "twice": ("answer('00\\n00')", "garbage", "more than the"),
    "never reads": ("pass", "garbage", "answered 0 of"),
    "closes its input": ("sys.stdin.close()", "garbage", "answered 0 of"),
    "closes its output": ("import os; os.close(1)", "garbage", "answered 0 of"),
    "binary": (
        "sys.stdout.buffer.write(bytes(range(256)) * 99)",
        "garbage",
        "\\x00\\x01\\x02",
    ),
    "no text": ("sys.stdout.buffer.write(b'\\xff\\xfe')", "garbage", "\\xff\\xfe"),
    "escape sequences": ("print('\\x1b[2J\\x1b]0;gone\\x07')", "garbage", "\\x1b[2J\\x1b]0;gone"),
    "escapes in errors": ("sys.exit('\\x1b[2Jgone\\u202e')", "crashed", "\\x1b[2Jgone\\u202e"),
    "not claimed": ("print('? only e4m3')", "not-claimed", "only e4m3"),
    "refuses": ("print('! out of \\x1b order')", "raised", "out of \\x1b order"),
    "wide code": ("answer('1f')", "mis-wired", "a code of e2m1 is 0 to 15"),
    "no end": (
        "data = b'00\\n' * 100000\nwhile True: sys.stdout.buffer.write(data)",
        "garbage",
        "printed more than",
    ),
    "one long line": ("print('0' * 9_000_000)", "garbage", "'000"),
}
PRELUDE = """\
import sys

def answer(text="00"):
    for line in sys.stdin:
        print(text)
    sys.stdout.flush()

"""


@pytest.mark.parametrize("name", BROKEN)
def test_broken_programs_are_trouble(script, name):
    source, kind, said = BROKEN[name]
    command = script(PRELUDE + source, "-I", "-S")
    trouble = trouble_of(one(f"cmd:{command}", "e2m1", "encode"))
    assert (trouble.kind, said in trouble.text) == (kind, True), trouble.text
    assert len(trouble.text) < 700


HANGING = {
    "at once": "import time; time.sleep(600)",
    "after the answer": "answer(); import time; time.sleep(600)",
    "without output": "import os, time; os.close(1); os.close(2); time.sleep(600)",
    "deaf": "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(600)",
}


@pytest.mark.parametrize("name", HANGING)
def test_hanging_programs_are_stopped(script, name):
    command = script(PRELUDE + HANGING[name], "-I", "-S")
    start = time.monotonic()
    trouble = trouble_of(one(f"cmd:{command}", "e2m1", "encode", timeout=QUICK))
    assert trouble.kind == "timed-out"
    assert "did not finish within 1 s" in trouble.text
    assert time.monotonic() - start < 30


@pytest.mark.parametrize("then", ["sys.exit(0)", "time.sleep(600)"])
def test_children_of_a_program_end_with_it(script, tmp_path, then):
    """A child holds the pipe open: that must neither hang us nor outlive the call."""
    note = tmp_path / "child"
    source = f"""
        import subprocess, sys, time
        child = subprocess.Popen(["sleep", "600"])
        open({str(note)!r}, "w").write(str(child.pid))
        {then}
        """
    report = one(f"cmd:{script(source)}", "e2m1", "encode", timeout=3.0)
    assert trouble_of(report).kind == ("timed-out" if "sleep" in then else "garbage")
    child = int(note.read_text())
    for _ in range(100):
        if not is_alive(child):
            return
        time.sleep(0.05)
    pytest.fail("the child of the program is still running")


def is_alive(pid):
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text().split()[2]
    except (ProcessLookupError, FileNotFoundError):
        return False
    return state != "Z"  # nobody may have collected it yet


def test_wrong_programs_are_no_trouble(script):
    """What is well formed is judged."""
    zeros = one(f"cmd:{script(PRELUDE + 'answer()', '-I', '-S')}", "e2m1", "encode")
    assert zeros.verdict in ("defect", "unexplained")
    nan_scales = "answer('ff' + ' 00' * 32)"
    report = one(f"cmd:{script(PRELUDE + nan_scales, '-I', '-S')}", "mxfp4")
    assert report.verdict in ("defect", "unexplained")


def test_a_program_may_refuse_specials(script):
    source = RIGHT.replace(
        "    if x != x:\n        return 7\n",
        "    if x != x:\n        print('! no NaN, please')\n        sys.exit(1)\n",
    )
    assert source != RIGHT
    source += EXACT.removeprefix(RIGHT)
    report = one(f"cmd:{script(source, '-I', '-S')}", "e2m1", "encode")
    assert report.verdict == "conforms-as"
    assert report.policy.nan_element.value == "raise"


CLAIMS = {
    "print('quantize mxfp4 f32 bf16')\nprint('# and')\nprint('decode float8_e4m3fn')": [
        ("quantize", "mxfp4"),
        ("decode", "e4m3"),
    ],
    "print('encode e2m1 bf16')": "claims nothing for numbers of type f32",
    "print('hello')": "'hello' is no claim",
    "print('encode e2m9')": "did you mean",
    "sys.exit(1)": "say which with --format",
    "": "claims nothing",
}


@pytest.mark.parametrize("source", CLAIMS)
def test_claims_of_a_program(script, source):
    command = script("import sys\nassert sys.argv[1] == 'claims'\n" + source, "-I", "-S")
    if isinstance(CLAIMS[source], str):
        with pytest.raises(TargetError, match=CLAIMS[source]):
            load_target(f"cmd:{command}")
        return
    target = load_target(f"cmd:{command}")
    assert [(k.op, k.format) for k in target.kernels] == CLAIMS[source]
    assert [k.op for k in load_target(f"cmd:{command}", op="decode").kernels] == ["decode"]
    with pytest.raises(TargetError, match="not claimed") as caught:
        load_target(f"cmd:{command}", op="encode")
    assert caught.value.kind == "not-claimed"


BAD_NAMES = {
    "cmd:": "expected a program",
    "cmd:'": "No closing quotation",
    "cmd+json:./nosuch": "no program",
    "so:": "so:LIBRARY:SYMBOL",
    "so:./nosuch.so:f": "no library './nosuch.so'",
    "so:nosuch:f": "cannot be loaded",
    "xy:z\x1b": "unknown target",
}


@pytest.mark.parametrize("name", BAD_NAMES)
def test_bad_names(name):
    with pytest.raises(TargetError) as caught:
        load_target(name, "mxfp4")
    assert BAD_NAMES[name] in str(caught.value)
    assert str(caught.value).isprintable()


def test_programs_that_are_none():
    assert "no program './nosuch'" in trouble_of(one("cmd:./nosuch", "mxfp4")).text
    assert "may not be run" in trouble_of(one("cmd:/", "mxfp4")).text


def test_what_programs_cannot_be_asked_for():
    with pytest.raises(TargetError, match="wrap it in a Python function") as caught:
        load_target("cmd:./prog", "mxfp4", "dot")
    assert caught.value.kind == "not-claimed"
    with pytest.raises(TargetError, match="is for Python functions"):
        load_target("cmd:./prog", "mxfp4", options=TargetOptions(arrays="torch"))
    with pytest.raises(TargetError, match="did you mean 'bfloat16'"):
        load_target("cmd:./prog", "mxfp4", options=TargetOptions(input_type="bfloat"))


# --- hexadecimal text ---------------------------------------------------------------------------

WORDS = st.lists(st.tuples(st.integers(0, 255), st.integers(0, 2**32 - 1)), max_size=20)


@given(WORDS, st.randoms(use_true_random=False))
def test_text_and_back(words, random):
    small = np.array([w for w, _ in words], np.uint8).reshape(-1, 1)
    wide = np.array([w for _, w in words], np.uint32).reshape(-1, 1)
    text = text_of([small, wide])
    fields = [(1, 8), (1, 32)]
    loose = b"".join(
        random.choice([line, line.upper(), b"  " + line.replace(b" ", b"\t00"), b"# no\n" + line])
        for line in text.splitlines(keepends=True)
    )
    for each in (text, loose):
        found = arrays_of(each, len(words), fields)
        assert np.array_equal(found[0], small)
        assert np.array_equal(found[1], wide)


def shapes_or_trouble(text, count):
    try:
        return [array.shape for array in arrays_of(text, count, [(1, 8), (2, 16)])]
    except TargetError as error:
        return str(error)


@given(st.binary(max_size=60), st.integers(0, 3))
def test_any_bytes_are_an_answer_or_trouble(text, count):
    found = shapes_or_trouble(text, count)
    assert found == [(count, 1), (count, 2)] or found.isprintable()


def test_what_only_looks_regular():
    """Text of the length that full tokens have, in which they are not."""
    assert arrays_of(b"    3f80\n", 1, [(1, 32)])[0].tolist() == [[0x3F80]]
    for text in (b"7f,01,02\n", b"7f 01 02 ", b"7f 01\n02\n"):
        with pytest.raises(TargetError):
            arrays_of(text + text, 2, [(1, 8), (2, 8)])


@pytest.mark.parametrize("text", ["12 4", "12g4", "123", "", "\uff11234"])
def test_numbers_in_a_row_are_checked(text):
    with pytest.raises(TargetError) as caught:
        values_of(text, 2, 8, "it")
    assert caught.value.kind == "garbage"


@given(st.text() | st.binary(), st.integers(10, 400))
def test_escaped_text_is_printable_and_short(text, limit):
    assert escaped(text, limit).isprintable()
    assert len(escaped(text, limit)) <= limit
