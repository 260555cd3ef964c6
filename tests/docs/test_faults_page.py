"""The page of faults holds all that the catalogue knows. That it is current, test_pages.py says."""

import re
from pathlib import Path

import pytest

from mxref.faults import FAULTS, REASONS

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "faults.md").read_text(encoding="utf-8")


def entry(fault):
    return PAGE.split(f"\n### {fault}\n")[1].split("\n### ")[0].split("\n## ")[0]


@pytest.mark.parametrize("fault", FAULTS.values(), ids=lambda fault: fault.id)
def test_a_fault_has_everything_a_reader_needs(fault):
    text = entry(fault.id)
    for part in (fault.title, fault.effect, fault.stimulus, fault.repair, *fault.seen_in):
        assert part in text, part
    for field, choice in fault.legal_change.items():
        assert f"Legal as: `{field}={choice}`" in text or f" `{field}={choice}`" in text
    assert PAGE.count(f"* [{fault.id}](#{fault.id.lower()}) {fault.title}\n") == 1


def test_what_cannot_show_is_said_of_the_right_fault():
    for (fault, _, operation, _), reason in REASONS.items():
        where = "every operation" if operation == "*" else f"`{operation}`"
        line = next(line for line in entry(fault).splitlines() if reason[1:].rstrip(".") in line)
        assert line.startswith("* Cannot show in "), line
        assert where in line, (where, line)


def test_nothing_else_has_an_entry():
    assert re.findall(r"^### (\S+)$", PAGE, re.MULTILINE) == list(FAULTS)
    silent = {fault for fault in FAULTS if not any(key[0] == fault for key in REASONS)}
    assert silent
    for fault in silent:
        assert "Cannot show" not in entry(fault)
