"""Programs as targets, by lines of JSON: ``cmd+json:./harness``, for those that can do more.

One process for all calls. It says what it is and what it claims; then it is asked to run one
operation after another, and may answer that it skips one. ``docs/protocols.md`` is the
specification.
"""

from __future__ import annotations

import json
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from mxref._suggest import unknown_name
from mxref.check._call import RefusalError
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
from mxref.check.targets.command import PROGRAM_OPS, split_command
from mxref.check.targets.hexlines import digits, values_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["PROTOCOL", "Harness", "load_harness"]

PROTOCOL = 1
"""The version of the protocol; a harness for another one is refused."""

_LATER_OPS = ("dot", "matmul", "quantize_tensor", "dequantize_tensor")
_INPUTS = {"quantize": ("x",), "encode": ("x",), "dequantize": ("codes", "scales")}
_OUTPUTS = {"quantize": ("codes", "scales"), "encode": ("codes",)}
_HANDSHAKE_LIMIT = 1 << 20
_SLACK = 1 << 20
_STOP_SECONDS = 1.0

Event = dict[str, Any]


def load_harness(name: str, rest: str, options: TargetOptions) -> Target:
    """Start a harness, and return what it claims as a target.

    Parameters
    ----------
    name : str
        As the user gave it.
    rest : str
        The command line.
    options : TargetOptions
        How it is run.

    Raises
    ------
    TargetError
        If it cannot be run, or does not speak the protocol.
    """
    harness = Harness(split_command(name, rest), options)
    claims = harness.start()
    kernels = tuple(
        Kernel(op, fmt, partial(harness.run, op, fmt), policy) for op, fmt, policy in claims
    )
    return Target(name, harness.title, kernels, harness.stop)


class Harness:
    """A running harness; started again if it has crashed or had to be stopped.

    Parameters
    ----------
    words : list of str
        The command line.
    options : TargetOptions
        The timeout and the type of the numbers.
    """

    def __init__(self, words: list[str], options: TargetOptions) -> None:
        self.title = escaped(words[0], 80)
        self._words = words
        self._options = options
        self._program: Program | None = None
        self._id = 0

    def start(self) -> list[tuple[str, str, str | None]]:
        """Start it, and return its claims: operation, format, policy.

        Raises
        ------
        TargetError
            If it does not introduce itself as the protocol says.
        """
        self._program = Program(self._words, _HANDSHAKE_LIMIT, self._options.timeout)
        try:
            self._introduced(self._next(None, "start"))
            return self._claims(self._next(None, "claims"))
        except BaseException:
            self._give_up()
            raise

    def run(self, op: str, fmt: str, *inputs: NDArray[Any]) -> Any:
        """Let it do one operation on arrays.

        Raises
        ------
        TargetError
            If it crashes, hangs, answers something else, skips the operation or reports an error.
        """
        if self._program is None or not self._program.is_running():
            self._give_up()
            self.start()
        self._id += 1
        count, columns = len(inputs[0]), inputs[0].shape[1] if inputs[0].ndim > 1 else 1
        bits_out = 8 if op in _OUTPUTS else 32
        request = {
            "event": "run",
            "id": self._id,
            "op": op,
            "format": fmt,
            "type": self._options.input_type if op in _OUTPUTS else "float32",
            "count": count,
            "block_size": columns,
            "inputs": {
                name: digits(array).tobytes().decode("ascii")
                for name, array in zip(_INPUTS.get(op, ("codes",)), inputs, strict=True)
            },
        }
        if inputs[0].ndim == 1:
            del request["block_size"]
        program = self._program
        assert program is not None  # noqa: S101  # started above
        program.limit = count * (columns + 1) * bits_out // 4 + _SLACK
        try:
            answer = self._next(json.dumps(request).encode("ascii"), "result", "skipped", "errored")
            outputs = self._judged(answer)
        except RefusalError:
            raise
        except BaseException as error:
            if getattr(error, "kind", "") != "not-claimed":
                self._give_up()  # it may be out of step
            raise
        shape = inputs[0].shape
        if bits_out == 32:
            values = _numbers(outputs, "values", count * columns, 32)
            return values.view(np.float32).reshape(shape)
        codes = _numbers(outputs, "codes", count * columns, 8).reshape(shape)
        return (codes, _numbers(outputs, "scales", count, 8)) if op == "quantize" else codes

    def stop(self) -> None:
        """Tell it to end; end it if it does not."""
        if self._program is not None and self._program.is_running():
            self._program.end(b'{"event": "stop"}', _STOP_SECONDS)
        self._give_up()

    # --- what it says ------------------------------------------------------------------------

    def _give_up(self) -> None:
        if self._program is not None:
            self._program.close()
            self._program = None

    def _next(self, line: bytes | None, *expected: str) -> Event:
        """Return the next event; what is only told to the log is passed over."""
        program = self._program
        assert program is not None  # noqa: S101  # the callers have started it
        deadline = time.monotonic() + self._options.timeout
        while True:
            answer = program.ask(line, deadline - time.monotonic())
            line = None
            event = _event(answer)
            if event["event"] in expected:
                return event
            if event["event"] != "log":
                raise TargetError(
                    f"the target sent the event '{escaped(str(event['event']), 60)}', expected "
                    f"{' or '.join(expected)}",
                    kind="garbage",
                )

    def _introduced(self, event: Event) -> None:
        if event.get("protocol") != PROTOCOL:
            given = escaped(repr(event.get("protocol")), 40)
            raise TargetError(f"the target speaks protocol {given}, mxref speaks {PROTOCOL}")
        words = [event.get("name"), event.get("version")]
        if not isinstance(words[0], str) or not words[0]:
            raise TargetError('the target has no name: expected "name" in its start event')
        self.title = " ".join(escaped(word, 80) for word in words if isinstance(word, str))

    def _claims(self, event: Event) -> list[tuple[str, str, str | None]]:
        given = event.get("claims")
        if not isinstance(given, list):
            raise TargetError('the claims are no list: expected "claims": [{"op": …, "format": …}]')
        found: dict[tuple[str, str], str | None] = {}
        for claim in given:
            op, fmt, policy, types = _claim(claim)
            if op in _LATER_OPS:
                continue
            takes_numbers = op in ("encode", "quantize")
            if not takes_numbers or self._options.input_type in types:
                found.setdefault((op, valid_format(fmt, op)), policy)
        return [(op, fmt, policy) for (op, fmt), policy in found.items()]

    def _judged(self, answer: Event) -> Event:
        kind = answer["event"]
        if answer.get("id") != self._id:
            raise TargetError(
                f"the target answered run {escaped(repr(answer.get('id')), 40)}, asked was "
                f"{self._id}",
                kind="garbage",
            )
        if kind == "skipped":
            reason = escaped(str(answer.get("reason", "no reason given")))
            raise TargetError(f"the target skipped it: {reason}", kind="not-claimed")
        if kind == "errored":
            message = escaped(str(answer.get("message", "no message")))
            raise RefusalError(f"the target reported an error: {message}")
        outputs = answer.get("outputs")
        if not isinstance(outputs, dict):
            raise TargetError('the result has no "outputs" object', kind="garbage")
        return outputs


