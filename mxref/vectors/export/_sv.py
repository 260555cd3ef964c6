"""A SystemVerilog package, and the words that ``$readmemh`` reads: a file a table.

The text keeps to what Icarus Verilog, Verilator and the commercial simulators have in common:
packed structs, no packed arrays of arrays, no parameters of type string.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mxref.exact import element
from mxref.exact.number import NumberClass
from mxref.formats import ElementFormat, block_format, scalar_format
from mxref.vectors.export._sv_relatives import relative_functions
from mxref.vectors.export._table import TYPES, VERDICTS, Column, Table
from mxref.vectors.export._write import described
from mxref.vectors.model import COMPARE_RULES, VectorFile
from mxref.vectors.operations import OUT_FIELDS, PACKINGS, RELATIVES, SCALE_LAYOUTS

__all__ = ["sv_files"]

_RENAMED = {"type": "input_type", "global": "global_scale"}  # keywords
_COUNTS = {"members", "first_member"}


def sv_files(table: Table) -> dict[str, bytes]:
    """Return the package and the ``.hex`` files that it names."""
    package = "\n".join(_package(table)) + "\n"
    files = {f"{_package_name(table)}.sv": package}
    for prefix, columns in (("", table.cases), ("out_", table.members)):
        files[_file(table, "members" if prefix else "cases")] = _words(columns)
        for column in columns:
            if column.length is None:
                words = [f"{number:0{column.bits // 4}x}\n" for number in column.flat]
                files[_file(table, prefix + column.name)] = "".join(words)
    return described(table, "sv", {n: t.encode("ascii") for n, t in files.items()}, {})


def _package_name(table: Table) -> str:
    return f"mxref_{table.name}_pkg"


def _file(table: Table, group: str) -> str:
    return f"{table.name}.{group}.hex"


# --- words -----------------------------------------------------------------------------------


def _fields(column: Column) -> Iterator[tuple[str, int]]:
    """(name, bits) of what a packed struct holds of a column."""
    name = _RENAMED.get(column.name, column.name)
    if column.length is None:
        yield f"{name}_start", 32
        yield f"{name}_length", 32
    else:
        yield name, column.bits * column.length


def _words(columns: Sequence[Column]) -> str:
    """One word a row: the fields as in the struct, parted by underscores."""
    rows = zip(*(_cells(column) for column in columns), strict=True)
    return "".join("_".join(row) + "\n" for row in rows)


def _cells(column: Column) -> Iterator[str]:
    digits = column.bits // 4
    for row, start in zip(column.rows, column.starts, strict=False):
        if column.length is None:
            yield f"{start:08x}_{len(row):08x}"
        else:
            # Element 0 in the lowest bits: element i is `field[BITS*i +: BITS]`.
            yield "_".join(f"{number:0{digits}x}" for number in reversed(row))


# --- the package -----------------------------------------------------------------------------


def _package(table: Table) -> Iterator[str]:
    file, name = table.file, _package_name(table)
    yield f"// {file.operation} {file.format}, policy {file.policy.name}."
    yield "// Written by mxref vectors export: do not edit. The data are public domain (CC0)."
    yield "//"
    yield "//   reg [CASE_BITS-1:0]   cases   [0:CASES-1];"
    yield "//   reg [MEMBER_BITS-1:0] members [0:MEMBERS-1];"
    yield "//   initial begin $readmemh(CASES_FILE, cases); $readmemh(MEMBERS_FILE, members); end"
    yield "//"
    yield "// A case passes if `same` holds for one of members[first_member +: members], or if its"
    yield "// verdict is VERDICT_OPEN. Element i of a list is field[BITS*i +: BITS]."
    yield "/* verilator lint_off UNUSEDPARAM */"
    yield "/* verilator lint_off UNUSEDSIGNAL */"
    yield f"package {name};"
    yield f'  localparam SET_VERSION   = "{file.set_version}";'
    yield f'  localparam SOURCE        = "{file.path}";'
    yield f'  localparam SOURCE_SHA256 = "{table.sha256}";'
    yield f'  localparam CASES_FILE    = "{_file(table, "cases")}";'
    yield f'  localparam MEMBERS_FILE  = "{_file(table, "members")}";'
    yield f"  localparam integer CASES = {table.case_count};"
    yield f"  localparam integer MEMBERS = {table.member_count};"
    for prefix, columns in (("", table.cases), ("out_", table.members)):
        yield from _ragged_parameters(table, prefix, columns)
    yield ""
    yield from _names("VERDICT", VERDICTS)
    have = {column.name for column in table.cases}
    for field, words in (("type", TYPES), ("packing", PACKINGS), ("scale_layout", SCALE_LAYOUTS)):
        if field in have:
            yield from _names(field.upper(), words)
    yield ""
    yield "  // Ways in which a comparison is weaker than equality of bits."
    for rule, meaning in COMPARE_RULES.items():
        yield f"  localparam logic {_upper(rule)} = 1'b{int(rule in file.compare)};  // {meaning}"
    yield ""
    yield from _struct("case_t", "CASE_BITS", table.cases)
    yield "  // One allowed output; if `refused`, the input is to be refused and the rest is zero."
    yield from _struct("member_t", "MEMBER_BITS", table.members)
    if file.operation in RELATIVES:
        names = [_RENAMED.get(column.name, column.name) for column in table.members]
        yield from relative_functions(table, names)
    else:
        yield from _functions(table)
    yield "endpackage"
    yield "/* verilator lint_on UNUSEDSIGNAL */"
    yield "/* verilator lint_on UNUSEDPARAM */"


def _upper(word: str) -> str:
    return word.upper().replace("-", "_")


def _names(prefix: str, words: Sequence[str]) -> Iterator[str]:
    for number, word in enumerate(words):
        yield f"  localparam logic [7:0] {prefix}_{_upper(word)} = 8'd{number};"


def _ragged_parameters(table: Table, prefix: str, columns: Sequence[Column]) -> Iterator[str]:
    for column in columns:
        if column.length is None:
            upper = f"{prefix}{column.name}".upper()
            yield f'  localparam {upper}_FILE = "{_file(table, prefix + column.name)}";'
            yield f"  localparam integer {upper}_WORDS = {len(column.flat)};"
            yield f"  localparam integer {upper}_BITS = {column.bits};"


def _struct(name: str, parameter: str, columns: Sequence[Column]) -> Iterator[str]:
    fields = [field for column in columns for field in _fields(column)]
    yield "  typedef struct packed {"
    yield from (f"    logic [{bits - 1}:0] {field};" for field, bits in fields)
    yield f"  }} {name};"
    yield f"  localparam integer {parameter} = {sum(bits for _, bits in fields)};"
    yield ""


# --- comparison ------------------------------------------------------------------------------


def _nan_patterns(file: VectorFile) -> tuple[int, int] | None:
    """(mask, least): a number is NaN if what the mask leaves is at least this; None: never."""
    if OUT_FIELDS[file.operation][-1].kind == "value":
        return 0x7FFFFFFF, 0x7F800001
    scalar = file.operation == "encode"
    fmt = scalar_format(file.format) if scalar else block_format(file.format).element
    if not isinstance(fmt, ElementFormat):
        return 0xFF, 0xFF
    codes = [c for c in range(fmt.code_count) if element.decode(c, fmt).cls is NumberClass.NAN]
    return (fmt.sign_mask - 1, min(codes)) if codes else None


def _functions(table: Table) -> Iterator[str]:
    """`same`, out of functions for one number that runners of tensors need as they are."""
    fields = OUT_FIELDS[table.file.operation]
    numbers = table.members[-1]
    has_scale = len(fields) > 1
    top = numbers.bits - 1
    nan = _nan_patterns(table.file)
    test = "1'b0"
    if nan is not None:
        mask, least = (f"{numbers.bits}'h{bits:x}" for bits in nan)
        test = f"(number & {mask}) >= {least}"
    yield f"  function automatic logic is_nan(input logic [{top}:0] number);"
    yield f"    is_nan = {test};"
    yield "  endfunction"
    yield ""
    hides = " || (NAN_SCALE_HIDES_CODES && want_scale === 8'hff)" if has_scale else ""
    scale = ", input logic [7:0] want_scale" if has_scale else ""
    yield "  // `got` may hold X, which equals nothing."
    yield (
        f"  function automatic logic same_number(input logic [{top}:0] got, "
        f"input logic [{top}:0] want{scale});"
    )
    yield f"    same_number = got === want{hides}"
    yield "        || (ANY_NAN && is_nan(got) === 1'b1 && is_nan(want));"
    yield "  endfunction"
    if has_scale:
        yield ""
        yield "  // `zero_block`: whether all inputs of the block are zeros."
        yield "  function automatic logic same_scale(input logic [7:0] got, input logic [7:0] want,"
        yield "                                      input logic zero_block);"
        yield "    same_scale = got === want"
        yield "        || (ZERO_BLOCK_ANY_SCALE && zero_block"
        yield "            && want != 8'hff && (got < 8'hff) === 1'b1);"
        yield "  endfunction"
    if numbers.length is None:
        return  # a tensor: its numbers lie in memories
    yield ""
    yield from _same(numbers, has_scale=has_scale)


def _same(numbers: Column, *, has_scale: bool) -> Iterator[str]:
    """`same`. Lists are copied first: Icarus Verilog cannot index into the member of a struct."""
    name, bits, count = numbers.name, numbers.bits, numbers.length or 0
    if has_scale:
        yield "  function automatic logic is_zero_block(input case_t asked);"
        yield "    integer i;"
        yield "    logic [31:0] magnitude;"
        yield f"    logic [{32 * count - 1}:0] x;"
        yield "    x = asked.x;"
        yield "    magnitude = asked.input_type == TYPE_FLOAT32 ? 32'h7fffffff : 32'h00007fff;"
        yield "    is_zero_block = 1'b1;"
        yield f"    for (i = 0; i < {count}; i = i + 1)"
        yield "      if ((x[32*i +: 32] & magnitude) != 32'h0) is_zero_block = 1'b0;"
        yield "  endfunction"
        yield ""
    yield "  function automatic logic same(input case_t asked, input member_t got,"
    yield "                                input member_t want);"
    yield "    integer i;"
    yield f"    logic [{bits * count - 1}:0] got_{name};"
    yield f"    logic [{bits * count - 1}:0] want_{name};"
    yield f"    got_{name} = got.{name};"
    yield f"    want_{name} = want.{name};"
    yield "    same = got.refused === want.refused;"
    yield "    if (want.refused == 8'd0) begin"
    if has_scale:
        yield "      if (!same_scale(got.scale, want.scale, is_zero_block(asked))) same = 1'b0;"
    yield f"      for (i = 0; i < {count}; i = i + 1)"
    scale = ", want.scale" if has_scale else ""
    part = f"{name}[{bits}*i +: {bits}]"
    yield f"        if (!same_number(got_{part}, want_{part}{scale})) same = 1'b0;"
    yield "    end"
    yield "  endfunction"
