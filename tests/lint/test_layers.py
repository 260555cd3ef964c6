import pytest

from lint_rules import ROOT, layer_findings, package_files, report


@pytest.mark.parametrize("file", package_files())
def test_imports_follow_the_layers(file):
    findings = layer_findings(file, (ROOT / file).read_text(encoding="utf-8"))
    assert not findings, report(file, findings)
