import pytest

from lint_kernels import kernel_findings, program_findings
from lint_rules import ROOT, package_files, report


@pytest.mark.parametrize("file", package_files("kernels"))
def test_kernels_are_integer_code_cast_at_every_step(file):
    findings = kernel_findings((ROOT / file).read_text(encoding="utf-8"))
    assert not findings, report(file, findings)


def test_lane_programs_are_integer_code():
    file = "mxref/kernels/programs.py"
    findings = program_findings((ROOT / file).read_text(encoding="utf-8"))
    assert not findings, report(file, findings)


@pytest.mark.parametrize("line", ["x = a * 0.5", "x = a / b", "x = a ** 2", "x = a % b", "x = 1e3"])
def test_the_rule_for_lane_programs_fires(line):
    assert program_findings(line)
    assert not program_findings("x = (a + b) >> 3")
