import json

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
    assert len(text.splitlines()) < 12
