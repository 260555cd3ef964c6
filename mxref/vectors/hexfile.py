"""The ``.hex`` twin of a vector file: the same cases for readers without JSON.

Every token is hexadecimal, even the names of the input types (``f32``, ``bf16``, ``f16``), so that
``$readmemh`` takes the whole file into one array of 48-bit words and a C program reads it with
``strtoull``. A line holds one case::

    id verdict members [type] input... (output...) repeated `members` times
"""

from __future__ import annotations

from collections.abc import Iterator

from mxref.vectors.model import ACCUMULATE, Case, VectorFile, Verdict
from mxref.vectors.operations import input_tokens, output_tokens

__all__ = ["hex_text"]

_VERDICTS = {Verdict.MUST: "0", Verdict.ONE_OF: "1", Verdict.OPEN: "2"}
_OR_REFUSED, _REFUSED_FIRST = "3", "4"
_FIELDS = {
    "encode": "type x (code x members)",
    "decode": "code (float32 x members)",
    "quantize": "type x_0..x_31 ((scale codes_0..codes_31) x members)",
    "dequantize": "scale codes_0..codes_31 ((float32_0..float32_31) x members)",
    "dot": "k blocks scales_a codes_a blocks scales_b codes_b (float32 x members)",
    "quantize_tensor": "rows columns axis type x.. ((scales.. codes..) x members)",
    "dequantize_tensor": "rows columns axis packing scale_layout element_bytes scale_bytes"
    " elements.. scales.. ((float32..) x members)",
    "nvfp4_scale_encode": "type x (code x members)",
    "nvfp4_scale_decode": "code (float32 x members)",
    "nvfp4_quantize": "type amax x_0..x_15 ((global scale codes_0..codes_15) x members)",
    "nvfp4_dequantize": "global scale codes_0..codes_15 ((float32_0..float32_15) x members)",
    "nvfp4_quantize_tensor": "rows columns axis type x.. ((global scales.. codes..) x members)",
    "nvfp4_dot": "k blocks global_a scales_a codes_a blocks global_b scales_b codes_b"
    " (float32 x members)",
    "bdr_quantize": "type x.. ((scale subscales.. codes..) x members)",
    "bdr_dequantize": "scale subscales.. codes.. ((float32..) x members)",
    "bdr_dot": "k blocks scales_a subscales_a codes_a blocks scales_b subscales_b codes_b"
    " (float32 x members)",
    "scaled_quantize": "type x.. ((float32_scale subscales.. codes..) x members)",
    "scaled_dequantize": "float32_scale subscales.. codes.. ((float32..) x members)",
    "matmul": "rows columns k blocks scales_a codes_a blocks scales_b codes_b"
    " ((float32..) x members)",
}


def _fields(file: VectorFile) -> str:
    fields = _FIELDS[file.operation]
    if file.operation == "encode" and any(case.inputs.random for case in file.cases):
        fields = fields.replace(" x ", " x random ", 1)
    return f"id verdict members {fields}"


def _tokens(operation: str, case: Case) -> Iterator[str]:
    # A member without output (the input is refused) has no bit pattern: the verdict says so.
    outputs = [member.out for member in case.members if member.out is not None]
    yield case.id
    yield _verdict(case)
    yield f"{len(outputs):x}"
    yield from input_tokens(operation, case.inputs)
    for out in outputs:
        yield from output_tokens(operation, out)


def _verdict(case: Case) -> str:
    refused = [member.out is None for member in case.members]
    if case.verdict is not Verdict.ONE_OF or not any(refused):
        return _VERDICTS[case.verdict]
    return _REFUSED_FIRST if refused[0] else _OR_REFUSED


def _labels(file: VectorFile) -> Iterator[str]:
    """Comments that say which accumulation models give which member of a matrix product."""
    if file.operation != "matmul":
        return
    yield "// accumulate: lines of id, number of the member, and the models that give it"
    for case in file.cases:
        for number, member in enumerate(case.members):
            names = [c[ACCUMULATE] for c in member.when if ACCUMULATE in c]
            if names:
                yield f"// {case.id} {number:x} {' '.join(names)}"


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
    choices = file.policy.as_dict()
    assumes = ", ".join(f"{name}={choices[name]}" for name in file.assumes) or "nothing"
    header = [
        f"// mxref vectors {file.set_version}: {what}",
        f"// {len(lines)} cases, {words} words of up to 48 bits, hexadecimal, highest digit first",
        f"// fields: {_fields(file)}",
        f"// longest line: {max(map(len, lines))} characters",
        "// verdict: 0 must, 1 one of the members, 2 open (never fails), 3 also a refusal,",
        "//   4 a refusal is what the policy yields; see INTERPRETING.md",
        "// the first member is what the policy yields, but under verdict 4",
        f"// compare: {compare}; assumes: {assumes}",
        *_labels(file),
    ]
    return "\n".join([*header, *lines]) + "\n"
