"""docs/frameworks.md: the table is that of the code, and the examples give what they show."""

import doctest
import importlib.util
from pathlib import Path

import numpy as np
import pytest
from _compare import peers

import mxref

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = DOCS / "frameworks.md"


def page_module():
    spec = importlib.util.spec_from_file_location("frameworks_page", DOCS / "frameworks_page.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


page = page_module()
EXAMPLES = page.examples(PAGE)


def test_the_page_is_up_to_date():
    assert page.frameworks_page(PAGE) == PAGE.read_text(encoding="utf-8"), "run: make docs"


def test_every_example_is_found():
    assert len(EXAMPLES) == PAGE.read_text(encoding="utf-8").count("```python")


@pytest.mark.parametrize(
    "number",
    [
        pytest.param(n, marks=peers(needs) if needs else (), id=f"{n}-{needs}")
        for n, (needs, _) in enumerate(EXAMPLES)
    ],
)
def test_an_example(number):
    head, code = EXAMPLES[0][1], EXAMPLES[number][1]
    parsed = doctest.DocTestParser().get_doctest(f"{head}\n{code}", {}, "page", str(PAGE), 0)
    runner = doctest.DocTestRunner(verbose=False)
    said = []
    runner.run(parsed, out=said.append, clear_globs=False)
    assert not runner.failures, "".join(said)


@pytest.mark.parametrize("name", ["mxfp8_e4m3", "mxfp8_e5m2", "mxfp6_e3m2", "mxint8", "mxfp4"])
def test_the_column_of_ml_dtypes(name):
    q = mxref.quantize(np.ones((2, 64), np.float32), name)
    assert all(np.shares_memory(a, b) for a, b in zip(q.to_ml_dtypes(), (q.codes, q.scales)))  # noqa: B905
