"""The way from the inputs of a vector to its output, as lines: one function an operation.

The output comes from `mxref.exact` again, not from the file, so that the two can be compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from types import MappingProxyType

from mxref.exact import block, dot, element, ieee, scale
from mxref.exact.number import Number, NumberClass
from mxref.formats import BlockFormat, block_format
from mxref.policy import Policy
from mxref.show._explain_views import without_heading
from mxref.show._input import brief
from mxref.show._matmul_steps import matmul_steps
from mxref.show._relative_steps import RELATIVE_STEPS
from mxref.show._text import WIDTH, decimal, field, powers
from mxref.show.codes import show
from mxref.show.explain import explain
from mxref.vectors import Case, Inputs, VectorFile
from mxref.vectors.operations import input_digits

__all__ = ["case_steps"]

_Block = tuple[int, Sequence[int]]  # a scale code and element codes

_SHOWN = 64  # rows of a table; a tensor may have thousands
_TILE = (128, 4)


def case_steps(file: VectorFile, case: Case) -> list[str]:
    """Return the steps of a case as lines of at most 80 columns."""
    steps = _STEPS[file.operation]
    try:
        return list(steps(file, case.inputs))
    except ValueError as error:  # the policy refuses the input
        lines = field("refused", str(error))
    for member in case.members:
        if member.out is not None and any(member.when):
            choices = next(filter(None, member.when))
            said = ", ".join(f"{name}={choice}" for name, choice in choices.items())
            other = replace(file, policy=file.policy.replace(**choices))
            return [*lines, *field("otherwise", f"under {said}:"), *steps(other, case.inputs)]
    return lines


def _policy(file: VectorFile) -> Policy:
    assert isinstance(file.policy, Policy)  # noqa: S101  # the operations below are on MX formats
    return file.policy


def _floats(inputs: Inputs) -> list[str]:
    digits = input_digits(inputs)
    return [f"{inputs.type}:0x{bits:0{digits}x}" for bits in inputs.bits]


def _numbers(inputs: Inputs) -> list[Number]:
    return [ieee.from_bits(bits, str(inputs.type)) for bits in inputs.bits]


# --- one number, one block -------------------------------------------------------------------


def _encode(file: VectorFile, inputs: Inputs) -> Iterator[str]:
    draw = inputs.random[0] if inputs.random else None
    if draw is not None:
        yield from field("random", f"R = 0x{draw:x}")
    view = explain(_floats(inputs)[0], file.format, _policy(file), random=draw)
    yield from without_heading(str(view))


def _decode(file: VectorFile, inputs: Inputs) -> Iterator[str]:
    view = show(file.format, inputs.bits[0])
    yield from str(view).splitlines()[1:]
    number = (
        scale.decode(inputs.bits[0], file.format)
        if file.format == "e8m0"
        else element.decode(inputs.bits[0], file.format, _policy(file))
    )
    bits = ieee.to_bits(number, "float32", _policy(file))
    clauses = ("OP-DECODE-NAN",) if number.cls is NumberClass.NAN else ()
    yield from field("float32", f"{brief(number)} = 0x{bits:08x}", clauses)


def _quantize(file: VectorFile, inputs: Inputs) -> Iterator[str]:
    yield from without_heading(str(explain(_floats(inputs), file.format, _policy(file))))


def _dequantize(file: VectorFile, inputs: Inputs) -> Iterator[str]:
    fmt = block_format(file.format)
    X = scale.decode(inputs.scales[0], fmt.scale)
    yield from _scale_line("scale", inputs.scales[0], X, fmt)
    values = block.dequantize(inputs.scales[0], inputs.bits, fmt, _policy(file))
    rows = [("i", "code", "P", "v = X * P", "float32")]
    for i, (code, value) in enumerate(zip(inputs.bits, values, strict=True)):
        P = element.decode(code, fmt.element, _policy(file))
        rows.append((str(i), _code(code, fmt), brief(P), brief(value), _float32(value, file)))
    yield from _table(rows)


def _scale_line(label: str, code: int, X: Number, fmt: BlockFormat) -> list[str]:
    if X.cls is NumberClass.NAN:
        return field(label, f"0x{code:02x} is NaN", ("MX-1.0/5.1/nan-scale",))
    return field(
        label, f"X = 2^(0x{code:02x} - {fmt.scale.bias}) = {_power(X)}", ("MX-1.0/5.1/value",)
    )


def _power(X: Number) -> str:
    return "NaN" if X.cls is NumberClass.NAN else powers(X.value).removeprefix("+")


def _code(code: int, fmt: BlockFormat) -> str:
    return f"0x{code:0{-(-fmt.element.bits // 4)}x}"


def _float32(value: Number, file: VectorFile) -> str:
    return f"{ieee.to_bits(value, 'float32', _policy(file)):08x}"


# --- dot product -----------------------------------------------------------------------------


def _dot(file: VectorFile, inputs: Inputs) -> Iterator[str]:
    fmt_a, fmt_b = (block_format(name) for name in file.format.split("-"))
    other, k, size = inputs.other, inputs.shape[0], fmt_a.block_size
    if other is None:
        raise AssertionError("a dot product has two operands")
    blocks = -(-k // size)
    yield from field("length", f"k = {k}: {_plural(blocks, 'block')} of {size}")
    padding = size * len(inputs.scales) - k
    if padding:
        text = f"the last {_plural(padding, 'element')} of each operand do not count"
        yield from field("padding", text, ("MX-1.0/6.2/padding",))
    whole: tuple[list[_Block], list[_Block]] = [], []
    for index in range(blocks):
        place = slice(index * size, min(k, (index + 1) * size))
        a = inputs.scales[index], inputs.bits[place]
        b = other.scales[index], other.bits[place]
        whole[0].append(a)
        whole[1].append(b)
        yield f"  block {index}" if blocks > 1 else "  block"
        yield from _dot_block(a, fmt_a, b, fmt_b)
    total = dot.dot_general(whole[0], fmt_a, whole[1], fmt_b)
    if blocks > 1:
        yield from field("sum", f"of all blocks: {_exact(total)}", ("MX-1.0/6.2/dot-general",))
    bits = ieee.to_bits(total, "float32", _policy(file))
    rounded = ieee.from_bits(bits, "float32")
    clauses = ("OP-DOT-NAN",) if total.cls is NumberClass.NAN else ("MX-1.0/6.2/float32",)
    exact = "exact" if rounded == total else "rounded once, to nearest even"
    how = "NaN" if total.cls is NumberClass.NAN else exact
    yield from field("float32", f"0x{bits:08x} = {brief(rounded)} ({how})", clauses)


def _dot_block(a: _Block, fmt_a: BlockFormat, b: _Block, fmt_b: BlockFormat) -> Iterator[str]:
    X_A, X_B = scale.decode(a[0], fmt_a.scale), scale.decode(b[0], fmt_b.scale)
    scales = f"X_A = 0x{a[0]:02x} = {_power(X_A)}, X_B = 0x{b[0]:02x} = {_power(X_B)}"
    is_nan = NumberClass.NAN in (X_A.cls, X_B.cls)
    yield from field("scales", scales, ("MX-1.0/5.1/nan-scale",) if is_nan else ())
    rows = [("i", "a", "P_A", "b", "P_B", "product")]
    one = 0x7F
    zeros = 0
    for i, (code_a, code_b) in enumerate(zip(a[1], b[1], strict=True)):
        P_A, P_B = element.decode(code_a, fmt_a.element), element.decode(code_b, fmt_b.element)
        product = dot.dot(one, (code_a,), fmt_a, one, (code_b,), fmt_b)
        if product.cls is NumberClass.ZERO:
            zeros += 1
            continue
        sides = _code(code_a, fmt_a), brief(P_A), _code(code_b, fmt_b), brief(P_B)
        rows.append((str(i), *sides, brief(product)))
    if len(rows) > 1:
        yield from _table(rows)
    if zeros:
        yield from field("", f"{_plural(zeros, 'product')} of zero left out")
    total = dot.dot(one, a[1], fmt_a, one, b[1], fmt_b)
    yield from field("sum", f"of the products: {_exact(total)}")
    value = dot.dot(*a, fmt_a, *b, fmt_b)
    yield from field("value", f"X_A * X_B * sum = {_exact(value)}", ("MX-1.0/6.1/dot",))


def _exact(number: Number) -> str:
    if number.cls is not NumberClass.FINITE:
        return str(number)
    short, exact = decimal(number.value), powers(number.value)
    return short if short == exact.removeprefix("+") else f"{exact} = {short}"


# --- tensors ---------------------------------------------------------------------------------


def _block_places(inputs: Inputs, size: int) -> Iterator[tuple[int, int, list[tuple[int, int]]]]:
    """Each block of a tensor: its row and its column in the scale plane, and its elements."""
    rows, columns = inputs.shape
    axis = inputs.axis
    across = (rows, -(-columns // size)) if axis == 1 else (-(-rows // size), columns)
    for r in range(across[0]):
        for c in range(across[1]):
            if axis == 1:
                span = range(c * size, min(columns, (c + 1) * size))
                yield r, c, [(r, j) for j in span]
            else:
                span = range(r * size, min(rows, (r + 1) * size))
                yield r, c, [(i, c) for i in span]


def _geometry(inputs: Inputs, size: int) -> Iterator[str]:
    rows, columns = inputs.shape
    length = inputs.shape[inputs.axis or 0]
    along = "down the columns" if inputs.axis == 0 else "along the rows"
    yield from field(
        "shape", f"{rows} x {columns}, row-major; blocks of {size} {along} (axis {inputs.axis})",
        ("OP-BLOCK-GEOMETRY",),
    )  # fmt: skip
    if length % size:
        text = f"the last block of each line has {_plural(length % size, 'element')}"
        yield from field("tail", text, ("OP-BLOCK-TAIL",))


def _where(cells: Sequence[tuple[int, int]]) -> str:
    (r0, c0), (r1, c1) = cells[0], cells[-1]
    rows = f"{r0}" if r0 == r1 else f"{r0}..{r1}"
    columns = f"{c0}" if c0 == c1 else f"{c0}..{c1}"
    return f"[{rows}, {columns}]"


def _quantize_tensor(file: VectorFile, inputs: Inputs) -> Iterator[str]:
    fmt = block_format(file.format)
    size, columns = fmt.block_size, inputs.shape[1]
    yield from _geometry(inputs, size)
    numbers = _numbers(inputs)
    rows = [("block", "elements", "amax", "scale", "X", "codes of the first")]
    for r, c, cells in _block_places(inputs, size):
        own = [numbers[i * columns + j] for i, j in cells]
        code, codes = block.quantize(own, fmt, _policy(file), source=str(inputs.type))
        first = " ".join(_code(one, fmt) for one in codes[:3])
        X = scale.decode(code, fmt.scale)
        rows.append((f"{r}, {c}", _where(cells), _amax(own), f"0x{code:02x}", _power(X), first))
    yield from _table(rows)


def _amax(numbers: Sequence[Number]) -> str:
    special = [n for n in numbers if n.cls in (NumberClass.NAN, NumberClass.INF)]
    if special:
        return brief(special[0])
    largest = max((n.magnitude for n in numbers), default=Fraction(0))
    return brief(Number.finite(largest))


def _dequantize_tensor(file: VectorFile, inputs: Inputs) -> Iterator[str]:
    fmt = block_format(file.format)
    size, columns = fmt.block_size, inputs.shape[1]
    packing, scale_layout = inputs.layout
    yield from _geometry(inputs, size)
    if packing == "bytes":
        yield from field("elements", "one code a byte", ("OP-PACKING",))
    else:
        text = "two codes a byte, neighbours in row-major order, the first in the low nibble"
        yield from field("elements", text, ("OP-PACKING",))
    is_tiled = scale_layout != "row-major"
    text = (
        "tiles of 128 x 4 scale codes; that of (r, c) is byte tile * 512 + r % 32 * 16 + "
        "r % 128 // 32 * 4 + c % 4"
        if is_tiled
        else "row-major, one byte a block"
    )
    yield from field("scales", text, ("OP-SCALE-LAYOUT",))
    blocks = -(-inputs.shape[inputs.axis or 0] // size)
    rows = [("block", "elements", "at", "scale", "X", "first element", "float32")]
    for r, c, cells in _block_places(inputs, size):
        line, place = (r, c) if inputs.axis == 1 else (c, r)
        plain = r * blocks + c if inputs.axis == 1 else r * columns + c
        at = _tiled(line, place, blocks) if is_tiled else plain
        code = inputs.scales[at]
        offset = cells[0][0] * columns + cells[0][1]
        stored, held = _element(inputs, offset, packing)
        value = block.dequantize(code, (stored,), fmt, _policy(file))[0]
        X = scale.decode(code, fmt.scale)
        told = f"{held} = {brief(element.decode(stored, fmt.element, _policy(file)))}"
        lies = f"{r}, {c}", _where(cells), str(at), f"0x{code:02x}", _power(X)
        rows.append((*lies, told, _float32(value, file)))
    yield from _table(rows)


def _tiled(line: int, place: int, blocks: int) -> int:
    """Byte of a scale code in tiles of 128 x 4: line of the tensor, place of the block on it."""
    high, wide = _TILE
    tile = line // high * -(-blocks // wide) + place // wide
    return tile * high * wide + line % 32 * 16 + line % high // 32 * wide + place % wide


def _element(inputs: Inputs, offset: int, packing: str) -> tuple[int, str]:
    """A stored code, and where it lies."""
    if packing == "bytes":
        return inputs.bits[offset], f"byte {offset}: {inputs.bits[offset]:02x}"
    byte, is_high = divmod(offset, 2)
    code = inputs.bits[byte] >> (4 * is_high) & 0xF
    return code, f"byte {byte} {'high' if is_high else 'low'}: {code:x}"


# --- layout ----------------------------------------------------------------------------------


def _table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Columns aligned to the right, the last one to the left; a few rows of a long table."""
    shown = rows[: _SHOWN + 1]
    widths = [max(len(row[c]) for row in shown) for c in range(len(rows[0]) - 1)]
    total = sum(widths) + max(len(row[-1]) for row in shown) + 2 * len(shown[0])
    gap = "  " if total <= WIDTH else " "
    for row in shown:
        cells = [f"{cell:>{width}}" for cell, width in zip(row, widths, strict=False)]
        yield "  " + gap.join([*cells, row[-1]])
    if len(rows) > len(shown):
        yield f"  and {len(rows) - len(shown)} more"


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


_STEPS: Mapping[str, Callable[[VectorFile, Inputs], Iterator[str]]] = MappingProxyType(
    {
        "encode": _encode,
        "decode": _decode,
        "quantize": _quantize,
        "dequantize": _dequantize,
        "dot": _dot,
        "quantize_tensor": _quantize_tensor,
        "dequantize_tensor": _dequantize_tensor,
        "matmul": matmul_steps,
        **RELATIVE_STEPS,
    }
)
