"""The pages that list what the code knows are up to date."""

import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Each says of itself that it is written so; a new one needs no entry here.
# What commands print on them is the business of test_blocks.py.
DOCS = ROOT / "docs"
NOTED = [
    page for page in sorted(DOCS.rglob("*.md")) if "`make docs`" in page.read_text(encoding="utf-8")
]
# An index that is written is checked with all pages of its folder.
FOLDERS = {page.parent for page in NOTED if page.name == "index.md"}
WRITTEN = [
    page.relative_to(DOCS).as_posix()
    for page in NOTED
    if page.name == "index.md" or page.parent not in FOLDERS
]


@pytest.fixture(scope="module")
def generator():
    """docs/generate.py as a module: its imports are most of what a page costs."""
    with pytest.MonkeyPatch.context() as patched:
        patched.syspath_prepend(str(DOCS))
        return importlib.import_module("generate")


@pytest.mark.slow
@pytest.mark.parametrize("page", WRITTEN)
def test_generated_pages_are_up_to_date(page, generator):
    assert generator.stale([page], sessions=False) == [], "run: make docs"


def test_a_page_of_something_that_is_gone_is_out_of_date(generator, tmp_path, monkeypatch):
    monkeypatch.setattr(generator, "HERE", tmp_path)
    name = "reference/formats/index.md"
    folder = (tmp_path / name).parent
    folder.mkdir(parents=True)
    for page in ("index.md", "e4m3.md", "e9m9.md"):
        (folder / page).touch()
    made = {name: "", "reference/formats/e4m3.md": ""}
    assert generator.gone(name, made) == [folder / "e9m9.md"]
    assert generator.gone("how-to/index.md", {}) == []  # written by hand


def test_a_page_that_is_not_written_is_refused(generator):
    with pytest.raises(SystemExit, match=r"protocols\.md: nothing on it is written"):
        generator.stale(["protocols.md"], sessions=False)
