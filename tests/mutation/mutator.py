"""Mutants of one Python source: each a small edit of its text, at a place that its AST names.

Text is edited, not the tree printed anew, so that a mutant differs from the source in one place
and its diff can be shown. Lane programs compare by method calls (`where_above`), so that those have
operators of their own.
"""

from __future__ import annotations

import ast
import hashlib
import itertools
from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple

__all__ = ["OPERATORS", "Mutant", "mutants"]

OPERATORS = {
    "arithmetic": "`+` and `-` swapped; `*` to `+`, `//` to `*`, `%` to `//`",
    "shift": "`<<` and `>>` swapped",
    "bits": "`&` to `|`, `|` to `&`, `^` to `|` and to `&`",
    "boundary": "`<` and `<=`, `>` and `>=` swapped; `where_above(a, b, …)` to a >= b",
    "equality": "`==` and `!=`, `is` and `is not`, `in` and `not in` swapped",
    "branches": "the two results of `where`, `where_above` or `where_equal` swapped",
    "constant": "an integer one more, and one less; True and False swapped",
    "extreme": "minimum and maximum, `min` and `max`, `any` and `all`, `floor` and `ceil` swapped",
    "condition": "the condition of `if`, `while` and `a if c else b` negated",
    "logic": "`and` and `or` swapped",
    "unary": "`-`, `~` and `not` removed",
    "removal": "a statement removed: a call, an assignment to a name that was bound before",
}
"""What the mutation operators do."""

_BINARY = {
    ast.Add: ("+", "arithmetic", ("-",)),
    ast.Sub: ("-", "arithmetic", ("+",)),
    ast.Mult: ("*", "arithmetic", ("+",)),
    ast.FloorDiv: ("//", "arithmetic", ("*",)),
    ast.Mod: ("%", "arithmetic", ("//",)),
    ast.LShift: ("<<", "shift", (">>",)),
    ast.RShift: (">>", "shift", ("<<",)),
    ast.BitAnd: ("&", "bits", ("|",)),
    ast.BitOr: ("|", "bits", ("&",)),
    ast.BitXor: ("^", "bits", ("|", "&")),
}
_COMPARED = {
    ast.Lt: ("<", "boundary", "<="),
    ast.LtE: ("<=", "boundary", "<"),
    ast.Gt: (">", "boundary", ">="),
    ast.GtE: (">=", "boundary", ">"),
    ast.Eq: ("==", "equality", "!="),
    ast.NotEq: ("!=", "equality", "=="),
    ast.Is: ("is", "equality", "is not"),
    ast.IsNot: ("is not", "equality", "is"),
    ast.In: ("in", "equality", "not in"),
    ast.NotIn: ("not in", "equality", "in"),
}
_EXTREMES = {"minimum": "maximum", "min": "max", "any": "all", "floor": "ceil"}
_EXTREMES |= {new: old for old, new in _EXTREMES.items()}
_WHERE = {"where": 1, "where_above": 2, "where_equal": 2}  # the place of the first result
_OUTSIDE = ("", "class")  # of functions


class _Edit(NamedTuple):
    start: int
    stop: int
    text: bytes


@dataclass(frozen=True, slots=True)
class Mutant:
    """One mutant.

    `key` depends on the text of its line, not on the line's number: what a person wrote about a
    mutant stays valid while other lines change.
    """

    module: str
    function: str
    operator: str
    line: int
    lines: tuple[int, int]  # of the innermost statement, without its block
    key: str
    before: str
    after: str
    text: str


def mutants(
    module: str, source: str, excluded: frozenset[str] = frozenset()
) -> tuple[list[Mutant], Counter[str]]:
    """Every mutant of a source, and how many were left out by reason.

    Parameters
    ----------
    module : str
        The name of its file.
    source : str
        Its text.
    excluded : set of str
        Functions and classes without mutants.
    """
    finder = _Finder(source, excluded)
    finder.block(ast.parse(source).body, "")
    raw = source.encode()
    places: Counter[tuple[str, str]] = Counter()
    found = []
    for function, operator, statement, edits in finder.found:
        changed = raw
        for edit in sorted(edits, reverse=True):
            changed = changed[: edit.start] + edit.text + changed[edit.stop :]
        text = changed.decode()
        ast.parse(text)
        first = min(edit.start for edit in edits)
        last = max(edit.stop for edit in edits)
        grown = len(changed) - len(raw)
        line = raw[:first].count(b"\n")
        before = _lines(raw, first, last)
        place = (operator, before)
        digest = hashlib.sha256("|".join((module, *place, str(places[place]))).encode())
        places[place] += 1
        after = _lines(changed, first, last + grown)
        span = _header(statement)
        key = digest.hexdigest()[:10]
        found.append(Mutant(module, function, operator, line + 1, span, key, before, after, text))
    return found, finder.left_out


