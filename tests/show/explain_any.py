"""Explanations against the kernels, under random policies of each family, from a seed.

Run as a script in a process of its own with NUMBA_DISABLE_JIT set: no policy compiles kernels then.
It prints the first difference, and nothing where there is none.
"""

import json
import random
import re
import sys
from dataclasses import fields
from fractions import Fraction

import any_policy
import numpy as np
from strategies import DTYPES

import mxref
from mxref import bdr, nvfp4
from mxref.exact.number import NumberClass
from mxref.formats import BLOCK_FORMATS, block_format
from mxref.show import explain

ANSI = re.compile(r"\x1b\[[0-9;]*m")
REAL = (NumberClass.ZERO, NumberClass.FINITE)


def numbers(rng, source, shape):
    """Numbers of neighbouring exponents, with ties, zeros, subnormals and now and then a NaN."""
    near = rng.choice([rng.randint(0, (1 << DTYPES[source][2]) - 2), 0, 1, 127, 127])
    count = int(np.prod(shape))
    patterns = [any_policy.draw_pattern(rng, source, near) for _ in range(count)]
    return np.array(patterns, DTYPES[source][1]).view(DTYPES[source][0]).reshape(shape)


def problems_of_text(view):
    text = str(view)
    if long := [line for line in text.splitlines() if len(line) > 80]:
        return f"longer than 80: {long[0]}"
    if ANSI.sub("", view.to_ansi()) != text:
        return "colours change the text"
    json.dumps(view.to_dict(), allow_nan=False)
    return None


def problems_of_steps(one):
    """The steps must lead from the scaled number to the code by themselves."""
    data = {step.name: step.data for step in one.steps if step.data}
    if "align" not in data:
        return None
    align, rounding = data["align"], data["round"]
    unit = Fraction(align["unit"])
    low = (align["kept"] + Fraction(2 * align["guard"] + align["round"], 4)) * unit
    size = one.scaled.magnitude
    inside = low < size < low + unit / 4 if align["sticky"] else size == low
    narrowed = any(step.name == "narrow" for step in one.steps)
    if not inside and not narrowed:
        return f"guard, round and sticky do not give {size}: {align}"
    tail = size / unit - align["kept"]
    if not narrowed and rounding["tie"] != (tail == Fraction(1, 2)):
        return f"tie is {rounding['tie']}, and {tail} of a step is left"
    if ("tie" in one.flags) != rounding["tie"] and not narrowed:
        return f"flags {one.flags} and a tie {rounding['tie']}"
    up = Fraction(rounding["value"]) != 0 and rounding["up"]
    if abs(Fraction(rounding["value"])) != (align["kept"] + up) * unit:
        return f"{rounding['value']} is neither neighbour of {align}"
    return None


def same(view, q, values, at):
    """What the explanation says, against codes, scales and values of the kernels."""
    one, place = view.element, view.place.block
    scale = q.scales[place] if q.scales.ndim else q.scales[()]
    bits = int(scale) if scale.dtype == np.uint8 else int(scale.view(np.uint32))
    told = (one.code, view.scale_code, one.float32)
    due = (int(q.codes[at]), bits, int(values[at].view(np.uint32)))
    if told != due:
        return f"explained {told}, kernels {due}"
    if one.error is not None and one.error.absolute != one.value.value - one.given.number.value:
        return "the error is not value - number"
    if (one.error is None) == (one.given.number.cls in REAL and one.value.cls in REAL):
        return "an error where there is none, or none where there is one"
    found = next(filter(None, map(problems_of_steps, view.block.elements)), None)
    found = found or problems_of_text(view) or problems_of_text(view.block)
    held = explain(q, at=at)
    if (held.code, held.scale_code, held.float32, held.value) != (*told, one.value):
        return f"stored {held}"
    return found or problems_of_text(held)


def places(rng, shape, count=2):
    return [tuple(rng.randrange(n) for n in shape) for _ in range(count)]


