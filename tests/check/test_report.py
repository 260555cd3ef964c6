import json
from dataclasses import replace
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from mxref import arrays, check
from mxref.check import DefectError, Verdict


@pytest.fixture(scope="module")
def defect():
    x = np.linspace(-3, 3, 64 * 32, dtype=np.float32).reshape(64, 32)
    q = arrays.quantize(x, "mxfp4")
    codes = np.where(q.codes & 7 < 2, q.codes & 8, q.codes).astype(np.uint8)
    return check.quantize(x, codes, q.scales, "mxfp4")


def test_the_text_says_what_a_person_needs(defect):
    text = str(defect)
    assert text.startswith("DEFECT  quantize mxfp4")
    assert "E7 is a defect" in text
    for word in ("differs", "explains", "witness", "effect", "to do", "seen in", "under scale"):
        assert word in text
    assert all(len(line) <= 80 for line in text.splitlines() if "https://" not in line)
    assert "\x1b" not in text


def test_json_round_trip(defect):
    data = json.loads(defect.to_json())
    assert data["verdict"] == "defect"
    assert data["ok"] is False
    assert data["findings"][0]["id"] == "E7"
    assert data["findings"][0]["witness"]["index"] == list(defect.findings[0].witness.index)
    assert data["mismatches"]["elements"] == defect.mismatches.elements


def test_html_is_escaped(defect):
    html = defect._repr_html_()
    assert "E7 is a defect" in html
    evil = check.Report(
        "quantize",
        "<script>",
        Verdict.CONFORMS,
        None,
        None,
        (),
        check.Mismatches(0, 0, 0, 0),
        ("<img>",),
    )
    assert "<script>" not in evil._repr_html_()
    assert "<img>" not in evil._repr_html_()


def test_raise_for_defects(defect):
    with pytest.raises(DefectError, match="E7 is a defect"):
        defect.raise_for_defects()
    assert issubclass(DefectError, AssertionError)


def test_a_witness_reads_as_one_line(defect):
    witness = str(defect.findings[0].witness)
    assert "\n" not in witness
    assert "expected 0x" in witness
    assert "gave 0x" in witness


def test_a_conforming_report_is_short():
    x = np.ones((1, 32), np.float32)
    q = arrays.quantize(x, "mxfp4")
    text = str(check.quantize(x, q.codes, q.scales, "mxfp4"))
    assert text.startswith("CONFORMS  quantize mxfp4")
    assert "policy      ocp" in text
    assert len(text.splitlines()) < 24


def test_reports_of_all_kinds_from_one_report(defect):
    assert defect.to_markdown().startswith("## ❌ quantize mxfp4 does not conform\n")
    assert "**E7 is a defect:**" in defect.to_markdown()
    assert defect.to_html().startswith("<!doctype html>")
    assert ET.fromstring(defect.to_junit().encode()).get("failures") == "1"


def test_the_witness_is_shown_bit_by_bit(defect):
    rows = [line.split() for line in str(defect).splitlines() if "|" in line]
    assert [(row[0], row[2]) for row in rows] == [
        ("input", "float32"),
        ("got", "e2m1"),
        ("expected", "e2m1"),
    ]


def test_what_to_do_comes_before_the_evidence(defect):
    text = str(defect)
    assert text.index("E7 is a defect") < text.index("to do") < text.index("witness")


def test_json_holds_what_a_finding_needs(defect):
    finding = json.loads(defect.to_json())["findings"][0]
    assert finding["certain"] is True
    assert finding["stimulus"] == defect.findings[0].stimulus


def test_a_guess_is_never_called_the_cause(defect):
    guess = replace(defect.findings[0], residual=3, explains=0.934)
    text = str(replace(defect, verdict=Verdict.UNEXPLAINED, findings=(guess,)))
    assert "E7 is consistent with 93 % of the mismatches" in text
    assert "3 are left over" in text
    assert "is a defect" not in text
