"""When is an output what a case asks for: equality of bits, and the three named ways around it.

The rules exist because the standards say that some bits do not matter. A file names in its header
those that apply to it, so that a runner in any language can do the same (see ``COMPARE_RULES``).
"""

from __future__ import annotations

from mxref.exact import element, ieee
from mxref.exact.number import NumberClass
from mxref.formats import block_format
from mxref.vectors.lookup import RelativeFormat, vector_format
from mxref.vectors.model import Case, VectorFile, Verdict
from mxref.vectors.operations import OUT_FIELDS, RELATIVES, Output
from mxref.vectors.relatives import compare as relative

__all__ = ["accepts", "same_output"]

_NAN_SCALE = 0xFF


def same_output(file: VectorFile, case: Case, got: Output, want: Output) -> bool:
    """Whether two outputs of a case count as equal under the rules of its file.

    Parameters
    ----------
    file : VectorFile
        Where the case comes from.
    case : Case
        The case; its inputs say whether the block is all zero.
    got, want : Output
        The outputs to be compared.

    Notes
    -----
    MX-1.0/4/scope and MX-1.0/5.1/nan-scale (element codes under a NaN scale), OP-NAN-PAYLOAD and
    OP-DECODE-NAN (NaN patterns), OP-SCALE-ZERO-BLOCK (the scale of a block of zeros).
    """
    if got == want:
        return True
    if file.operation in RELATIVES:
        fmt = vector_format(file.operation, file.format)
        assert isinstance(fmt, RelativeFormat)  # noqa: S101  # the operation says so
        return relative.same_output(file.operation, fmt, file.compare, got, want)
    if not file.compare or len(got.bits) != len(want.bits):
        return False
    if got.scales != want.scales or not _same_scale(file, case, got.scale, want.scale):
        return False
    if want.scale == _NAN_SCALE and "nan-scale-hides-codes" in file.compare:
        return True
    loose_nan = "any-nan" in file.compare
    pairs = zip(got.bits, want.bits, strict=True)
    return all(a == b or (loose_nan and _is_nan(file, a) and _is_nan(file, b)) for a, b in pairs)


def accepts(file: VectorFile, case: Case, got: Output | None) -> bool:
    """Whether an implementation with this output passes the case.

    Parameters
    ----------
    file, case : VectorFile, Case
        The case and where it comes from.
    got : Output or None
        What came out; None where the input was refused.

    Examples
    --------
    >>> from mxref.vectors.generate import build, jobs
    >>> file = build(jobs()[4])  # encode to e2m1
    >>> accepts(file, file.cases[0], file.cases[0].expected)
    True
    """
    if case.verdict is Verdict.OPEN:
        return True
    for member in case.members:
        if got is None or member.out is None:
            if got is member.out:
                return True
        elif same_output(file, case, got, member.out):
            return True
    return False


def _same_scale(file: VectorFile, case: Case, got: int | None, want: int | None) -> bool:
    if got == want:
        return True
    if "zero-block-any-scale" not in file.compare or _NAN_SCALE in (got, want):
        return False
    numbers = (ieee.from_bits(bits, str(case.inputs.type)) for bits in case.inputs.bits)
    return all(number.cls is NumberClass.ZERO for number in numbers)


def _is_nan(file: VectorFile, bits: int) -> bool:
    """Whether an output is NaN: a float32 pattern, or an element code (quantize)."""
    if OUT_FIELDS[file.operation][-1].kind == "value":
        return ieee.from_bits(bits, "float32").cls is NumberClass.NAN
    return element.decode(bits, block_format(file.format).element).cls is NumberClass.NAN
