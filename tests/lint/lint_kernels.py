"""The rules for compiled code in mxref/kernels: integers only, every step cast to its width.

Why each rule exists, with what was measured, is in CONTRIBUTING.md, "Rules for kernels".

Words: an *index* counts or addresses and is int64 throughout; *data* is everything else, and has
the width that a cast such as `u32(...)` gives it.
"""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from lint_rules import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

DECORATORS = {"kernel", "parallel_kernel", "inline"}
RAW_DECORATORS = {"jit", "njit", "vectorize", "guvectorize", "stencil"}

# Both spellings of a cast, u32(...) and np.uint32(...), to the one width that they mean.
CASTS = {
    alias: f"{kind}{bits}"
    for bits in (8, 16, 32, 64)
    for kind in ("uint", "int")
    for alias in (f"{kind}{bits}", f"{kind[0]}{bits}")
} | {"bool": "bool", "bool_": "bool"}
CASTS["WORD"] = "word"  # the source's own width, u32 or u64, fixed when a kernel is made

FLOATS = {"float", "math"} | {f"{kind}{bits}" for kind in ("float", "f") for bits in (16, 32, 64)}

INDEX_NAME = re.compile(
    r"[ijkn]\d?|n_\w+|rows?|cols?|base|blocks?|lanes?|lo|hi|start|stop|step|offset|chunk|tile|LANES|CHUNK|TILE"
)
BOOL_NAME = re.compile(r"(is|has)_\w+")

_WRAPPING = (ast.Add, ast.Sub, ast.Mult, ast.LShift)
_SEES_HIGH_BITS = (ast.RShift, ast.FloorDiv, ast.Mod)
_BITWISE = (ast.BitAnd, ast.BitOr, ast.BitXor)


def kernel_findings(source: str) -> list[Finding]:
    """What breaks the rules for kernels in the source of one module of mxref/kernels."""
    tree = ast.parse(source)
    findings = list(_module_findings(tree))
    constants = _int_constants(tree)
    for node in ast.walk(tree):
        if _is_compiled(node):
            findings += _Kernel(node, constants).findings()
    return sorted(set(findings))


def program_findings(source: str) -> list[Finding]:
    """Floats in a module of lane programs, whose words have a width of their own."""
    findings = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Constant(value=float() | complex()):
                findings.append(Finding(node.lineno, "float", f"float literal {node.value}"))
            case ast.BinOp(op=ast.Div() | ast.Pow() | ast.FloorDiv() | ast.Mod() | ast.Mult()):
                message = "lane programs have + - & | ^ << >> only"
                findings.append(Finding(node.lineno, "operator", message))
    return findings


def _module_findings(tree: ast.Module) -> Iterator[Finding]:
    for node in ast.walk(tree):
        match node:
            case ast.keyword(arg="fastmath", value=ast.Constant(value=False)):
                pass
            case ast.keyword(arg="fastmath", value=value):
                yield Finding(value.lineno, "fastmath", "fastmath changes results")
            case ast.FunctionDef() if _decorators(node) & RAW_DECORATORS:
                message = f"{node.name}: use kernel, parallel_kernel or inline of kernels._jit"
                yield Finding(node.lineno, "decorator", message)


