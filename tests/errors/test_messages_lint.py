"""Each complaint about an argument repeats what was given, or says what to do instead."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "mxref"

COMPLAINTS = {"ValueError", "TypeError", "IndexError", "KeyError", "OverflowError"}

# Nobody who calls a public function meets these: they are caught and put into a sentence of their
# own (_json, _plan_files, show/_relative_books), or say that mxref itself is at fault.
INNER = {
    "mxref/check/dot/_models.py",
    "mxref/check/dot/_run.py",
    "mxref/check/dot/_terms.py",
    "mxref/checkpoints/_json.py",
    "mxref/checkpoints/_plan_files.py",
    "mxref/kernels/_nvfp4_numpy.py",
    "mxref/kernels/nvfp4.py",
    "mxref/matmul/nvidia_nvfp4.py",
    "mxref/show/_relative_books.py",
    "mxref/vectors/driver.py",
    "mxref/vectors/relatives/dots.py",
    "mxref/vectors/relatives/driver.py",
}


def advises(text):
    """Whether a fixed text goes on to say what to do: behind a colon, or from its first word."""
    return bool(set(":;") & set(text)) or text.startswith("give ")


def mute(source):
    """Yield the lines and texts of complaints that neither repeat anything nor advise anything."""
    tree = ast.parse(source)
    scopes = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    for scope in scopes:
        texts = {}
        for node in ast.walk(scope):
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                texts.setdefault(node.targets[0].id, []).append(node.value)
        for node in ast.walk(scope):
            if not (isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call | ast.Name)):
                continue
            called = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
            if getattr(called, "id", "") not in COMPLAINTS:
                continue
            given = node.exc.args[:1] if isinstance(node.exc, ast.Call) else []
            if given and isinstance(given[0], ast.Name):
                given = texts.get(given[0].id, given)
            for text in given or [None]:
                if text is None:
                    yield node.lineno, ""
                elif isinstance(text, ast.Constant) and not advises(str(text.value)):
                    yield node.lineno, str(text.value)


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("def f(x):\n raise ValueError('bad')", [(2, "bad")]),
        ("def f(x):\n msg = 'bad'\n raise TypeError(msg)", [(3, "bad")]),
        ("def f(x):\n raise ValueError", [(2, "")]),
        ("def f(x):\n raise KeyError()", [(2, "")]),
        ("def f(x):\n raise ValueError(f'x is {x}')", []),
        ("def f(x):\n raise ValueError('x is missing: give one')", []),
        ("def f(x):\n raise ValueError(unknown_name('x', x, y))", []),
        ("def f(x):\n raise RuntimeError('bad')", []),
    ],
)
def test_the_rule(source, found):
    assert list(mute(source)) == found


def test_no_complaint_is_mute():
    files = {
        path: path.relative_to(PACKAGE.parent).as_posix() for path in sorted(PACKAGE.rglob("*.py"))
    }
    assert len(files) > 500
    found = {name: list(mute(path.read_text(encoding="utf-8"))) for path, name in files.items()}
    complaints = {
        f"{name}:{line}": text
        for name, lines in found.items()
        for line, text in lines
        if name not in INNER
    }
    assert complaints == {}
    assert {name for name in INNER if not found.get(name)} == set(), "no longer needed in INNER"
