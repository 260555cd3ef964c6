"""Every deterministic policy: how fast quantize, dequantize and the scale cast are under each.

The policies are generated from the fields of `Policy` and their enumerations, so that a new choice
is measured without anybody remembering it.
"""

from __future__ import annotations

import dataclasses

import numpy as np

import mxref
from benchmarks._conversions import sample
from benchmarks._page import AIM, GIGA, MUST, mark, table
from benchmarks._timing import paired, thread_counts, threads
from mxref.formats import BLOCK_FORMATS, block_format
from mxref.kernels.composed import draws_elements, draws_scale, is_composed
from mxref.policy import Policy
from mxref.profiles import PROFILES

__all__ = [
    "decoders",
    "everything_at_once",
    "quantizers",
    "representatives",
    "scale_casts",
    "slow_quantizers",
    "variants",
]

BITS_ONLY = ("stochastic", "stochastic_bits")
"""Fields that only say which random bits are used; nothing reads them in the other modes."""

ALSO_UNDER = {"scale_log2": "scale_rule", "fp8_overflow": "rounding"}
"""Fields whose effect depends on another: their choices are taken under each of its choices."""

ONLY_UNDER = {"scale_quotient": {"scale_rule": "rceil"}}
"""Fields that one choice of another field alone reads."""


def _operation(field):
    """Which operation reads a field; fields of matrix products and layouts have one choice yet."""
    prefix = field.partition("_")[0]
    return {"decode": "dequantize", "e8m0": "scale cast"}.get(prefix, "quantize")


def _others(field):
    default = next(f.default for f in dataclasses.fields(Policy) if f.name == field)
    return [str(member) for member in type(default) if member is not default]


def variants(operation):
    """Return the policies with one choice changed, of the fields that an operation reads."""
    found = [Policy()]
    for name in _fields(operation):
        bases = [ONLY_UNDER.get(name, {})]
        if name in ALSO_UNDER:
            partner = ALSO_UNDER[name]
            bases += [{partner: member} for member in _others(partner)]
        for base in bases:
            found += [Policy(**base, **{name: member}) for member in _others(name)]
    return list(dict.fromkeys(found))


def _fields(operation):
    names = [f.name for f in dataclasses.fields(Policy) if _operation(f.name) == operation]
    return [name for name in names if name not in BITS_ONLY]


def everything_at_once():
    """Return a policy in which every field that quantize reads has its last usable choice.

    No one-pass policy can ask more of the loops.
    """
    policy = Policy()
    for name in _fields("quantize"):
        for member in reversed(_others(name)):
            changed = policy.replace(**{name: member})
            if member != "raise" and not is_composed(changed):
                policy = changed
                break
    return policy


def representatives():
    """Return one block format of each width and kind: FP8, FP6, FP4 and INT8."""
    first = {}
    for name, fmt in BLOCK_FORMATS.items():
        first.setdefault((fmt.element.kind, fmt.element.bits), name)
    return tuple(first.values())


def _label(policy):
    changes = policy.diff(Policy())
    return ", ".join(f"{key}={ours}" for key, (ours, _) in changes.items()) or "(the default)"


def _summary(rows, ratios):
    musts, aims = (sum(round(r, 2) >= limit for r in ratios) for limit in (MUST, AIM))
    yield (
        f"{len(rows)} policies: {musts} reach must, of which {aims} reach aim; the slowest has "
        f"{min(ratios):.2f}."
    )
    yield ""


def _grid(title, policies, formats, measure):
    """Yield a table: a policy a row, a format a column, and the least of the ratios."""
    rows, worst = [], []
    for label, policy, has in policies:
        ratios = {name: measure(policy, name) for name in formats if name in has}
        if not ratios:
            continue
        worst.append(min(ratios.values()))
        cells = [f"{ratios[name]:.2f}" if name in ratios else "-" for name in formats]
        rows.append([label, *cells, f"{worst[-1]:.2f}", mark(worst[-1])])
    yield from _summary(rows, worst)
    yield from table([title, *formats, "least", "reached"], rows)


