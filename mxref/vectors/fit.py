"""Whether the numbers of a case fit its operation, its formats and its shape."""

from __future__ import annotations

from mxref.formats import BlockFormat, ElementFormat, ScaleFormat
from mxref.vectors.lookup import AnyFormat, RelativeFormat, block_of, format_name
from mxref.vectors.model import VectorError
from mxref.vectors.operations import Inputs, Output
from mxref.vectors.relatives import fit as relative_fit

__all__ = ["check_exact", "check_inputs", "check_output"]


def check_inputs(operation: str, fmt: AnyFormat, inputs: Inputs) -> None:
    """Refuse inputs of which an operation could make nothing.

    Raises
    ------
    VectorError
        If a code is none of its format, or a list has another length than the case says.
    """
    if isinstance(fmt, RelativeFormat):
        relative_fit.check_inputs(operation, fmt, inputs)
        return
    match operation:
        case "decode":
            _check_codes(inputs.bits, fmt)
        case "quantize":
            _length(inputs.bits, block_of(fmt))
        case "dequantize":
            _length(inputs.bits, block_of(fmt))
            _check_codes(inputs.bits, block_of(fmt).element)
        case "dot":
            _check_dot(inputs, fmt)
        case "quantize_tensor" | "dequantize_tensor":
            _check_tensor(operation, inputs)
        case "matmul":
            _check_matmul(inputs, fmt)


def check_output(operation: str, fmt: AnyFormat, inputs: Inputs, out: Output) -> None:
    """Refuse an output that does not fit its inputs.

    Raises
    ------
    VectorError
        As `check_inputs`.
    """
    if isinstance(fmt, RelativeFormat):
        relative_fit.check_output(operation, fmt, inputs, out)
        return
    if operation == "encode":
        _check_codes(out.bits, fmt)
    elif operation in ("quantize", "dequantize"):
        _length(out.bits, block_of(fmt))
    elif operation.endswith("_tensor") or operation == "matmul":
        rows, columns = inputs.shape[:2]
        if len(out.bits) != rows * columns:
            raise VectorError(f"{rows} x {columns} elements expected, not {len(out.bits)}")
    if operation.startswith("quantize"):
        _check_codes(out.bits, block_of(fmt).element)


def check_exact(operation: str, inputs: Inputs, exact: tuple[str, ...]) -> None:
    """Refuse exact values that are more or fewer than the numbers of the result.

    Raises
    ------
    VectorError
        If they are.
    """
    if operation == "matmul" and len(exact) != inputs.shape[0] * inputs.shape[1]:
        rows, columns = inputs.shape[:2]
        raise VectorError(f"{rows} x {columns} exact values expected, not {len(exact)}")


def _check_matmul(inputs: Inputs, fmt: AnyFormat) -> None:
    other = inputs.other
    if not isinstance(fmt, tuple) or other is None:
        raise VectorError("a matrix product takes two operands")
    if len(inputs.shape) != 3 or min(inputs.shape) < 1:  # rows, columns, k
        raise VectorError(f"a shape has rows, columns and k, got {list(inputs.shape)}")
    rows, columns, k = inputs.shape
    blocks = -(-k // block_of(fmt).block_size)
    for side, operand, own, lines in (("a", inputs, fmt[0], rows), ("b", other, fmt[1], columns)):
        found = len(operand.scales), len(operand.bits)
        if found != (lines * blocks, lines * k):
            raise VectorError(
                f"{side} has {found[0]} scales and {found[1]} codes; its {lines} rows of {k} "
                f"elements take {lines * blocks} and {lines * k}"
            )
        _check_codes(operand.bits, own.element)


def _length(numbers: tuple[int, ...], fmt: BlockFormat) -> None:
    if len(numbers) != fmt.block_size:
        raise VectorError(f"a block of {fmt.name} has {fmt.block_size} lanes, not {len(numbers)}")


def _check_codes(codes: tuple[int, ...], fmt: AnyFormat) -> None:
    if not isinstance(fmt, ElementFormat | ScaleFormat):
        raise VectorError(f"{format_name(fmt)} has no codes of its own")
    if max(codes) >= fmt.code_count:
        raise VectorError(
            f"'{max(codes):02x}' is no code of {fmt.name}: the largest is {fmt.code_count - 1:02x}"
        )


def _check_dot(inputs: Inputs, fmt: AnyFormat) -> None:
    other = inputs.other
    if not isinstance(fmt, tuple) or other is None:
        raise VectorError("a dot product takes two operands")
    size = block_of(fmt).block_size
    for side, operand, own in (("a", inputs, fmt[0]), ("b", other, fmt[1])):
        if len(operand.scales) != len(inputs.scales):
            raise VectorError(f"{len(inputs.scales)} scales in a, {len(other.scales)} in b")
        if len(operand.bits) != size * len(operand.scales):
            raise VectorError(
                f"{side} has {len(operand.scales)} blocks and {len(operand.bits)} codes; "
                f"a block has {size}"
            )
        _check_codes(operand.bits, own.element)
    if not 1 <= inputs.shape[0] <= len(inputs.bits):
        raise VectorError(f"k is {inputs.shape[0]}, but there are {len(inputs.bits)} elements")


def _check_tensor(operation: str, inputs: Inputs) -> None:
    if len(inputs.shape) != 2 or min(inputs.shape) < 1:
        raise VectorError(f"a shape has rows and columns, got {list(inputs.shape)}")
    if inputs.axis not in (0, 1):
        raise VectorError(f"the axis is 0 or 1, got {inputs.axis}")
    count = inputs.shape[0] * inputs.shape[1]
    if operation == "quantize_tensor" and len(inputs.bits) != count:
        raise VectorError(f"{count} numbers expected for this shape, got {len(inputs.bits)}")
    if operation == "dequantize_tensor":
        needed = count if inputs.layout[0] == "bytes" else -(-count // 2)
        if len(inputs.bits) != needed:
            raise VectorError(f"{needed} bytes expected for this shape, got {len(inputs.bits)}")
