"""A harness by JSON lines: mxref conform "cmd+json:python3 harness.py".

It decodes MXFP4 with nothing but Python's own library.
"""

import json
import math
import struct
import sys

E2M1 = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)


def say(**event):
    print(json.dumps(event), flush=True)


def value(code):
    return -E2M1[code & 7] if code & 8 else E2M1[code]


def float32(number):
    """Eight hexadecimal digits."""
    try:
        return struct.pack(">f", number).hex()
    except OverflowError:
        return "7f800000" if number > 0 else "ff800000"


def decode(inputs, _):
    return "".join(float32(value(code)) for code in bytes.fromhex(inputs["codes"]))


def dequantize(inputs, size):
    codes = bytes.fromhex(inputs["codes"])
    digits = []
    for i, scale in enumerate(bytes.fromhex(inputs["scales"])):
        for code in codes[i * size : (i + 1) * size]:
            product = math.ldexp(value(code), scale - 127)
            digits.append("7fc00000" if scale == 0xFF else float32(product))
    return "".join(digits)


RUN = {("decode", "e2m1"): decode, ("dequantize", "mxfp4"): dequantize}

say(event="start", name="mxfp4 by hand", version="1.0", protocol=1)
say(event="claims", claims=[{"op": op, "format": fmt} for op, fmt in RUN])
for line in sys.stdin:
    event = json.loads(line)
    if event["event"] == "stop":
        break
    run = RUN.get((event["op"], event["format"]))
    if run is None:
        say(event="skipped", id=event["id"], reason="only MXFP4 in blocks of 32")
        continue
    try:
        outputs = {"values": run(event["inputs"], event.get("block_size"))}
    except ValueError as error:
        say(event="errored", id=event["id"], message=str(error))
    else:
        say(event="result", id=event["id"], outputs=outputs)
