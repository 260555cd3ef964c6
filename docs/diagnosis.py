"""The page docs/diagnosis.md: which faults can be told apart, where, and from what.

Every implementation of the catalogue runs over the inputs that are designed for its operation;
where two give the same bits, nobody can tell them apart with these inputs.
"""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field

import ml_dtypes
import numpy as np

from mxref.check import stimuli
from mxref.faults import FAULTS, _texts_bdr, correct, implementations, reason_for
from mxref.faults.dots import correct_dot
from mxref.faults.probes import normal_form
from mxref.faults.tensors import correct_tensor
from mxref.formats import BLOCK_FORMATS, ELEMENT_FORMATS, SCALE_FORMATS
from mxref.policy import Policy, get_policy
from mxref.vectors import Case, Verdict
from mxref.vectors.dots import DOT
from mxref.vectors.driver import answers
from mxref.vectors.stochastic import STOCHASTIC
from mxref.vectors.tensors import DEQUANTIZE_TENSOR, QUANTIZE_TENSOR

TYPES = {"f": np.float32, "b": ml_dtypes.bfloat16, "h": np.float16}
APART, ALIKE, RIGHT, NONE = "●", "◐", "○", "·"
GROUPS = {
    "quantize_tensor": QUANTIZE_TENSOR,
    "dequantize_tensor": DEQUANTIZE_TENSOR,
    "dot": DOT,
    "encode": STOCHASTIC,
}
MIXED = ("mxfp8_e4m3", "mxfp4")  # operands of two widths: only there a fault can pair them wrongly


def nested():
    return defaultdict(list)


@dataclass
class Section:
    """One operation in some formats: an outcome of each fault under each input type.

    Attributes
    ----------
    cells : dict
        By (id, detail), then by format: a mark for each input type.
    alike : dict
        By (id, detail), then by the faults that look the same: where.
    """

    title: str
    op: str
    holds: Callable
    cells: dict = field(default_factory=lambda: defaultdict(dict))
    alike: dict = field(default_factory=lambda: defaultdict(nested))

    def add(self, cells, alike):
        """Take in what `judged` found in one format, of the faults that belong here."""
        for key, marks in cells.items():
            if self.holds(key[0]):
                self.cells[key] |= marks
        for key, other, place in alike:
            if self.holds(key[0]):
                self.alike[key][other].append(place)


def digest(arrays):
    found = hashlib.blake2b(digest_size=16)
    for array in arrays:
        found.update(np.ascontiguousarray(array).tobytes())
    return found.digest()


def of_arrays(op, fmt, given):
    """Outcome of a subject on designed arrays, equal where equal bits are due."""

    def outcome(subject):
        with np.errstate(all="ignore"):
            return digest(normal_form(op, fmt, given, subject(*given)))

    return outcome


def of_cases(op, fmt):
    """Outcome of a subject on the inputs of the vector set."""
    made = (inputs for group in GROUPS[op] for inputs, _ in group.stimuli(fmt))
    cases = [Case("", inputs, (), Verdict.MUST, (), (), "") for inputs in made]

    def outcome(subject):
        return hashlib.blake2b(repr(answers(op, cases, subject)).encode()).digest()

    return outcome


def designed(op, fmt, dtype):
    """The designed inputs, in numbers of a type, as `mxref.check.kernel` gives them."""
    makers = {
        "quantize": stimuli.quantize_stimuli,
        "encode": stimuli.encode_stimuli,
        "decode": stimuli.decode_stimuli,
        "dequantize": stimuli.dequantize_stimuli,
    }
    inputs = makers[op](fmt).inputs
    if op == "dequantize":
        codes, scales = inputs
        return scales[:, 0], codes
    if op == "decode":
        return inputs
    with np.errstate(all="ignore"):
        return tuple(array.astype(dtype) for array in inputs)


def right_one(op, fmt, policy):
    if op == "dot":
        return correct_dot(*fmt)
    return correct_tensor(op, fmt, policy) if "tensor" in op else correct(op, fmt, policy)


def judged(job):
    """One operation in one format: the marks of all faults, and which look like which."""
    _, op, fmt, name, policy = job
    faults = implementations(op, fmt, policy)
    correct_one = right_one(op, fmt, policy)
    marks, alike = defaultdict(str), []
    for letter, outcome in outcomes(op, fmt, policy):
        right = outcome(correct_one)
        found = [outcome(fault.subject) for fault in faults]
        for fault, one in zip(faults, found, strict=True):
            others = {
                (other.id, other.detail)
                for other, same in zip(faults, found, strict=True)
                if same == one and other.id != fault.id
            }
            mark = RIGHT if one == right else ALIKE if others else APART
            key = fault.id, fault.detail
            marks[key] += mark
            if mark == ALIKE:
                alike += [(key, other, (name, letter)) for other in sorted(others)]
    return {key: {name: text} for key, text in marks.items()}, alike