class _Kernel:
    """One compiled function."""

    def __init__(self, function: ast.FunctionDef, constants: set[str]) -> None:
        self.function = function
        self.constants = constants
        self.widths: dict[str, set[str]] = {}

    def findings(self) -> Iterator[Finding]:
        for root in [self.function.args, *self.function.body]:
            for node in ast.walk(root):
                yield from self._float_findings(node)
        for root in self.function.body:
            for node in _outside_addresses(root):
                yield from self._literal_findings(node)
                yield from self._binding_findings(node)
                yield from self._step_findings(node)
        for name, widths in self.widths.items():
            if len(widths) > 1:
                message = f"{name} is bound as {' and '.join(sorted(widths))}: use two names"
                yield Finding(self.function.lineno, "rebound", message)

    def _float_findings(self, node: ast.AST) -> Iterator[Finding]:
        line = getattr(node, "lineno", self.function.lineno)
        match node:
            case ast.Constant(value=float() | complex()):
                yield Finding(line, "float", f"float literal {node.value}")
            case ast.BinOp(op=ast.Div()) | ast.AugAssign(op=ast.Div()):
                yield Finding(line, "division", "true division gives a float; use // or a shift")
            case ast.BinOp(op=ast.Pow()) | ast.AugAssign(op=ast.Pow()):
                yield Finding(line, "power", "** may give a float; use a shift")
            case ast.Name(id=name) | ast.Attribute(attr=name) if name in FLOATS:
                yield Finding(line, "float", f"{name}: kernels see bit patterns only")

    def _literal_findings(self, node: ast.AST) -> Iterator[Finding]:
        """A bare int is int64: it widens the data that it meets, or makes it signed or a float."""
        match node:
            case ast.BinOp(left=left, right=right):
                operands = [left, right]
            case ast.Compare(left=left, comparators=comparators):
                operands = [left, *comparators]
            case ast.AugAssign(target=target, value=value):
                operands = [target, value]
            case _:
                operands = []
        if all(self._is_index(operand) for operand in operands):
            operands = _becoming_data(node)
        for operand in operands:
            if _is_int(operand, self.constants):
                message = f"bare {ast.unparse(operand)} as data: cast it, as in u32(...)"
                yield Finding(operand.lineno, "literal", message)

    def _binding_findings(self, node: ast.AST) -> Iterator[Finding]:
        """Arithmetic on narrow integers is 64 bits wide until it is cast."""
        match node:
            case ast.AugAssign(target=ast.Name(id=name)) if not _is_index_name(name):
                message = f"{name} changes its width here: write {name} = u32({name} ...)"
                yield Finding(node.lineno, "width", message)
            case ast.Return(value=ast.expr() as result):
                for value in _leaves(result):
                    if _is_arithmetic(value) and not self._is_index(value):
                        message = f"{ast.unparse(value)} is returned: cast it to its width"
                        yield Finding(node.lineno, "width", message)
        for target, value in _bindings(node):
            width = _cast_of(value)
            if _is_index_name(target):
                self.widths.setdefault(target, set()).add(width or "an index")
            elif _is_arithmetic(value):
                message = f"{target} = {ast.unparse(value)}: cast the step to its width"
                yield Finding(node.lineno, "width", message)
            elif width and target.isidentifier():
                self.widths.setdefault(target, set()).add(width)

    def _step_findings(self, node: ast.AST) -> Iterator[Finding]:
        """`(a + b) >> c` sees the carry that u32(a + b) drops."""
        match node:
            case ast.BinOp(left=left, right=right, op=op) if isinstance(op, _SEES_HIGH_BITS):
                operands = [left, right]
            case ast.BinOp(right=right, op=ast.LShift()):
                operands = [right]
            case ast.Compare(left=left, comparators=comparators):
                operands = [left, *comparators]
            case ast.Call(func=ast.Name("min" | "max"), args=args):
                operands = args
            case _:
                return
        for operand in operands:
            if _may_wrap(operand) and not self._is_index(operand):
                message = f"{ast.unparse(operand)} is used before it is cast to its width"
                yield Finding(node.lineno, "width", message)

    def _is_index(self, node: ast.expr) -> bool:
        """Made of literals, index names, shapes and lengths only."""
        match node:
            case ast.Name(id=name) if _is_index_name(name):
                return True
            case ast.Attribute(attr="size" | "ndim") | ast.Call(func=ast.Name("len")):
                return True
            case ast.Subscript(value=ast.Attribute(attr="shape")):
                return True
            case ast.UnaryOp(operand=operand):
                return self._is_index(operand)
            case ast.BinOp(left=left, right=right):
                return self._is_index(left) and self._is_index(right)
            case ast.Call(func=ast.Name("min" | "max"), args=args):
                return all(self._is_index(arg) for arg in args)
        return _is_int(node, self.constants)


def _decorators(function: ast.FunctionDef) -> set[str]:
    calls = (node.func if isinstance(node, ast.Call) else node for node in function.decorator_list)
    return {ast.unparse(node).rpartition(".")[2] for node in calls}


def _is_compiled(node: ast.AST) -> bool:
    return isinstance(node, ast.FunctionDef) and bool(_decorators(node) & DECORATORS)


def _int_constants(tree: ast.Module) -> set[str]:
    """Names bound to bare ints outside the compiled functions: literals by another name."""
    constants: set[str] = set()

    def collect(node: ast.AST) -> None:
        for child in ast.iter_child_nodes(node):
            if not _is_compiled(child):
                constants.update(n for n, value in _bindings(child) if _is_int(value, constants))
                collect(child)

    collect(tree)
    return constants


