"""The parts of docs/matmul.md that the code knows: its models, and what was recorded on hardware.

The page is written by hand around them. What stands between ``<!-- written: NAME -->`` and
``<!-- end -->`` is replaced.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

from mxref.matmul import accumulators, orders

ROOT = Path(__file__).resolve().parents[1]
TESTS = ROOT / "tests" / "matmul"
PART = re.compile(r"(<!-- written: (?P<name>\S+) -->\n).*?(<!-- end -->)", re.DOTALL)


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(c.replace("|", "\\|") for c in row) + " |" for row in rows]
    return "\n".join(lines)


def models():
    """Every accumulation model but the orders, with source and evidence."""
    ours = {model.name for model in orders.ACCUMULATORS}
    rows = [
        (f"`{model.name}`", model.text, model.dtype, model.source, model.evidence)
        for model in accumulators().values()
        if model.name not in ours
    ]
    return table(("`accumulate=`", "summed", "output", "source", "evidence"), rows)


def order_names():
    """The orders that have an entry of their own, by what they sum in."""
    families = {}
    for model in orders.ACCUMULATORS:
        words = model.name.split("-")
        head = (
            "-".join(words[:2]) if words[0] == "ocp" or words[1] in {"fma", "single"} else words[0]
        )
        families.setdefault(head, []).append(f"`{model.name}`")
    rows = [(f"`{head}`", ", ".join(names)) for head, names in families.items()]
    return table(("in", "orders with a name in the list"), rows)


def recordings():
    """What was recorded on a GPU, how many outputs each model gives, and what has no model."""
    sys.path.insert(0, str(TESTS))
    try:
        import hopper_recordings as tests
    finally:
        sys.path.remove(str(TESTS))
    counts = tests.outputs_of_each_model()
    rows = _in_families(counts)
    made = json.loads((TESTS / "recordings" / "h100.json").read_text(encoding="utf-8"))
    versions = made["environment"]
    packages = ("torch", "triton", "jax", "nvidia-cublas", "cuda")
    had = ", ".join(f"{name} {versions[name]}" for name in packages if name in versions)
    reasons = []
    for reason, prefixes in tests.BEYOND.items():
        alike = [name for name in tests.CASES if name.startswith(prefixes)]
        reasons.append((reason, f"{len(alike)}", ", ".join(f"`{name}`" for name in prefixes)))
    software, single = sum(counts.values()), _instructions(tests)
    device = versions["device"].split(",")[0]
    return f"""The models below give each of {software:,} outputs of software, and
those of single instructions each of {single:,} more, without a wrong bit. The device was an
{device}; {had}; `{versions["command"]}`.

{table(("model", "outputs"), rows)}

No model is for these; they are recorded all the same:

{table(("what", "cases", "names that begin with"), reasons)}"""


def _in_families(counts):
    """Rows of models; those that split K into parts stand behind the one that does not."""
    parts = {}
    for name, count in counts.items():
        whole, _, split = name.partition("-split-")
        parts.setdefault(whole, []).append((split, count))
    rows = []
    for name, found in parts.items():
        rows += [(f"`{name}`", f"{count:,}") for split, count in found if not split]
        several = sorted((int(split), count) for split, count in found if split)
        if several:
            numbers = ", ".join(str(split) for split, _ in several)
            total = sum(count for _, count in several)
            rows.append((f"`{name}-split-N`, N = {numbers}", f"{total:,}"))
    return rows


def _instructions(tests):
    cases = [tests.CASES[name] for name in tests.MODELLED]
    return sum(case["m"] * tests.width(case) for case in cases if case["run"] == "instruction")


PARTS = {"models": models, "orders": order_names, "recordings": recordings}


def matmul_page(path):
    """The page with its parts of now."""
    text = path.read_text(encoding="utf-8")
    return PART.sub(lambda part: f"{part[1]}\n{PARTS[part['name']]()}\n\n{part[3]}", text)