def mx(rng):
    source = rng.choice(list(DTYPES))
    fmt = block_format(rng.choice(list(BLOCK_FORMATS)), rng.choice([3, 8]))
    policy = any_policy.draw_policy(rng)
    policy = policy.replace(
        decode_nan=rng.choice(any_policy.CHOICES["decode_nan"]),
        decode_subnormal=rng.choice(any_policy.CHOICES["decode_subnormal"]),
        decode_overflow=rng.choice(any_policy.CHOICES["decode_overflow"]),
    )
    shape = rng.choice([(2, 24), (24, 2), (2, 24, 2)])
    axis = shape.index(24)
    given = {}
    x = numbers(rng, source, shape)
    bits = int(policy.stochastic_bits)
    if policy.rounding.startswith("stochastic"):
        given["random"] = np.random.default_rng(rng.randrange(99)).integers(
            0, 1 << bits, shape, np.uint32
        )
    if policy.scale_rule == "stochastic":
        scales = tuple(24 // fmt.block_size if n == 24 else n for n in shape)
        given["scale_random"] = np.full(scales, rng.getrandbits(bits), np.uint32)
    q = mxref.quantize(x, fmt, axis, policy, **given)
    values = q.dequantize()
    for at in places(rng, shape):
        yield (
            (fmt.name, source, policy.name, x.tolist(), at),
            same(explain(x, fmt, policy, at=at, axis=axis, **given), q, values, at),
        )


def of_nvfp4(rng):
    source = rng.choice(list(DTYPES))
    kinds = {f.name: list(type(f.default)) for f in fields(nvfp4.NVFP4Policy)}
    names = rng.sample(list(kinds), rng.randint(0, 8))
    changes = {n: str(rng.choice(kinds[n])) for n in names} | {"float64": "round"}
    base = nvfp4.get_policy(rng.choice(list(nvfp4.POLICIES)))
    policy = base.replace(**changes)
    shape = rng.choice([(2, 32), (32, 16), (2, 16, 32)])
    axis = rng.choice([-1, len(shape) - 1])
    pad = policy.geometry == "2d"
    x = numbers(rng, source, shape)
    given = {"pad": pad}
    if policy.rounding == "stochastic":
        given["random"] = rng.choice([7, 8])
    if rng.random() < 0.3:
        given["global_amax"] = 3.0
    elif rng.random() < 0.3 and policy.levels == "two-level":
        given["global_scale"] = 0.001
    q = mxref.quantize(x, "nvfp4", axis, policy, **given)
    values = q.dequantize()
    for at in places(rng, shape):
        yield (
            (source, policy.name, given, x.tolist(), at),
            same(explain(x, "nvfp4", policy, at=at, axis=axis, **given), q, values, at),
        )


def of_bdr(rng):
    source = rng.choice(list(DTYPES))
    kinds = {f.name: list(type(f.default)) for f in fields(bdr.BDRPolicy)}
    names = rng.sample(list(kinds), rng.randint(0, 6))
    policy = bdr.BDRPolicy().replace(**{n: str(rng.choice(kinds[n])) for n in names})
    name = rng.choice(list(bdr.FORMATS))
    fmt = bdr.bdr_format(name)
    if fmt.k1 is not None and fmt.k1 > 16:
        fmt = fmt.with_k1(16)
    shape = rng.choice([(2, 32), (32, 2)])
    axis = shape.index(32)
    x = numbers(rng, source, shape)
    given = {}
    if policy.rounding.startswith("stochastic"):
        top = 1 << int(policy.stochastic_bits)
        given["random"] = np.random.default_rng(rng.randrange(99)).integers(
            0, top, shape, np.uint32
        )
    q = mxref.quantize(x, fmt, axis, policy, **given)
    values = q.dequantize()
    for at in places(rng, shape):
        yield (
            (fmt.name, source, policy.name, x.tolist(), at),
            same(explain(x, fmt, policy, at=at, axis=axis, **given), q, values, at),
        )


FAMILIES = {"mx": mx, "nvfp4": of_nvfp4, "bdr": of_bdr}


def main(family, seed, rounds):
    rng = random.Random(int(seed))
    for _ in range(int(rounds)):
        for case, found in FAMILIES[family](rng):
            if found:
                return f"{found}\n{case}"
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
