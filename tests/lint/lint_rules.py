"""The project's own lints: each takes source text and gives findings.

The tests beside this file apply them to the package; `test_lint_catches.py` proves that each rule
fires on bad code and stays silent on good code. CONTRIBUTING.md says why each rule exists.
The rules for kernels are in `lint_kernels.py`.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "mxref"


class Finding(NamedTuple):
    line: int
    rule: str
    message: str

    def __str__(self) -> str:
        return f"line {self.line}: [{self.rule}] {self.message}"


def package_files(folder: str = "") -> list[str]:
    """The package's Python files, relative to the repository, for parametrising a test."""
    files = (PACKAGE / folder).rglob("*.py")
    return sorted(path.relative_to(ROOT).as_posix() for path in files)


def report(file: str, findings: list[Finding]) -> str:
    return "".join(f"\n{file}: {finding}" for finding in findings)


# --- imports ---------------------------------------------------------------------------------

# The house of the design, from the ground up: a unit may import its own layer and those above
# this line, never those below. Top-level private helpers (mxref/_errors.py, ...) are in layer 0.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("formats", "clauses"),
    ("profiles",),
    ("policy", "relatives"),
    ("exact",),
    ("kernels",),
    ("executors",),
    (
        *("arrays", "casts", "mxarray", "randomness", "refusals", "traversal"),
        *("conversions", "bdr", "nvfp4", "quality", "matmul", "layouts", "interop"),
    ),
    ("checkpoints",),
    ("sweep", "differences"),
    ("faults",),
    ("vectors",),
    ("check", "show"),
    ("cli", "testing", "__main__"),
)
LAYER_OF = {unit: layer for layer, units in enumerate(LAYERS) for unit in units}

# Third-party modules that only some units may import: (modules, allowed here, reason).
FENCES = (
    ({"numba", "llvmlite"}, lambda unit: unit == "kernels", "only mxref/kernels compiles"),
    (
        {"ml_dtypes"},
        lambda unit: unit not in {"exact", "kernels"},
        "the definition and the kernels work on bits, never on somebody else's arithmetic",
    ),
)


def layer_of(unit: str) -> int | None:
    is_private_helper = unit.startswith("_") and not unit.startswith("__")
    return 0 if is_private_helper else LAYER_OF.get(unit)


def layer_findings(file: str, source: str) -> list[Finding]:
    """Imports that break the layer order or a fence, in the file at this repository path."""
    module = file.removesuffix(".py").split("/")
    if module == ["mxref", "__init__"]:
        return _root_findings(source)
    unit = module[1]
    layer = layer_of(unit)
    if layer is None:
        return [Finding(1, "unknown", f"mxref.{unit} has no layer: add it to LAYERS in {__file__}")]
    findings = []
    for line, _, target in _imports(ast.parse(source), module):
        top = target[0]
        for modules, allowed, reason in FENCES:
            if top in modules and not allowed(unit):
                findings.append(Finding(line, "fence", f"mxref.{unit} imports {top}: {reason}"))
        if top != "mxref" or target == ["mxref", "__version__"]:
            continue
        # `import mxref` and its lazy public names may reach anything: that is the last layer.
        used = (layer_of(target[1]) if len(target) > 1 else None) or 0
        if len(target) == 1 or layer_of(target[1]) is None:
            used = len(LAYERS) - 1
        if used > layer:
            dotted = ".".join(target[:2])
            message = f"mxref.{unit} (layer {layer}) imports {dotted} (layer {used})"
            findings.append(Finding(line, "layer", message))
    return findings


def _root_findings(source: str) -> list[Finding]:
    """`mxref/__init__.py` resolves its names lazily: only mxref._lazy may be imported at once."""
    return [
        Finding(line, "eager", f"import mxref must stay light: {'.'.join(target)} is imported")
        for line, eager, target in _imports(ast.parse(source), ["mxref", "__init__"])
        if eager and target[0] == "mxref" and target[:2] != ["mxref", "_lazy"]
    ]


def _imports(tree: ast.AST, module: list[str]) -> Iterator[tuple[int, bool, list[str]]]:
    """(line, runs at import time, dotted target) of each import, those for type checkers aside."""

    def walk(node: ast.AST, *, eager: bool) -> Iterator[tuple[int, bool, list[str]]]:
        match node:
            case ast.If(test=ast.Name("TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING")):
                for child in node.orelse:
                    yield from walk(child, eager=eager)
                return
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda():
                eager = False
            case ast.Import():
                for alias in node.names:
                    yield node.lineno, eager, alias.name.split(".")
            case ast.ImportFrom():
                base = module[: -node.level] if node.level else []
                base = base + (node.module.split(".") if node.module else [])
                for alias in node.names:
                    yield node.lineno, eager, [*base, alias.name]
            case ast.Call(
                func=ast.Name("import_module" | "__import__") | ast.Attribute(attr="import_module"),
                args=[ast.Constant(str(name)), *_],
            ):
                yield node.lineno, eager, name.split(".")
        for child in ast.iter_child_nodes(node):
            yield from walk(child, eager=eager)

    return walk(tree, eager=True)


# --- clauses ---------------------------------------------------------------------------------


# Ids that examples misspell on purpose, to show the message.
MISSPELT = {"OP-SCALE-RUL"}


def clause_findings(
    source: str, pattern: str | re.Pattern[str], known: Collection[str]
) -> list[Finding]:
    """Ids of clauses or open points, in code or comments, that the clause table lacks."""
    return [
        Finding(number, "clause", f"{match[0]} is not in mxref.clauses.CLAUSES")
        for number, line in enumerate(source.splitlines(), start=1)
        for match in re.finditer(pattern, line)
        if match[0] not in known and match[0] not in MISSPELT
    ]


# --- house rules -----------------------------------------------------------------------------

MAX_LINES = 400
# Pure data may be longer: file -> why it is not split.
DATA_MODULES: dict[str, str] = {
    "mxref/_choices.py": "one enumeration an open point, in their order",
    "mxref/clauses.py": "one table of all clauses and open points, in the order of the standards",
}
MACHINE_PATH = re.compile(r"(?<![\w.:/])/(?:work|tmp|home|root|opt|mnt|Users)/\w")


def house_findings(file: str, source: str) -> list[Finding]:
    """Modules too long to read in one go, paths of somebody's machine, stray prints."""
    findings = []
    lines = source.splitlines()
    if len(lines) > MAX_LINES and file not in DATA_MODULES:
        findings.append(Finding(MAX_LINES, "long", f"{len(lines)} lines: split the module"))
    findings += [
        Finding(number, "path", f"a path of one machine: {line.strip()}")
        for number, line in enumerate(lines, start=1)
        if MACHINE_PATH.search(line)
    ]
    if not file.startswith("mxref/cli/"):
        findings += [
            Finding(node.lineno, "print", "a library returns text, the command line prints it")
            for node in ast.walk(ast.parse(source))
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "print"
        ]
    return findings
