"""How pages written for GitHub become a site, without Sphinx."""

import importlib.util
import re
from pathlib import Path

import numpy.typing as npt
import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"


def load(name):
    spec = importlib.util.spec_from_file_location(f"docs_{name}", DOCS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


site = load("site_links")
PAGE = DOCS / "how-to" / "page.md"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("[a](../policy.md#x)", "[a](../policy.md#x)"),
        ("[a](../../README.md)", "[a](../index.md)"),
        ("[`a`](../../CONTRIBUTING.md#b)", "[`a`](../project/contributing.md#b)"),
        ("[a](../../mxref/policy.py)", "[a](../../mxref/policy.py)"),  # a copy, by MyST
        ("[a](../../tests/docs)", "a (`tests/docs/`)"),
        ("[a](https://b.c/README.md)", "[a](https://b.c/README.md)"),
        ("`[a](../../README.md)`", "`[a](../../README.md)`"),
        ("```text\n[a](../../README.md)\n```\n", "```text\n[a](../../README.md)\n```\n"),
        ("![a](../../README.md)", "![a](../../README.md)"),
    ],
)
def test_links_out_of_docs(text, wanted):
    assert site.inward(text, PAGE) == wanted


def test_links_of_an_included_file_are_as_seen_from_the_page():
    text = site.included("```{include} ../../README.md\n```\n", PAGE)
    assert text.startswith("# ")
    targets = re.findall(r"\]\((?!https?:|#)([^)#]+)", text)
    assert targets
    for target in targets:
        assert (PAGE.parent / target).resolve().exists(), target


def test_each_included_file_is_there_and_known():
    pages = {}
    for page in DOCS.rglob("*.md"):
        for found in site.INCLUDE.findall(page.read_text(encoding="utf-8")):
            file = (page.parent / found).resolve().relative_to(site.ROOT).as_posix()
            pages[file] = page.relative_to(DOCS).as_posix()
    assert pages
    beside = {"README.md", "mxref/exact"}  # not included: the landing page, and the definition
    assert pages == {file: page for file, page in site.PAGES.items() if file not in beside}
    for page in site.PAGES.values():
        assert (DOCS / page).exists()


def test_a_block_that_is_a_file_has_its_name_above_it():
    text = "<!-- file: a/b.py -->\n<!-- not run: why -->\n```python\n1\n```\n"
    assert site.titled(text) == "```{code-block} python\n:caption: a/b.py\n\n1\n```\n"


def test_types_of_numpy_are_shown_as_the_code_has_them():
    short = load("docstrings").short
    array = "numpy.ndarray[tuple[typing.Any, ...], numpy.dtype[numpy.uint8]]"
    assert short(f"(a: {array}, b: int) -> ~{array}") == (
        "(a: NDArray[numpy.uint8], b: int) -> NDArray[numpy.uint8]"
    )
    parts = npt.ArrayLike.__args__
    like = " | ".join(
        p.__name__ if p.__module__ == "builtins" and isinstance(p, type) else str(p) for p in parts
    )
    like = re.sub(r"<class '(.*?)'>", r"\1", like)
    assert short(f"(a: {like} | None = None)") == "(a: ArrayLike | None = None)"
