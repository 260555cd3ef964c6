"""Programs as targets, by lines of hexadecimal numbers: ``cmd:./program --flag``.

One process a call, so that a crash costs one call and a program needs no loop over requests.
``docs/protocols.md`` is the specification.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mxref.check.target import (
    INPUT_TYPES,
    Kernel,
    Target,
    TargetError,
    TargetOptions,
    valid_format,
)
from mxref.check.targets._escape import escaped
from mxref.check.targets._program import Program
from mxref.check.targets.hexlines import arrays_of, last_word, text_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["PROGRAM_OPS", "HexProgram", "load_program", "require_program_op", "split_command"]

PROGRAM_OPS = ("encode", "decode", "quantize", "dequantize")
"""The operations that programs and libraries can be asked for; the others take Python functions."""

SHORT_TYPE = dict(zip(INPUT_TYPES, ("f32", "bf16", "f16"), strict=True))
"""The names of input types on the command line, as in ``spec_vectors/*.hex``."""

_CLAIMS = "claims"
_CLAIMS_LIMIT = 1 << 20
_SLACK = 1 << 20  # comments and a simulator's banner
_LOOSE = 4  # how much longer than the densest answer a right one may be


def split_command(name: str, rest: str) -> list[str]:
    """Split a command line as a shell would, without running one.

    Raises
    ------
    TargetError
        If nothing is left, or a quotation mark is open.

    Examples
    --------
    >>> split_command("cmd:", "./prog --name 'a b'")
    ['./prog', '--name', 'a b']
    """
    try:
        words = shlex.split(rest)
    except ValueError as error:
        raise TargetError(f"target {escaped(name)!r}: {error}") from None
    if not words:
        raise TargetError(f"target {escaped(name)!r}: expected a program, such as cmd:./prog")
    return words


def require_program_op(op: str) -> None:
    """Raise if an operation cannot be asked of a program.

    Raises
    ------
    TargetError
        Of the kind ``not-claimed``.
    """
    if op not in PROGRAM_OPS:
        raise TargetError(
            f"programs and libraries are asked for {', '.join(PROGRAM_OPS)}, not for {op}: wrap it "
            "in a Python function (py:MODULE:FUNCTION)",
            kind="not-claimed",
        )


def load_program(
    name: str, rest: str, wanted: tuple[str, str] | None, options: TargetOptions
) -> Target:
    """Return the target of a program.

    Parameters
    ----------
    name : str
        As the user gave it.
    rest : str
        The command line.
    wanted : (str, str) or None
        Operation and format; without them the program is asked what it claims.
    options : TargetOptions
        How it is run.

    Raises
    ------
    TargetError
        If it cannot be run, or does not say what it claims.
    """
    words = split_command(name, rest)
    if wanted is not None:
        require_program_op(wanted[0])
    claimed = [wanted] if wanted is not None else _claims(words, options)
    kernels = tuple(
        Kernel(op, fmt, HexProgram(tuple(words), op, fmt, options)) for op, fmt in claimed
    )
    return Target(name, escaped(rest, 100), kernels)


@dataclass(frozen=True, slots=True)
class HexProgram:
    """A program as a function on arrays; each call starts it anew.

    Attributes
    ----------
    words : tuple of str
        The command line, with ``{op}``, ``{format}`` and ``{type}`` where the program wants them.
    op, format : str
        What it is asked for.
    options : TargetOptions
        The timeout and the type of the numbers.
    """

    words: tuple[str, ...]
    op: str
    format: str
    options: TargetOptions

    def __call__(self, *inputs: NDArray[Any]) -> Any:
        """Run the program on arrays.

        Raises
        ------
        TargetError
            If it crashes, hangs, prints something else than its answer, or refuses.
        """
        columns = inputs[0].shape[1] if inputs[0].ndim > 1 else 1
        codes, scale = (columns, 8), (1, 8)
        fields = {
            "encode": [codes],
            "decode": [(1, 32)],
            "quantize": [scale, codes],
            "dequantize": [(columns, 32)],
        }[self.op]
        lines = inputs[::-1] if self.op == "dequantize" else inputs  # the scale comes first
        kind = SHORT_TYPE[
            self.options.input_type if self.op in ("encode", "quantize") else "float32"
        ]
        count = len(inputs[0])
        width = sum(tokens * (bits // 4 + 1) for tokens, bits in fields)
        text = _run(
            _command(self.words, self.op, self.format, kind),
            text_of(lines),
            _LOOSE * count * width + _SLACK,
            self.options.timeout,
        )
        found = arrays_of(text, count, fields)
        if self.op == "quantize":
            return found[1], found[0]
        values = found[0].reshape(inputs[0].shape)
        return values if self.op == "encode" else values.view(np.float32)


def _command(words: tuple[str, ...], op: str, fmt: str, kind: str) -> list[str]:
    """Put operation, format and type where placeholders stand, or at the end."""
    given = {"{op}": op, "{format}": fmt, "{type}": kind}
    if not any(mark in word for word in words for mark in given):
        return [*words, op, fmt, kind]
    found = list(words)
    for mark, text in given.items():
        found = [word.replace(mark, text) for word in found]
    return found


def _run(command: list[str], text: bytes, limit: int, timeout: float) -> bytes:
    with Program(command, limit, timeout) as program:
        output, crash = program.exchange(text)
    if crash is not None:
        raise last_word(output) or crash
    return output


def _claims(words: list[str], options: TargetOptions) -> list[tuple[str, str]]:
    """Ask a program what it implements."""
    command = _command(tuple(words), _CLAIMS, "-", "-")
    advice = f"say which with --format, or let it answer `{_CLAIMS}` (docs/protocols.md)"
    try:
        output = _run(command, b"", _CLAIMS_LIMIT, options.timeout)
    except TargetError as error:
        raise TargetError(f"{error}, asked for its claims: {advice}", error.kind) from None
    wanted = SHORT_TYPE[options.input_type]
    found: list[tuple[str, str]] = []
    for line in output.decode("utf-8", "backslashreplace").splitlines():
        tokens = line.split()
        if not tokens or line.lstrip().startswith(("#", "//")):
            continue
        if len(tokens) < 2 or tokens[0] not in PROGRAM_OPS:
            raise TargetError(
                f"'{escaped(line, 80)}' is no claim; expected lines such as 'quantize mxfp4 f32': "
                f"{advice}",
                kind="garbage",
            )
        op, types = tokens[0], tokens[2:] or [SHORT_TYPE["float32"]]
        claim = op, valid_format(tokens[1], op)
        takes_numbers = op in ("encode", "quantize")
        if claim not in found and (not takes_numbers or wanted in types):
            found.append(claim)
    if not found:
        raise TargetError(
            f"{escaped(words[0], 80)} claims nothing for numbers of type {wanted}", "not-claimed"
        )
    return found