def outcomes(op, fmt, policy):
    """What to call a subject with: for each input type, or once."""
    if op in GROUPS and (op != "encode" or policy.rounding.startswith("stochastic")):
        yield "", of_cases(op, fmt)
    elif op in ("quantize", "encode"):
        for letter, dtype in TYPES.items():
            yield letter, of_arrays(op, fmt, designed(op, fmt, dtype))
    else:
        yield "", of_arrays(op, fmt, designed(op, fmt, None))


def any_fault(_):
    return True


def is_element(fault):
    return fault.startswith("E") and fault != "E6"


def is_of_scale(fault):
    return not is_element(fault)


def is_random(fault):
    return fault.startswith("R")


def jobs():
    """All sections in all formats, in the order of the page."""
    blocks, elements, scales = BLOCK_FORMATS.items(), ELEMENT_FORMATS.items(), SCALE_FORMATS.items()
    pairs = {name: (fmt, fmt) for name, fmt in blocks}
    pairs["-".join(MIXED)] = tuple(BLOCK_FORMATS[name] for name in MIXED)
    plain, random = Policy(), get_policy("ocp:rounding=stochastic-a")
    for titles, op, formats, policy in (
        (("scales", "elements"), "quantize", blocks, plain),
        (("encode",), "encode", elements, plain),
        (("cast",), "encode", scales, plain),
        (("dequantize",), "dequantize", blocks, plain),
        (("decode",), "decode", elements, plain),
        (("read",), "decode", scales, plain),
        (("quantize_tensor",), "quantize_tensor", blocks, plain),
        (("dequantize_tensor",), "dequantize_tensor", blocks, plain),
        (("dot",), "dot", pairs.items(), plain),
        (("random",), "encode", elements, random),
    ):
        for name, fmt in formats:
            yield titles, op, fmt, name, policy


def empty_sections():
    return {
        "scales": Section("Scales and blocks: `quantize`", "quantize", is_of_scale),
        "elements": Section("Elements of blocks: `quantize`", "quantize", is_element),
        "encode": Section("Elements alone: `encode`", "encode", any_fault),
        "cast": Section("Casts to E8M0: `encode`", "encode", any_fault),
        "dequantize": Section("Blocks: `dequantize`", "dequantize", any_fault),
        "decode": Section("Element codes alone: `decode`", "decode", any_fault),
        "read": Section("E8M0 codes alone: `decode`", "decode", any_fault),
        "quantize_tensor": Section(
            "Whole tensors: `quantize_tensor`", "quantize_tensor", any_fault
        ),
        "dequantize_tensor": Section(
            "Whole tensors: `dequantize_tensor`", "dequantize_tensor", any_fault
        ),
        "dot": Section("Products: `dot`", "dot", any_fault),
        "random": Section("Stochastic rounding, random bits given: `encode`", "encode", is_random),
    }


def all_sections(work=None):
    """Run everything, in a few processes; the order of the results is that of the jobs."""
    sections = empty_sections()
    work = list(jobs()) if work is None else work
    with ProcessPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
        for (names, *_), found in zip(work, pool.map(judged, work), strict=True):
            for name in names:
                sections[name].add(*found)
    return [section for section in sections.values() if section.cells]


# --- the page ---------------------------------------------------------------------------------


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(text.replace("|", "\\|") for text in row) + " |" for row in rows]
    return "\n".join(lines)


def where(places, formats):
    """Where two faults look the same: formats, with letters if not under every input type."""
    letters = defaultdict(str)
    for name, letter in places:
        letters[name] += letter
    if len(letters) == formats and len(set(letters.values())) == 1:
        only = next(iter(letters.values()))
        return "everywhere" if only in ("", "fbh") else f"everywhere {only}"
    return ", ".join(f"{n} {t}" if t not in ("", "fbh") else n for n, t in letters.items())


def alike_text(section, key, formats):
    """The other faults that look the same, variants of one fault together."""
    grouped = defaultdict(list)
    for (fault, detail), places in section.alike.get(key, {}).items():
        grouped[fault, where(places, formats)].append(detail)
    return "; ".join(
        f"{fault}{' (' + ', '.join(d for d in details if d) + ')' if any(details) else ''}: {text}"
        for (fault, text), details in grouped.items()
    )


