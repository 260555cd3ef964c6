"""The pages of docs/examples name what there is."""

import re
from pathlib import Path

import pytest

from mxref.vectors.export import EXPORTS

EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "examples"
FOLDERS = sorted(path.name for path in EXAMPLES.iterdir() if path.is_dir())


@pytest.mark.parametrize("name", FOLDERS)
def test_an_example_has_a_short_page_and_a_line_in_the_index(name):
    page = (EXAMPLES / name / "README.md").read_text("ascii")
    assert len(page.splitlines()) <= 40
    assert f"]({name}/README.md)" in (EXAMPLES / "README.md").read_text("ascii")


def test_the_index_has_a_row_for_every_export():
    page = (EXAMPLES / "README.md").read_text("ascii")
    assert re.findall(r"^\| `(\w+)` \| `", page, re.MULTILINE) == list(EXPORTS)
