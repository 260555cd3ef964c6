"""Whether the numbers of a case about NVFP4 or BDR fit its operation and its format."""

from __future__ import annotations

from mxref.relatives.bdr_format import BDRFormat
from mxref.relatives.nvfp4_format import NVFP4Format
from mxref.vectors.lookup import RelativeFormat
from mxref.vectors.model import VectorError
from mxref.vectors.operations import Inputs, Output

__all__ = ["SCALED_LANES", "check_inputs", "check_output", "lanes_of"]

SCALED_LANES = 32
"""Numbers in a case about a format whose blocks are longer: the rest of the block is not there."""


def lanes_of(fmt: RelativeFormat) -> int:
    """Return how many numbers the block of a case has.

    Examples
    --------
    >>> from mxref.relatives.bdr_formats import bdr_format
    >>> lanes_of(bdr_format("mx9")), lanes_of(bdr_format("scaled_int8"))
    (16, 32)
    """
    if isinstance(fmt, NVFP4Format):
        return fmt.block_size
    return SCALED_LANES if fmt.k1 is None or fmt.k1 > SCALED_LANES else fmt.k1


def check_inputs(operation: str, fmt: RelativeFormat, inputs: Inputs) -> None:
    """Refuse inputs of which an operation could make nothing.

    Raises
    ------
    VectorError
        If a code is none of its format, or a list has another length than the case says.
    """
    if operation == "nvfp4_quantize_tensor":
        _check_matrix(fmt, inputs)
    elif operation.endswith("_dot"):
        _check_dot(fmt, inputs)
    elif "_scale_" not in operation:
        _length("numbers", inputs.bits, lanes_of(fmt))
        if inputs.type is None:
            _check_block(fmt, inputs)


def check_output(operation: str, fmt: RelativeFormat, inputs: Inputs, out: Output) -> None:
    """Refuse an output that does not fit its inputs.

    Raises
    ------
    VectorError
        As `check_inputs`.
    """
    if operation.endswith("_dot") or "_scale_" in operation:
        _length("numbers", out.bits, 1)
        return
    _length("numbers", out.bits, len(inputs.bits))
    if "_quantize" in operation:
        _check_codes(out.bits, fmt)
        if operation != "nvfp4_quantize_tensor":
            _length("sub-scales", out.subscales, _subscales(fmt))


def _check_block(fmt: RelativeFormat, inputs: Inputs) -> None:
    _check_codes(inputs.bits, fmt)
    _length("sub-scales", inputs.subscales, _subscales(fmt))
    if isinstance(fmt, BDRFormat) and max(inputs.subscales, default=0) > fmt.max_subscale:
        raise VectorError(f"a sub-scale of {fmt.name} is at most {fmt.max_subscale:02x}")


def _subscales(fmt: RelativeFormat) -> int:
    """How many sub-scales the block of a case has."""
    if isinstance(fmt, BDRFormat) and fmt.has_subscales:
        return lanes_of(fmt) // fmt.k2
    return 0


def _check_dot(fmt: RelativeFormat, inputs: Inputs) -> None:
    other = inputs.other
    if other is None:
        raise VectorError("a dot product takes two operands")
    size = lanes_of(fmt)
    for side, operand in (("a", inputs), ("b", other)):
        blocks = len(operand.scales)
        if blocks != len(inputs.scales):
            raise VectorError(f"{len(inputs.scales)} scales in a, {blocks} in b")
        if len(operand.bits) != size * blocks:
            raise VectorError(
                f"{side} has {blocks} blocks and {len(operand.bits)} codes; a block has {size}"
            )
        _length("sub-scales", operand.subscales, blocks * _subscales(fmt))
        _check_codes(operand.bits, fmt)
    if not 1 <= inputs.shape[0] <= len(inputs.bits):
        raise VectorError(f"k is {inputs.shape[0]}, but there are {len(inputs.bits)} elements")


def _check_matrix(fmt: RelativeFormat, inputs: Inputs) -> None:
    if len(inputs.shape) != 2 or min(inputs.shape) < 1:
        raise VectorError(f"a shape has rows and columns, got {list(inputs.shape)}")
    if inputs.axis not in (0, 1):
        raise VectorError(f"the axis is 0 or 1, got {inputs.axis}")
    rows, columns = inputs.shape
    if len(inputs.bits) != rows * columns:
        raise VectorError(f"{rows * columns} numbers expected, got {len(inputs.bits)}")
    if inputs.shape[inputs.axis] % lanes_of(fmt):
        raise VectorError(f"the axis has {inputs.shape[inputs.axis]} elements, no whole blocks")


def _length(what: str, numbers: tuple[int, ...], expected: int) -> None:
    if len(numbers) != expected:
        raise VectorError(f"{expected} {what} expected, not {len(numbers)}")


def _check_codes(codes: tuple[int, ...], fmt: RelativeFormat) -> None:
    count = fmt.code_count if isinstance(fmt, BDRFormat) else fmt.element.code_count
    if max(codes) >= count:
        raise VectorError(
            f"'{max(codes):02x}' is no code of {fmt.name}: the largest is {count - 1:02x}"
        )