def section_text(section):
    formats = list(dict.fromkeys(name for cells in section.cells.values() for name in cells))
    known = (*BLOCK_FORMATS, *ELEMENT_FORMATS, *SCALE_FORMATS, "-".join(MIXED))
    formats = [name for name in known if name in formats]
    wide = max(len(text) for cells in section.cells.values() for text in cells.values())
    grouped = defaultdict(list)
    for key, cells in section.cells.items():
        marks = tuple(cells.get(name, NONE * wide) for name in formats)
        grouped[key[0], marks, alike_text(section, key, len(formats))].append(key[1])
    order = {fault: place for place, fault in enumerate(FAULTS)}
    rows = [
        (f"**{fault}**", "; ".join(d for d in details if d), *marks, alike)
        for (fault, marks, alike), details in sorted(grouped.items(), key=lambda g: order[g[0][0]])
    ]
    return f"### {section.title}\n\n{table(('id', 'variant', *formats, 'looks like'), rows)}\n"


def totals(sections):
    counts = defaultdict(int)
    for section in sections:
        for cells in section.cells.values():
            for text in cells.values():
                for mark in text:
                    counts[mark] += 1
    return counts


def unseen_rows(sections):
    """Faults that look right under float32, or in codes: with the reason."""
    grouped = defaultdict(lambda: defaultdict(list))
    for section in sections:
        for (fault, detail), cells in section.cells.items():
            for name, text in cells.items():
                if text[0] == RIGHT:
                    is_pair = section.op != "dot" or "-" in name
                    whole = name if is_pair else f"{name}-{name}"
                    reason = reason_for(fault, detail, section.op, whole)
                    shown = reason or "**No designed input shows it.**"
                    what = f"`{section.op}`, {detail}" if detail else f"`{section.op}`"
                    grouped[fault, shown][what].append(name)
    order = {fault: place for place, fault in enumerate(FAULTS)}
    for (fault, reason), places in sorted(grouped.items(), key=lambda g: order[g[0][0]]):
        by_formats = defaultdict(list)
        for what, found in places.items():
            every = len(found) == len(BLOCK_FORMATS)
            by_formats["every format" if every else ", ".join(found)].append(what)
        names = "; ".join(f"{'; '.join(what)} ({found})" for found, what in by_formats.items())
        yield fault, names, reason


UNKNOWN = "**No model and no reason.**"
OF_RELATIVES = dict.fromkeys(
    (row[0] for row in _texts_bdr.ROWS),
    "MX formats have no such bits: it concerns block data representations, whose check names it "
    "(tests/check/bdr).",
)


def absent_rows(sections):
    """Faults of which no operation has a model."""
    seen = {key[0] for section in sections for key in section.cells}
    for fault in FAULTS.values():
        if fault.id not in seen:
            ops = ("quantize", "dequantize", "encode", "decode", "dot")
            reasons = (reason_for(fault.id, "", op, "mxfp4") for op in ops)
            reason = next((r for r in reasons if r), OF_RELATIVES.get(fault.id, UNKNOWN))
            yield fault.id, fault.title, reason


def diagnosis_page(note="", sections=None):
    """Return the page."""
    sections = all_sections() if sections is None else sections
    counts = totals(sections)
    total = sum(counts.values())
    numbers, codes, others = (
        "\n".join(section_text(section) for section in sections[part])
        for part in (slice(4), slice(4, 7), slice(7, None))
    )
    return f"""# Diagnosis: what can be told apart, where, and from what

{note}
Each fault of the catalogue ([faults.md](faults.md)) runs in each of its variants over the inputs
that are designed for its operation: those with which `mxref conform` drives a target, and for
tensors, products and random bits those of the vector set. Outputs are compared bit by bit, with one
another and with the right ones. What differs without effect does not count: codes under a NaN
scale, the scale of a block of zeros.

| mark | meaning |
|---|---|
| {APART} | told apart from the right implementation and from every other fault |
| {ALIKE} | wrong, and exactly like another fault, which stands in the last column |
| {RIGHT} | right on all designed inputs: it cannot be seen there |
| {NONE} | there is no such fault in this format |

Three marks in a cell stand for input in float32, bfloat16 and float16 (f, b, h in the last column);
for the 16-bit types the designed numbers are rounded, and some faults have no chance to show.
Variants of one fault that behave alike count as one, since a finding names the fault. Products
pair a format with itself, and once two widths.

**{counts[APART]:,} of {total:,} marks are {APART}, {counts[ALIKE]:,} are {ALIKE}, and
{counts[RIGHT]:,} are {RIGHT}.**

## Numbers in

{numbers}
## Codes in

{codes}
## Tensors, products, random bits

{others}
## What cannot be seen, and why

In float32 input, or in codes. `mxref.faults.equivalent` holds the reasons, and tests search for
inputs that would refute them.

{table(("id", "where", "why"), unseen_rows(sections))}

## Without a model

{table(("id", "fault", "why"), absent_rows(sections))}
"""
