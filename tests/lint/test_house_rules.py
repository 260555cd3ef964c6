import subprocess
import sys

import pytest

from lint_rules import DATA_MODULES, ROOT, house_findings, package_files, report


@pytest.mark.parametrize("file", package_files())
def test_modules_are_short_portable_and_quiet(file):
    findings = house_findings(file, (ROOT / file).read_text(encoding="utf-8"))
    assert not findings, report(file, findings)


def test_long_data_modules_still_exist():
    assert not [file for file in DATA_MODULES if not (ROOT / file).is_file()]


def test_import_is_light():
    heavy = ("numba", "llvmlite", "rich", "click")
    code = f"import sys, mxref; print(*[name for name in {heavy} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []
