import pytest

from lint_kernels import kernel_findings
from lint_rules import ROOT, package_files, report


@pytest.mark.parametrize("file", package_files("kernels"))
def test_kernels_are_integer_code_cast_at_every_step(file):
    findings = kernel_findings((ROOT / file).read_text(encoding="utf-8"))
    assert not findings, report(file, findings)
