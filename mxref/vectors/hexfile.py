"""The ``.hex`` twin of a vector file: the same cases for readers without JSON.

Every token is hexadecimal, even the names of the input types (``f32``, ``bf16``, ``f16``), so that
``$readmemh`` takes the whole file into one array of 48-bit words and a C program reads it with
``strtoull``. A line holds one case::

    id verdict members [type] input... (output...) repeated `members` times
"""

from __future__ import annotations

from collections.abc import Iterator

from mxref.vectors.model import Case, VectorFile, Verdict, input_digits, output_digits

__all__ = ["hex_text"]

_VERDICTS = {Verdict.MUST: "0", Verdict.ONE_OF: "1", Verdict.OPEN: "2"}
_TYPES = {"float32": "f32", "bfloat16": "bf16", "float16": "f16"}
_FIELDS = {
    "decode": "id verdict members code (float32 x members)",
    "encode": "id verdict members type x (code x members)",
    "quantize": "id verdict members type x_0..x_31 ((scale codes_0..codes_31) x members)",
}


def _tokens(operation: str, case: Case) -> Iterator[str]:
    # A member without output (the input is refused) cannot be written as a bit pattern.
    outputs = [member.out for member in case.members if member.out is not None]
    yield case.id
    yield _VERDICTS[case.verdict]
    yield f"{len(outputs):x}"
    if case.inputs.type is not None:
        yield _TYPES[case.inputs.type]
    width = input_digits(case.inputs)
    for bits in case.inputs.bits:
        yield f"{bits:0{width}x}"
    width = output_digits(operation)
    for out in outputs:
        if out.scale is not None:
            yield f"{out.scale:02x}"
        for bits in out.bits:
            yield f"{bits:0{width}x}"


def hex_text(file: VectorFile) -> str:
    """Return the text of the ``.hex`` twin.

    Parameters
    ----------
    file : VectorFile
        The file to write; the text is a function of it alone.

    Returns
    -------
    str
        Comment lines that start with ``//``, then one line a case.
    """
    lines = [" ".join(_tokens(file.operation, case)) for case in file.cases]
    words = sum(line.count(" ") + 1 for line in lines)
    what = f"{file.operation} {file.format}, policy {file.policy.name}"
    compare = ", ".join(file.compare) or "bits"
    assumes = ", ".join(file.assumes) or "nothing"
    header = [
        f"// mxref vectors {file.set_version}: {what}",
        f"// {len(lines)} cases, {words} words of up to 48 bits, hexadecimal, highest digit first",
        f"// fields: {_FIELDS[file.operation]}",
        "// verdict: 0 must, 1 one of the members, 2 open (never fails); see README.md",
        "// the first member is what the policy yields",
        f"// compare: {compare}; assumes: {assumes}",
    ]
    return "\n".join([*header, *lines]) + "\n"
