"""The page about diagnosis: its marks mean what they say. test_pages.py says that it is current."""

import importlib.util
import re
import sys
from pathlib import Path

import pytest

from mxref.faults import FAULTS, Implementation, correct
from mxref.formats import block_format, element_format
from mxref.policy import Policy

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = (DOCS / "diagnosis.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def diagnosis():
    spec = importlib.util.spec_from_file_location("diagnosis", DOCS / "diagnosis.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["diagnosis"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    yield module
    del sys.modules["diagnosis"]


def cells(fault, section, variant=""):
    """The cells of the first row of a fault below a heading of the page."""
    part = PAGE.split(f"### {section}")[1].split("\n## ")[0].split("\n### ")[0]
    for line in part.splitlines():
        row = [text.strip() for text in line.split("|")[1:-1]]
        if row and row[0] == f"**{fault}**" and variant in row[1]:
            return row[2:]
    raise AssertionError(f"{fault} {variant} is not in {section}")


def test_every_fault_is_on_the_page():
    in_tables = set(re.findall(r"^\| \*{0,2}([A-Z]\d+)\*{0,2} \|", PAGE, re.MULTILINE))
    assert in_tables == set(FAULTS)


def test_nothing_is_left_without_a_reason():
    assert "**No" not in PAGE


def test_what_is_known_to_be_hidden_or_alike():
    # 16 bits in, and what is lost on the way through the same 16 bits.
    assert cells("E21", "Elements alone")[:6] == ["●○●"] * 6
    assert cells("E22", "Elements alone")[:6] == ["●○○"] * 6
    assert cells("E1", "Elements alone")[:6] == ["●●●"] * 6
    # One step up is the rule plus-one; the missing emax of 2 is a bias of 2.
    assert cells("S6", "Scales and blocks", "+1")[:6] == ["◐◐◐"] * 6
    assert cells("S4", "Scales and blocks")[4] == "◐◐◐"
    assert cells("S4", "Scales and blocks")[6].startswith("S6 (+2): ")
    assert cells("S4", "Scales and blocks")[0] == "●●●"
    assert cells("E17", "Elements of blocks")[:6] == ["○○○"] * 6  # under a NaN scale
    assert cells("E17", "Elements alone")[:6] == ["●●●"] * 6
    assert cells("G6", "Products")[:7] == ["·"] * 6 + ["●"]


def test_marks_come_from_outputs(diagnosis, monkeypatch):
    right = correct("decode", element_format("e2m1"), Policy())

    def planted(*_):
        twice, half = (lambda codes: right(codes) * 2), (lambda codes: right(codes) / 2)
        return (
            Implementation("D1", "", twice),
            Implementation("D2", "first", half),
            Implementation("D2", "second", lambda codes: right(codes) * 3),
            Implementation("D5", "", lambda codes: right(codes) * 2),
            Implementation("D6", "", lambda codes: right(codes) + 0),
            Implementation("D8", "", half),
        )

    monkeypatch.setattr(diagnosis, "implementations", planted)
    job = (("decode",), "decode", element_format("e2m1"), "e2m1", Policy())
    marks, alike = diagnosis.judged(job)
    assert {key: cell["e2m1"] for key, cell in marks.items()} == {
        ("D1", ""): "◐",
        ("D2", "first"): "◐",
        ("D2", "second"): "●",
        ("D5", ""): "◐",
        ("D6", ""): "●",  # -0 + 0 is +0
        ("D8", ""): "◐",
    }
    assert (("D1", ""), ("D5", ""), ("e2m1", "")) in alike
    assert (("D8", ""), ("D2", "first"), ("e2m1", "")) in alike


def test_the_right_implementation_has_an_open_circle(diagnosis, monkeypatch):
    fmt = block_format("mxfp4")
    right = correct("quantize", fmt, Policy())
    monkeypatch.setattr(
        diagnosis, "implementations", lambda *_: (Implementation("S16", "", right),)
    )
    marks, alike = diagnosis.judged((("scales",), "quantize", fmt, "mxfp4", Policy()))
    assert marks == {("S16", ""): {"mxfp4": "○○○"}}
    assert alike == []


def test_places_are_drawn_together(diagnosis):
    every = [(name, letter) for name in ("a", "b") for letter in "fbh"]
    assert diagnosis.where(every, 2) == "everywhere"
    assert diagnosis.where(every[:3], 2) == "a"
    assert diagnosis.where([("a", "b"), ("b", "b")], 2) == "everywhere b"
    assert diagnosis.where([("a", "b"), ("b", "h")], 2) == "a b, b h"
