"""The page docs/relatives.md: NVFP4 and BDR, their parameters, open choices and profiles."""

from __future__ import annotations

import ast
import inspect
from dataclasses import fields
from fractions import Fraction

from mxref import bdr, nvfp4
from mxref.formats import ELEMENT_FORMATS
from mxref.relatives import bdr_choices, bdr_format, bdr_formats, nvfp4_choices, nvfp4_profiles
from mxref.relatives.bdr_profiles import BDR_PROFILES

NOTE = "Written by `make docs` from the code; do not edit.\n"


def cell(text):
    return str(text).replace("|", "\\|").replace("\n", " ")


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(cell(c) for c in row) + " |" for row in rows]
    return "\n".join(lines)


def meanings(*modules):
    """What each choice means: the text below each member of the enumerations."""
    found = {}
    for module in modules:
        for node in ast.parse(inspect.getsource(module)).body:
            if isinstance(node, ast.ClassDef):
                for member, text in zip(node.body, node.body[1:], strict=False):
                    if isinstance(member, ast.Assign) and isinstance(text, ast.Expr):
                        value = member.value
                        if isinstance(value, ast.Constant):
                            found[node.name, value.value] = " ".join(text.value.value.split())
    return found


def choice_rows(policy, *modules):
    text_of = meanings(*modules)
    rows = []
    for f in fields(policy):
        kind = type(f.default)
        for member in kind:
            text = text_of.get((kind.__name__, str(member)), "")
            why = f"**default**: {f.metadata['reason']}" if member is f.default else ""
            rows.append((f"`{f.name}`", f"`{member}`", text, why))
    return rows


def profile_rows(profiles, base, basis):
    rows = []
    for name, profile in profiles.items():
        changes = profile.policy.diff(base)
        said = "; ".join(
            f"[`{key}={ours}`]({profile.sources[key].partition(' ')[0]})"
            if key in profile.sources
            else f"`{key}={ours}`"
            for key, (ours, _) in changes.items()
        )
        evidence = getattr(profile, "evidence", "") or getattr(profile, "versions", "")
        beyond = " ".join(profile.divergences)
        rows.append((f"`{name}`", profile.title, said or basis, evidence, beyond))
    return rows


def number(value):
    if value is None:
        return "–"
    if isinstance(value, Fraction):
        return str(value.numerator) if value.denominator == 1 else f"{float(value):.6g}"
    return str(value)


def bdr_rows():
    rows = []
    for name, fmt in bdr.FORMATS.items():
        rows.append(
            (
                f"`{name}`",
                fmt.m,
                fmt.scale.value,
                fmt.subscale.value,
                "tensor" if fmt.k1 is None else fmt.k1,
                fmt.k2 or "–",
                fmt.d1,
                fmt.d2 or "–",
                fmt.element.value,
                number(fmt.bits_per_element),
                bdr_formats.EVIDENCE.get(name, ""),
            )
        )
    return rows


def relatives_page():
    base = nvfp4.get_policy(None)
    e2m1 = ELEMENT_FORMATS["e2m1"]
    parameters = (
        ("m", "magnitude bits of an element, none of them hidden"),
        ("s", "type of the scale that k1 elements share, and its d1 bits"),
        ("ss", "type of the sub-scale that k2 of them share, and its d2 bits"),
    )
    bdr_base = bdr.get_policy(None)
    kinds = meanings(bdr_format)
    types = [
        (f"`{member}`", kinds[kind.__name__, str(member)])
        for kind in (bdr_format.ScaleKind, bdr_format.SubscaleKind, bdr_format.Element)
        for member in kind
    ]
    recipes = choice_rows(nvfp4.NVFP4Policy, nvfp4_choices)
    quantizers = choice_rows(bdr.BDRPolicy, bdr_choices)
    return f"""# The relatives: NVFP4 and the BDR formats

{NOTE}
NVFP4 and the block data representations (BDR: MX9, MX6, MX4, MSFP, VSQ, scaled integers and FP8)
are no OCP formats. They are quantized, multiplied, checked and covered by vectors in the same
terms:
`mxref.quantize(x, "nvfp4")`, `mxref.quantize(x, "mx9", policy="quark-torch")`. What is open about
them has names too: fields of `NVFP4Policy` (OP-NVFP4-RECIPE) and of `BDRPolicy` (OP-BDR-QUANTIZER).
[papers.md](papers.md) has what the papers claim of these formats, and what was found here.

## NVFP4

{nvfp4.FORMAT.block_size} elements in E2M1 (largest {number(e2m1.max)}) share a scale in E4M3
without sign (largest 448, smallest 2^-9), and all share one float32. An element's value is
`e2m1 * ue4m3 * global_scale`. `NVFP4Array.global_scale` is what is multiplied by when decoding; who
stores its reciprocal has another convention ([layouts.md](layouts.md)).

### Profiles

{
        table(
            ("profile", "whose", "differs from `te-1d` in", "evidence", "beyond the policy"),
            profile_rows(nvfp4_profiles.PROFILES, base, "the default"),
        )
    }

### Choices

{table(("field", "choice", "meaning", "chosen by te-1d, because"), recipes)}

## BDR

A point of the family (arXiv 2302.08007) has seven parameters:

{table(("parameter", "meaning"), parameters)}

k1 and k2 count elements, d1 and d2 bits. The types:

{table(("type", "meaning"), types)}

### Named formats

{
        table(
            (
                *("format", "m", "s", "ss", "k1", "k2", "d1", "d2", "element"),
                *("bits per element", "evidence"),
            ),
            bdr_rows(),
        )
    }

Any other point is named by its parameters: `mxref.quantize(x, "bdr:m=5,k1=16,k2=4,d1=8,d2=2")`.
Bytes: MX9, MX6 and MX4 blocks of 16 fill records of 18, 12 and 8 bytes
([layouts.md](layouts.md)); nothing published says in which order, so that order is ours.

### Profiles

{
        table(
            ("profile", "whose", "differs from `bdr-paper` in", "evidence", "beyond the policy"),
            profile_rows(BDR_PROFILES, bdr_base, "the default"),
        )
    }

### Choices

{table(("field", "choice", "meaning", "chosen by bdr-paper, because"), quantizers)}
"""