def _event(line: bytes) -> Event:
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        event = None
    if isinstance(event, dict) and isinstance(event.get("event"), str):
        return event
    raise TargetError(
        f"the target printed '{escaped(line, 80)}', which is no event: expected one JSON object a "
        'line, with "event"; everything else belongs on standard error',
        kind="garbage",
    )


def _claim(claim: Any) -> tuple[str, str, str | None, list[str]]:
    """Check one claim: operation, format, policy, types of the numbers."""
    if not isinstance(claim, dict):
        claim = {}
    op, fmt, policy = claim.get("op"), claim.get("format"), claim.get("policy")
    types = claim.get("types", [INPUT_TYPES[0]])
    if not isinstance(op, str) or not isinstance(fmt, str) or not isinstance(types, list):
        raise TargetError(
            'a claim of the target is wrong: expected {"op": "quantize", "format": "mxfp4"}, and '
            'if need be "policy": "ocp", "types": ["float32"]'
        )
    if op not in (*PROGRAM_OPS, *_LATER_OPS):
        raise TargetError(
            "a claim of the target is wrong: " + unknown_name("operation", op, PROGRAM_OPS)
        )
    if policy is not None:
        _require_policy(policy, op)
    return op, fmt, policy, [each for each in types if isinstance(each, str)]


def _require_policy(policy: Any, op: str) -> None:
    from mxref.faults.legal import require_judgeable
    from mxref.policy import get_policy

    try:
        found = get_policy(policy)
        if op in ("quantize", "encode"):
            require_judgeable(found)
    except (ValueError, TypeError) as error:
        raise TargetError(f"a claim of the target is wrong: {escaped(str(error))}") from None


def _numbers(outputs: Event, name: str, count: int, bits: int) -> NDArray[Any]:
    text = outputs.get(name)
    if not isinstance(text, str):
        raise TargetError(f'the result has no "{name}" string in its outputs', kind="garbage")
    return values_of(text, count, bits, f'"{name}" of the result')