def _lines(raw: bytes, first: int, last: int) -> str:
    """The whole lines of a span, put together in one."""
    start = raw.rfind(b"\n", 0, first) + 1
    stop = raw.find(b"\n", last)
    text = raw[start : stop if stop >= 0 else None].decode()
    return " ".join(line.strip() for line in text.splitlines())


def _header(statement: ast.stmt) -> tuple[int, int]:
    """First and last line of a statement without the blocks below it."""
    body = getattr(statement, "body", None)
    cases = getattr(statement, "cases", None)
    if cases:
        return statement.lineno, statement.lineno
    last = body[0].lineno - 1 if body else statement.end_lineno
    return statement.lineno, max(statement.lineno, int(last or 0))


def _is_table(node: ast.expr | None) -> bool:
    """Whether a value at module or class level is a table, not a number with a meaning."""
    return not isinstance(node, (ast.Constant, ast.BinOp, ast.UnaryOp))


def _is_interpreted(statement: ast.stmt) -> bool:
    """`if INTERPRETED:` whose block returns: what follows is for compiled kernels."""
    return (
        isinstance(statement, ast.If)
        and isinstance(statement.test, ast.Name)
        and statement.test.id == "INTERPRETED"
    )


class _Finder:
    def __init__(self, source: str, excluded: frozenset[str]) -> None:
        self.raw = source.encode()
        self.starts = [0]
        for line in self.raw.splitlines(keepends=True):
            self.starts.append(self.starts[-1] + len(line))
        self.excluded = excluded
        self.found: list[tuple[str, str, ast.stmt, tuple[_Edit, ...]]] = []
        self.function = ""
        self.left_out: Counter[str] = Counter()
        self.statement: ast.stmt = ast.Pass(lineno=1, end_lineno=1)
        self.bound: set[str] = set()
        self.is_silent: str | None = None

    # --- places and edits ---

    def start(self, node: ast.expr | ast.stmt) -> int:
        return self.starts[node.lineno - 1] + node.col_offset

    def stop(self, node: ast.expr | ast.stmt) -> int:
        return self.starts[int(node.end_lineno or 0) - 1] + int(node.end_col_offset or 0)

    def segment(self, node: ast.expr) -> bytes:
        return self.raw[self.start(node) : self.stop(node)]

    def replace(self, node: ast.expr | ast.stmt, text: bytes) -> _Edit:
        return _Edit(self.start(node), self.stop(node), text)

    def between(self, left: ast.expr, right: ast.expr, token: str) -> tuple[int, int]:
        """The place of an operator between its operands, past brackets."""
        at = self.raw.index(token.encode(), self.stop(left), self.start(right))
        return at, at + len(token)

    def add(self, operator: str, *edits: _Edit) -> None:
        if self.is_silent is None:
            self.found.append((self.function, operator, self.statement, edits))
        else:
            self.left_out[self.is_silent] += 1

    def without(self, reason: str, nodes: list[ast.stmt], where: str) -> None:
        """Walk statements, counting their mutants only."""
        outer, self.is_silent = self.is_silent, self.is_silent or reason
        self.block(nodes, where)
        self.is_silent = outer

    # --- statements ---

    def block(self, body: list[ast.stmt], where: str) -> None:
        for i, statement in enumerate(body):
            self.one(statement, where)
            if (
                _is_interpreted(statement)
                and isinstance(statement, ast.If)
                and not statement.orelse
            ):
                self.without("runs compiled only", body[i + 1 :], where)
                return

    def one(self, statement: ast.stmt, where: str) -> None:
        self.statement = statement
        match statement:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                self.definition(statement, name)
                return
            case ast.Import() | ast.ImportFrom() | ast.Raise() | ast.Assert():
                return
            case ast.Expr(value=ast.Constant()):
                return  # a docstring
            case ast.Assign(value=value) | ast.AnnAssign(value=value) if where in _OUTSIDE:
                if where == "class" or _is_table(value):
                    outer, self.is_silent = self.is_silent, "constant table"
                    self.expressions(statement)
                    self.is_silent = outer
                    return
        self.removal(statement, where)
        if isinstance(statement, (ast.If, ast.While)):
            self.condition(statement.test)
        self.expressions(statement)
        before, after = set(self.bound), set(self.bound)
        branches = [getattr(statement, name, []) for name in ("body", "orelse")]
        for case in getattr(statement, "cases", []):
            self.pattern(case.pattern)
            branches.append(case.body)
        for i, inner in enumerate(branches):
            self.bound = set(before)  # what one branch binds, another has not
            if i == 1 and _is_interpreted(statement):
                self.without("runs compiled only", inner, where)
            else:
                self.block(inner, where)
            after |= self.bound
        self.bound = after

    def definition(self, node: ast.FunctionDef | ast.ClassDef, name: str) -> None:
        outer, outer_function = self.bound, self.function
        self.function = f"{outer_function}.{name}".lstrip(".")
        if isinstance(node, ast.FunctionDef):
            self.bound = {arg.arg for arg in [*node.args.args, *node.args.kwonlyargs]}
        if name in self.excluded:
            self.without("excluded by name", node.body, name)
        else:
            is_class = isinstance(node, ast.ClassDef)
            self.block(node.body, "class" if is_class else name)
        self.bound, self.function = outer, outer_function

    def removal(self, statement: ast.stmt, where: str) -> None:
        targets: list[ast.expr] = []
        match statement:
            case ast.Assign():
                targets = statement.targets
            case ast.AugAssign() | ast.AnnAssign():
                targets = [statement.target]
        # What a name is bound to a second time, or an element of an array.
        names = {n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name)}
        is_call = isinstance(statement, ast.Expr)
        if where not in _OUTSIDE and (is_call or (targets and names <= self.bound)):
            self.add("removal", self.replace(statement, b"pass"))
        self.bound |= names

    def condition(self, test: ast.expr) -> None:
        edits = (
            _Edit(self.start(test), self.start(test), b"not ("),
            _Edit(self.stop(test), self.stop(test), b")"),
        )
        self.add("condition", *edits)

    def pattern(self, pattern: ast.pattern) -> None:
        for node in ast.walk(pattern):
            if isinstance(node, ast.MatchValue):
                self.expression(node.value)

    # --- expressions ---

    def expressions(self, statement: ast.stmt) -> None:
        """The expressions of a statement itself, not of its block; annotations mean nothing."""
        for name, value in ast.iter_fields(statement):
            if name in ("annotation", "decorator_list", "returns"):
                continue
            for node in value if isinstance(value, list) else [value]:
                if isinstance(node, ast.expr):
                    self.expression(node)

    def expression(self, node: ast.AST) -> None:
        match node:
            case ast.BinOp(left=left, right=right, op=op) if type(op) in _BINARY:
                token, operator, others = _BINARY[type(op)]
                place = self.between(left, right, token)
                for other in others:
                    self.add(operator, _Edit(*place, other.encode()))
            case ast.Compare(left=left, comparators=rights, ops=ops):
                for a, b, op in zip([left, *rights], rights, ops, strict=False):
                    token, operator, other = _COMPARED[type(op)]
                    self.add(operator, _Edit(*self.between(a, b, token), other.encode()))
            case ast.BoolOp(op=op, values=values):
                old, new = ("and", b"or") if isinstance(op, ast.And) else ("or", b"and")
                pairs = itertools.pairwise(values)
                self.add("logic", *(_Edit(*self.between(a, b, old), new) for a, b in pairs))
            case ast.UnaryOp(op=op):
                at, size = self.start(node), len("not ") if isinstance(op, ast.Not) else 1
                self.add("unary", _Edit(at, at + size, b""))
            case ast.IfExp(test=test):
                self.condition(test)
            case ast.Call():
                self.call(node)
            case ast.Constant():
                self.constant(node)
        for child in ast.iter_child_nodes(node):
            if isinstance(child, (ast.expr, ast.keyword, ast.comprehension)):
                self.expression(child)

    def call(self, node: ast.Call) -> None:
        function = node.func
        name = function.attr if isinstance(function, ast.Attribute) else ""
        name = function.id if isinstance(function, ast.Name) else name
        if name in _EXTREMES:
            stop = self.stop(function)
            new = _EXTREMES[name].encode()
            self.add("extreme", _Edit(stop - len(name), stop, new))
        first = _WHERE.get(name)
        if first is None or len(node.args) != first + 2:
            return
        a, b = node.args[first], node.args[first + 1]
        swapped = (self.replace(a, self.segment(b)), self.replace(b, self.segment(a)))
        self.add("branches", *swapped)
        if name == "where_above":  # a >= b is not b > a
            left, right = node.args[:2]
            turned = (
                self.replace(left, self.segment(right)),
                self.replace(right, self.segment(left)),
            )
            self.add("boundary", *turned, *swapped)

    def constant(self, node: ast.Constant) -> None:
        value = node.value
        if isinstance(value, bool):
            self.add("constant", self.replace(node, str(not value).encode()))
        elif isinstance(value, int):
            is_hex = self.segment(node).startswith(b"0x")
            for other in (value + 1, value - 1):
                text = f"0x{other:X}" if is_hex and other >= 0 else str(other)
                self.add("constant", self.replace(node, text.encode()))
