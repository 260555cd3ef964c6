"""What the tests of targets share: programs written on the spot, reports as conform has them."""

import shlex
import sys
import textwrap

from mxref.check.kernel import kernel as check_kernel
from mxref.check.target import TargetOptions, load_target

PATIENT = 120.0  # other tests may have the machine to themselves
QUICK = 1.0


def write_program(folder, source, *flags):
    """Write a Python program, and return the command line that starts it."""
    path = folder / "program.py"
    path.write_text(textwrap.dedent(source))
    return shlex.join([sys.executable, *flags, str(path)])


def judged(name, fmt, op=None, **options):
    """The reports of all kernels of a target, as `mxref conform` gets them."""
    given = TargetOptions(**{"timeout": PATIENT, **options})
    with load_target(name, fmt, op, given) as target:
        return [
            check_kernel(k.fn, k.format, k.op, policy=k.policy, timeout=None)
            for k in target.kernels
        ]


def one(*args, **options):
    (report,) = judged(*args, **options)
    return report


def trouble_of(report):
    assert not report.ok
    assert report.verdict == "not-testable"
    assert report.trouble.text.isprintable()
    return report.trouble


HARNESS = """
    import json, os, sys, time
    import numpy as np
    import mxref

    def say(**event):
        print(json.dumps(event), flush=True)

    def read(text, kind):
        return np.frombuffer(bytes.fromhex(text), kind)

    def run(event):
        fmt, given, k = event["format"], event["inputs"], event.get("block_size", 1)
        if event["op"] == "quantize":
            x = read(given["x"], ">f4").astype("f4").reshape(-1, k)
            q = mxref.quantize(x, fmt, block_size=k)
            return {"codes": q.codes.tobytes().hex(), "scales": q.scales.tobytes().hex()}
        if event["op"] == "encode":
            x = read(given["x"], ">f4").astype("f4")
            return {"codes": mxref.encode(x, fmt).tobytes().hex()}
        codes = read(given["codes"], "u1")
        if event["op"] == "decode":
            values = mxref.decode(codes, fmt)
        else:
            scales = read(given["scales"], "u1").reshape(-1, 1)
            values = mxref.dequantize(codes.reshape(-1, k), scales, fmt)
        return {"values": values.astype(">f4").tobytes().hex()}

    def behave(event):
        say(event="result", id=event["id"], outputs=run(event))

    claims = ["quantize mxfp4", "dequantize mxfp4", "encode e4m3", "decode e5m2"]
    claims = [dict(zip(("op", "format"), claim.split())) for claim in claims]
    version = 1
    # CHANGES
    say(event="start", name="lab \\x1b", version="0.1", protocol=version)
    say(event="log", text="warming up")
    say(event="claims", claims=claims)
    for line in sys.stdin:
        event = json.loads(line)
        if event["event"] == "stop":
            break
        behave(event)
    """


def harness(folder, changes=""):
    """A target by JSON lines that is right, but for some changes."""
    changes = textwrap.indent(textwrap.dedent(changes), "    ").lstrip()
    return "cmd+json:" + write_program(folder, HARNESS.replace("# CHANGES", changes))
