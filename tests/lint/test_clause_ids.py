import pytest

from lint_rules import ROOT, clause_findings, package_files, report
from mxref import clauses


@pytest.mark.parametrize("file", package_files())
def test_every_clause_named_in_code_exists(file):
    source = (ROOT / file).read_text(encoding="utf-8")
    findings = clause_findings(source, clauses.ID_PATTERN, clauses.CLAUSES)
    assert not findings, report(file, findings)
