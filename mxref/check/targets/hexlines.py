"""Arrays of bit patterns as lines of hexadecimal tokens, and back.

A line is one number of a cast, or one block. Tokens look as in ``spec_vectors/*.hex``: lower case,
most significant digit first, so that there is no byte order. ``docs/protocols.md`` is the
specification.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mxref.check._call import RefusalError
from mxref.check.target import TargetError
from mxref.check.targets._escape import escaped

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["arrays_of", "digits", "last_word", "text_of", "values_of"]

_DIGITS = b"0123456789abcdef"
_PAIRS = np.frombuffer(
    b"".join(bytes((_DIGITS[i >> 4], _DIGITS[i & 15])) for i in range(256)), np.uint8
).reshape(256, 2)
_COMMENTS = (b"#", b"//")
_REFUSED, _NOT_CLAIMED = b"!", b"?"
_QUOTED = 60


def digits(array: NDArray[Any]) -> NDArray[np.uint8]:
    """Return the hexadecimal digits of each number, as ASCII codes, along a new last axis.

    Examples
    --------
    >>> digits(np.array([0x3F80], np.uint16)).tobytes()
    b'3f80'
    """
    size = array.dtype.itemsize
    bits = np.ascontiguousarray(array).view(f"u{size}").astype(f">u{size}")
    octets = bits.view(np.uint8).reshape(*array.shape, size)
    return _PAIRS[octets].reshape(*array.shape, 2 * size)


def text_of(inputs: Sequence[NDArray[Any]]) -> bytes:
    r"""Return one line for each place along the first axis, the arrays one after another.

    Examples
    --------
    >>> text_of([np.array([[127]], np.uint8), np.array([[1, 2]], np.uint8)])
    b'7f 01 02\n'
    """
    if not len(inputs[0]):
        return b""
    parts = []
    for array in inputs:
        figures = digits(array.reshape(len(array), -1))
        rows, tokens, width = figures.shape
        spaced = np.full((rows, tokens, width + 1), ord(" "), np.uint8)
        spaced[:, :, :width] = figures
        parts.append(spaced.reshape(rows, -1))
    lines = np.concatenate(parts, axis=1)
    lines[:, -1:] = ord("\n")
    return lines.tobytes()


def arrays_of(text: bytes, count: int, fields: Sequence[tuple[int, int]]) -> list[NDArray[Any]]:
    r"""Read what a program printed.

    Parameters
    ----------
    text : bytes
        Everything that it printed. Blank lines and comments do not count.
    count : int
        How many lines it should have.
    fields : sequence of (int, int)
        What a line holds: tokens and the bits of each, such as ``[(1, 8), (32, 8)]``.

    Returns
    -------
    list of ndarray
        Unsigned integers, one array of shape (count, tokens) for each field.

    Raises
    ------
    RefusalError
        If a line says that an input is refused.
    TargetError
        If a line says that the operation is not claimed, or the text is something else.

    Examples
    --------
    >>> arrays_of(b"# hello\n7f 1 A\n", 1, [(1, 8), (2, 8)])
    [array([[127]], dtype=uint8), array([[ 1, 10]], dtype=uint8)]
    """
    packed = _regular(text, count, fields)
    if packed is None:
        packed = _irregular(text, count, fields)
    octets = np.frombuffer(packed, np.uint8)
    octets = octets.reshape(count, sum(tokens * bits // 8 for tokens, bits in fields))
    found, start = [], 0
    for tokens, bits in fields:
        stop = start + tokens * bits // 8
        part = np.ascontiguousarray(octets[:, start:stop])
        found.append(part.view(f">u{bits // 8}").astype(f"u{bits // 8}").reshape(count, tokens))
        start = stop
    return found


def values_of(hexadecimal: str, count: int, bits: int, what: str) -> NDArray[Any]:
    """Read numbers of a fixed width that follow one another without a space.

    Raises
    ------
    TargetError
        If they are not hexadecimal, or too many or too few.

    Examples
    --------
    >>> values_of("3f80bf80", 2, 16, "the input")
    array([16256, 49024], dtype=uint16)
    """
    width = bits // 4
    if len(hexadecimal) != count * width:
        raise TargetError(
            f"{what} has {len(hexadecimal):,} digits, expected {count * width:,}: {count:,} "
            f"numbers of {width} digits",
            kind="garbage",
        )
    try:
        octets = bytes.fromhex(hexadecimal)
    except ValueError:
        octets = b""
    if len(octets) * 2 != len(hexadecimal):  # spaces are skipped without an error
        raise TargetError(f"{what} holds something else than hexadecimal digits", kind="garbage")
    return np.frombuffer(octets, f">u{bits // 8}").astype(f"u{bits // 8}")


# --- reading lines ---------------------------------------------------------------------------


def _regular(text: bytes, count: int, fields: Sequence[tuple[int, int]]) -> bytes | None:
    """Read text in which every token has its full width: at the speed of the pipe."""
    line = sum(tokens * (bits // 4 + 1) for tokens, bits in fields)
    if count == 0 or len(text) != count * line:
        return None
    table = np.frombuffer(text, np.uint8).reshape(count, line)
    ends = np.cumsum([bits // 4 + 1 for tokens, bits in fields for _ in range(tokens)]) - 1
    if (table[:, ends[:-1]] != ord(" ")).any() or (table[:, -1] != ord("\n")).any():
        return None
    try:
        packed = bytes.fromhex(np.delete(table, ends, axis=1).tobytes().decode("ascii"))
    except ValueError:
        return None
    # A space among the digits is no error to `fromhex`, but leaves too little.
    return packed if 2 * len(packed) == count * (line - len(ends)) else None


def _irregular(text: bytes, count: int, fields: Sequence[tuple[int, int]]) -> bytes:
    """Read any text that the protocol allows, and say what is wrong with any other."""
    widths = [bits // 4 for tokens, bits in fields for _ in range(tokens)]
    kept: list[bytes] = []
    for number, line in enumerate(text.split(b"\n"), start=1):
        tokens = line.split()
        if not tokens or tokens[0].startswith(_COMMENTS):
            continue
        if tokens[0].startswith((_REFUSED, _NOT_CLAIMED)):
            raise _said(line.strip())
        if len(kept) == count:
            raise TargetError(
                f"the target printed more than the {count:,} lines that it was asked for: line "
                f"{number} is '{escaped(line, _QUOTED)}'",
                kind="garbage",
            )
        kept.append(_packed_line(tokens, widths, number, line))
    if len(kept) < count:
        last = f", the last one '{escaped(_last(text), _QUOTED)}'" if kept else ""
        raise TargetError(
            f"the target answered {len(kept):,} of {count:,} lines{last}: expected one answer "
            "a line",
            kind="garbage",
        )
    return b"".join(kept)


def _last(text: bytes) -> bytes:
    return text.rstrip().rpartition(b"\n")[2]


def _packed_line(tokens: list[bytes], widths: list[int], number: int, line: bytes) -> bytes:
    where = f"line {number} of the target's output, '{escaped(line, _QUOTED)}',"
    if len(tokens) != len(widths):
        raise TargetError(
            f"{where} has {len(tokens)} numbers, expected {len(widths)}", kind="garbage"
        )
    # Leading zeros may be missing or be too many: printf and $display differ.
    padded = b"".join(
        token.lstrip(b"0").rjust(width, b"0") for token, width in zip(tokens, widths, strict=True)
    )
    try:
        packed = bytes.fromhex(padded.decode("ascii"))
    except ValueError:
        packed = b""
    if 2 * len(packed) == sum(widths) and len(padded) == sum(widths):
        return packed
    for token, width in zip(tokens, widths, strict=True):
        _require_number(token, width, where)
    raise TargetError(f"{where} is no answer", kind="garbage")  # pragma: no cover


def _require_number(token: bytes, width: int, where: str) -> None:
    if token.strip(_DIGITS + b"ABCDEF"):
        hint = ""
        if not token.lower().strip(_DIGITS + b"xz"):
            hint = ": x and z are bits that a simulator does not know"
        raise TargetError(
            f"{where} holds '{escaped(token, _QUOTED)}', which is no hexadecimal number{hint}",
            kind="garbage",
        )
    if len(token.lstrip(b"0")) > width:
        raise TargetError(
            f"{where} holds '{escaped(token, _QUOTED)}', which has more than {4 * width} bits",
            kind="garbage",
        )


def last_word(text: bytes) -> TargetError | None:
    r"""Return what the last line says about the input, if it is such a line.

    Examples
    --------
    >>> last_word(b"00\n! no NaN, please\n")
    RefusalError('the target refused an input: no NaN, please')
    """
    line = _last(text).strip()
    return _said(line) if line.startswith((_REFUSED, _NOT_CLAIMED)) else None


def _said(line: bytes) -> TargetError:
    said = escaped(line[1:].strip()) or "no reason given"
    if line.startswith(_REFUSED):
        return RefusalError(f"the target refused an input: {said}")
    return TargetError(f"the target does not claim it: {said}", kind="not-claimed")