def _outside_addresses(node: ast.AST) -> Iterator[ast.AST]:
    """Like ast.walk, but not into indices, arguments of range, and annotations."""
    yield node
    match node:
        case ast.Subscript(value=value):
            children: Iterable[ast.AST] = [value]
        case ast.Call(func=ast.Name("range" | "prange") | ast.Attribute(attr="prange")):
            children = []
        case ast.AnnAssign(target=target, value=value):
            children = [target, value] if value else [target]
        case _:
            children = ast.iter_child_nodes(node)
    for child in children:
        yield from _outside_addresses(child)


def _becoming_data(node: ast.AST) -> list[ast.expr]:
    """The expressions that this node binds to data, returns, or hands to an inlined function."""
    match node:
        case ast.Return(value=ast.expr() as value):
            return list(_leaves(value))
        case ast.Call(func=ast.Name(id=name), args=args, keywords=keywords):
            # An intrinsic (..._lanes) takes compile-time integers beside data, and checks both.
            is_free = name in {"range", "prange", "len", "min", "max"} or name.endswith("_lanes")
            if name not in CASTS and not is_free:
                return [*args, *(word.value for word in keywords)]
    return [value for target, value in _bindings(node) if not _is_index_name(target)]


def _bindings(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """(target, value) of an assignment, tuples taken apart; both branches of a conditional."""
    match node:
        case ast.Assign(targets=targets, value=value):
            pairs = [(target, value) for target in targets]
        case ast.AnnAssign(target=target, value=ast.expr() as value):
            pairs = [(target, value)]
        case ast.NamedExpr(target=target, value=value):
            pairs = [(target, value)]
        case _:
            return
    for target, value in pairs:
        if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
            singles = list(zip(target.elts, value.elts, strict=False))
        else:
            singles = [(target, value)]
        for one, its_value in singles:
            yield from ((ast.unparse(one), leaf) for leaf in _leaves(its_value))


def _leaves(value: ast.expr) -> Iterator[ast.expr]:
    match value:
        case ast.IfExp(body=body, orelse=orelse):
            yield from _leaves(body)
            yield from _leaves(orelse)
        case ast.Tuple(elts=elts):
            for element in elts:
                yield from _leaves(element)
        case _:
            yield value


def _is_int(node: ast.expr, constants: set[str]) -> bool:
    """A bare int: a literal, a name for one, or arithmetic on these."""
    match node:
        case ast.Constant(value=value):
            return type(value) is int
        case ast.Name(id=name):
            return name in constants
        case ast.UnaryOp(operand=operand):
            return _is_int(operand, constants)
        case ast.BinOp(left=left, right=right):
            return _is_int(left, constants) and _is_int(right, constants)
    return False


def _is_index_name(name: str) -> bool:
    return INDEX_NAME.fullmatch(name) is not None


def _cast_of(value: ast.expr) -> str | None:
    if not isinstance(value, ast.Call):
        return None
    return CASTS.get(ast.unparse(value.func).rpartition(".")[2])


def _is_boolean(node: ast.expr) -> bool:
    match node:
        case ast.Compare() | ast.BoolOp() | ast.UnaryOp(op=ast.Not()):
            return True
        case ast.Name(id=name):
            return BOOL_NAME.fullmatch(name) is not None
        case ast.BinOp(left=left, right=right, op=op):
            return isinstance(op, _BITWISE) and _is_boolean(left) and _is_boolean(right)
    return _cast_of(node) == "bool"


def _is_arithmetic(node: ast.expr) -> bool:
    match node:
        case ast.BinOp():
            return not _is_boolean(node)
        case ast.UnaryOp(op=ast.Invert()):
            return True
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return not isinstance(operand, ast.Constant)
    return False


def _may_wrap(node: ast.expr) -> bool:
    """Whether this uncast step may differ from its cast in the bits above its width."""
    match node:
        case ast.BinOp(op=ast.BitAnd(), left=left, right=right):
            return _may_wrap(left) and _may_wrap(right)
        case ast.BinOp(op=op, left=left, right=right):
            return isinstance(op, _WRAPPING) or _may_wrap(left) or _may_wrap(right)
        case ast.UnaryOp(op=ast.Invert() | ast.USub(), operand=operand):
            return not isinstance(operand, ast.Constant)
    return False
