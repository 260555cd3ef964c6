"""The comparison in SystemVerilog for NVFP4 and BDR, whose outputs have further parts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mxref.exact import element
from mxref.exact.number import NumberClass
from mxref.relatives.bdr_format import BDRFormat
from mxref.vectors.export._table import Column, Table
from mxref.vectors.lookup import vector_format
from mxref.vectors.operations import OUT_FIELDS

__all__ = ["relative_functions"]

_FLOAT32 = 32
_HIDES = (("NAN_SCALE_HIDES_CODES", "8'hff"), ("UE4M3_NAN_HIDES_CODES", "8'h7f"))


def relative_functions(table: Table, names: Sequence[str]) -> Iterator[str]:
    """Yield `same_number`, for runners of tensors, and `same`, where all cases have one size.

    Parameters
    ----------
    table : Table
        A file about NVFP4 or BDR.
    names : sequence of str
        What the columns of its members are called in the package.
    """
    numbers, name = table.members[-1], names[-1]
    yield from _is_nan("is_nan", numbers.bits, _test(table))
    yield "  // `got` may hold X, which equals nothing."
    yield from _same_number("same_number", "is_nan", numbers.bits)
    if any(column.length is None for column in table.members):
        return
    others = list(zip(table.members[1:-1], names[1:-1], strict=True))
    if any(column.bits == _FLOAT32 for column, _ in others):
        yield from _is_nan("is_float32_nan", _FLOAT32, "(number & 32'h7fffffff) >= 32'h7f800001")
        yield from _same_number("same_float32", "is_float32_nan", _FLOAT32)
    yield "  function automatic logic same(input case_t asked, input member_t got,"
    yield "                                input member_t want);"
    yield "    integer i;"
    width = numbers.bits * (numbers.length or 0)
    yield f"    logic [{width - 1}:0] got_{name};"
    yield f"    logic [{width - 1}:0] want_{name};"
    yield f"    got_{name} = got.{name};"
    yield f"    want_{name} = want.{name};"
    yield "    same = got.refused === want.refused;"
    yield "    if (want.refused == 8'd0) begin"
    for column, other in others:
        if other != "subscales":
            equal = f"got.{other} === want.{other}"
            if column.bits == _FLOAT32:
                equal = f"same_float32(got.{other}, want.{other})"
            yield f"      if (!({equal})) same = 1'b0;"
    yield f"      if (!({_hidden(others)})) begin"
    if any(other == "subscales" for _, other in others):
        yield "        if (got.subscales !== want.subscales) same = 1'b0;"
    yield f"        for (i = 0; i < {numbers.length}; i = i + 1)"
    part = f"{name}[{numbers.bits}*i +: {numbers.bits}]"
    yield f"          if (!same_number(got_{part}, want_{part})) same = 1'b0;"
    yield "      end"
    yield "    end"
    yield "  endfunction"


def _hidden(others: Sequence[tuple[Column, str]]) -> str:
    """Whether the codes do not matter: under the NaN of an 8-bit scale."""
    if not any(other == "scale" and column.bits != _FLOAT32 for column, other in others):
        return "1'b0"
    return " || ".join(f"({rule} && want.scale === {code})" for rule, code in _HIDES)


def _test(table: Table) -> str:
    """When one number of the output is NaN."""
    operation, bits = table.file.operation, table.members[-1].bits
    if OUT_FIELDS[operation][-1].kind == "value":
        return "(number & 32'h7fffffff) >= 32'h7f800001"
    fmt = vector_format(operation, table.file.format)
    own = fmt.float_element if isinstance(fmt, BDRFormat) else None
    if own is None:
        return "1'b0"
    codes = [c for c in range(own.code_count) if element.decode(c, own).cls is NumberClass.NAN]
    return f"(number & {bits}'h{own.sign_mask - 1:x}) >= {bits}'h{min(codes):x}"


def _is_nan(name: str, bits: int, test: str) -> Iterator[str]:
    yield f"  function automatic logic {name}(input logic [{bits - 1}:0] number);"
    yield f"    {name} = {test};"
    yield "  endfunction"
    yield ""


def _same_number(name: str, is_nan: str, bits: int) -> Iterator[str]:
    wide = f"input logic [{bits - 1}:0]"
    yield f"  function automatic logic {name}({wide} got, {wide} want);"
    yield f"    {name} = got === want"
    yield f"        || (ANY_NAN && {is_nan}(got) === 1'b1 && {is_nan}(want));"
    yield "  endfunction"
    yield ""