def quantizers(size, rounds, every=1):
    """Yield the tables of quantize under all policies that need one pass, and under profiles."""
    x = sample(size)
    copied = np.empty_like(x)
    formats = representatives()
    outputs = {name: mxref.quantize(x, name) for name in formats}

    def measure(policy, name):
        q = outputs[name]
        return paired(
            lambda: mxref.quantize(x, name, policy=policy, out=q),
            lambda: np.copyto(copied, x),
            rounds,
        ).ratio

    choices = [p for p in variants("quantize") if not is_composed(p)]
    profiles = [p for p in PROFILES.values() if "quantize" in p.operations]
    profiles = [p for p in profiles if not is_composed(p.policy)]
    policies = [(_label(p), p, formats) for p in choices[::every]]
    policies.append(("the last choice of every field at once", everything_at_once(), formats))
    with threads(thread_counts()[0]):
        yield from _grid("quantize, policy", policies, formats, measure)
        yield from _grid(
            "quantize, profile",
            [(p.name, p.policy, p.formats) for p in profiles[::every]],
            formats,
            measure,
        )


def decoders(size, rounds, every=1):
    """Yield the table of dequantize under the choices that a decoder reads."""
    x = sample(size)
    copied, values = np.empty_like(x), np.empty_like(x)

    def measure(policy, name):
        q = mxref.quantize(x, name)
        q = mxref.MXArray(q.codes, q.scales, name, policy=policy)
        return paired(lambda: q.dequantize(out=values), lambda: np.copyto(copied, x), rounds).ratio

    formats = representatives()
    with threads(thread_counts()[0]):
        policies = [(_label(p), p, formats) for p in variants("dequantize")[::every]]
        yield from _grid("dequantize, policy", policies, formats, measure)


def scale_casts(size, rounds, every=1):
    """Yield the table of casts to E8M0 under the choices that they read."""
    x = np.abs(sample(size))
    copied, codes = np.empty_like(x), np.empty(x.shape, np.uint8)

    def measure(policy, name):
        return paired(
            lambda: mxref.encode(x, name, policy, codes), lambda: np.copyto(copied, x), rounds
        ).ratio

    with threads(thread_counts()[0]):
        policies = [(_label(p), p, ("e8m0",)) for p in variants("scale cast")[::every]]
        yield from _grid("scale cast, policy", policies, ("e8m0",), measure)


def slow_quantizers(size, rounds, every=1):
    """Yield the table of quantize where it takes passes: searches for a scale, random bits."""
    x = sample(size)
    copied = np.empty_like(x)
    formats = representatives()
    policies = [p for p in variants("quantize") if is_composed(p) and len(p.diff(Policy())) == 1]
    rows = []
    with threads(thread_counts()[0]):
        for policy in policies[::every]:
            cells = []
            for name in formats:
                bits = _bits(x, name, policy)
                q = mxref.quantize(x, name)

                def call(n=name, q=q, bits=bits, policy=policy):
                    mxref.quantize(x, n, policy=policy, out=q, **bits)

                seconds, ratio = paired(call, lambda: np.copyto(copied, x), rounds)
                cells.append(f"{size / seconds / GIGA:.3f} ({ratio:.3f})")
            rows.append([_label(policy), *cells])
    head = [f"quantize, {size} elements", *(f"{name}, G/s (of `copyto`)" for name in formats)]
    yield from table(head, rows)


def _bits(x, name, policy):
    rng = np.random.default_rng(3)
    limit = 1 << int(policy.stochastic_bits)
    drawn = {}
    if draws_elements(policy):
        drawn["random"] = rng.integers(0, limit, x.shape, np.uint32)
    if draws_scale(policy):
        drawn["scale_random"] = rng.integers(
            0, limit, x.size // block_format(name).block_size, np.uint32
        )
    return drawn
