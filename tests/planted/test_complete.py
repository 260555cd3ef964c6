"""Every fault of the catalogue has an implementation of its own in the tests, or a reason."""

from pathlib import Path

import implementations as impl
import numpy as np
import pytest
import test_named
from implementations import E2M1, E4M3
from plants import COMPOSED, MORE
from stimuli import quantizer_input

from mxref import check
from mxref.faults import FAULTS

CHECKS = Path(__file__).parents[1] / "check"
BDR_ONLY = [
    "S18",
    "S19",
    "S20",
    "S21",
    "S22",
    "S23",
    "S24",
    "E25",
    "E26",
    "E27",
    "D18",
    "D19",
    "D20",
]
# Where those are planted that need a tensor, a product or random bits.
ELSEWHERE = {
    "L": ("test_tensor.py", "test_tensor_writers.py"),
    "G": ("test_dot.py",),
    "R": ("test_stochastic.py",),
    "S16": ("test_complete.py",),
    "S17": ("../packages/test_checked.py", "../replays/replays_scales.py"),
    # Nothing but the formats with sub-scales and shared exponents can show these.
    **dict.fromkeys(BDR_ONLY, ("bdr/test_bdr_named.py",)),
}
# Nothing in MX can show them; `mxref.faults.equivalent` says why.
IMPOSSIBLE = {"D15", "E6", "G2", "G7"}


def planted():
    tables = (
        test_named.QUANTIZERS,
        test_named.SCALE_RULES,
        test_named.ENCODERS,
        test_named.DECODERS,
        test_named.DEQUANTIZERS,
    )
    found = {row[0] for table in tables for row in table}
    return found.union(*(plant.ids for plant in (*MORE, *COMPOSED)))


@pytest.mark.parametrize("fault", sorted(set(FAULTS) - IMPOSSIBLE))
def test_every_fault_is_planted_somewhere(fault):
    if fault in planted():
        return
    files = ELSEWHERE.get(fault) or ELSEWHERE.get(fault[0], ())
    texts = [
        (CHECKS / file if file != "test_complete.py" else Path(__file__)).read_text()
        for file in files
    ]
    assert any(f'"{fault}"' in text for text in texts), f"no implementation of {fault} in {files}"


@pytest.mark.parametrize("factor", [3.0, 1 / 6, 2688.0])
@pytest.mark.parametrize("t", [E4M3, E2M1], ids=lambda t: t.name)
def test_a_forgotten_scale_of_the_tensor_is_named(t, factor):
    """S16: the tensor scale of NVFP4 is applied, and nobody stores it."""
    x = quantizer_input(t)
    amax = np.abs(x).max(-1)
    x = x[(amax > 1e-20) & (amax < 1e20)]
    multiplied = (x * np.float32(factor)).astype(np.float32)
    quantize = impl.quantize_by_bits if t is E4M3 else lambda x, _: impl.quantize_by_table(x)
    codes, scales = quantize(multiplied, t)
    report = check.quantize(x, codes, scales, t.block)
    assert report.verdict == "defect", report
    assert {f.id for f in report.findings} == {"S16"}, report
    assert all(f.residual == 0 for f in report.findings)
