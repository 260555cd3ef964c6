"""The calls that the vectors make into the kernels, recorded once and repeated with a mutant.

Where every call gives the same arrays again, the comparison with the vectors must end as it did
for the source: the mutant survives, and the slow way through the public functions is spared. Where
one differs the mutant is compared with the vectors themselves, that file first.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

__all__ = ["ENTRANCES", "Call", "Recorder", "first_difference", "is_replayable"]

ENTRANCES = {
    "block": ("quantize", "encode_with_scale", "dequantize"),
    "element": ("encode", "decode", "encode_scale", "decode_scale"),
    "composed": ("quantize", "encode", "encode_with_scale"),
}
"""Functions of the kernels that the layers above call to compute with arrays."""

# What else they call; such a mutant is compared with the vectors at once. So is one outside of any
# function.
_OTHERS = frozenset(
    {"", "is_finite", "random_bits", "is_composed", "draws_elements", "draws_scale", "searches"}
)
_PARAMETERS = {
    "block": ("block_parameters", "encoder_parts"),
    "element": ("element_parameters", "scale_parameters", "encoder_parts"),
    "composed": ("block_parameters", "element_parameters"),
}
# Modules whose mutants leave the parameters as they are.
_BESIDE_PARAMETERS = frozenset(
    {"programs.py", "rounding.py", "block.py", "element.py", "composed.py"}
)
_PROGRAMS = frozenset({"programs.py", "rounding.py"})


class Call(NamedTuple):
    """A call of an entrance: arrays before and after it, and the other arguments."""

    step: str
    module: str
    name: str
    before: tuple[Any, ...]
    after: tuple[Any, ...]


def _module(name: str) -> Any:
    return importlib.import_module(f"mxref.kernels.{name}")


def _copies(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(a.copy() if isinstance(a, np.ndarray) else a for a in arguments)


def _same(found: tuple[Any, ...], expected: tuple[Any, ...]) -> bool:
    pairs = zip(found, expected, strict=True)
    return all(np.array_equal(a, b) for a, b in pairs if isinstance(b, np.ndarray))


def _key(name: str, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    # A source is a new object of a new class once its module has been imported anew.
    return (name, *(getattr(a, "name", a) if hasattr(a, "storage") else a for a in arguments))


class Recorder:
    """Records calls, and the parameters that they made."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.parameters: dict[tuple[Any, ...], Any] = {}
        self.step = ""

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Record what the kernels are asked meanwhile."""
        places = [(m, n, self._entrance(m, n)) for m, names in ENTRANCES.items() for n in names]
        places += [(m, n, self._made(m, n)) for m, names in _PARAMETERS.items() for n in names]
        kept = [(m, n, getattr(_module(m), n)) for m, n, _ in places]
        try:
            for module, name, function in places:
                setattr(_module(module), name, function)
            yield
        finally:
            for module, name, function in kept:
                setattr(_module(module), name, function)

    def _entrance(self, module: str, name: str) -> Callable[..., None]:
        function = getattr(_module(module), name)

        def record(*arguments: Any) -> None:
            before = _copies(arguments)
            function(*arguments)
            self.calls.append(Call(self.step, module, name, before, _copies(arguments)))

        return record

    def _made(self, module: str, name: str) -> Callable[..., Any]:
        function = getattr(_module(module), name)

        def make(*arguments: Any) -> Any:
            made = self.parameters[_key(name, arguments)] = function(*arguments)
            return made

        return make

    def reuse(self) -> None:
        """Let the kernels, imported anew, take the parameters that were made before."""
        for module, names in _PARAMETERS.items():
            for name in names:
                function = getattr(_module(module), name)

                def made(*arguments: Any, name: str = name, function: Any = function) -> Any:
                    found = self.parameters.get(_key(name, arguments))
                    return function(*arguments) if found is None else found

                setattr(_module(module), name, made)


def _alike(recorder: Recorder, calls: Iterable[Call]) -> Iterator[Call]:
    """One of those calls that ask the lane programs the same: many policies have one answer."""
    seen = set()
    for call in calls:
        if (call.module, call.name) == ("block", "quantize"):
            bits, fmt, policy, source, scales, *_ = call.before
            parameters = recorder.parameters["block_parameters", source, fmt, policy]
            words = (parameters.tobytes(), bits.tobytes(), scales.size)
            asked = (source, fmt.element.kind, policy.rounding, *words)
            if asked in seen:
                continue
            seen.add(asked)
        yield call


def is_replayable(function: str) -> bool:
    """Whether what a mutant does shows in the recorded calls alone."""
    return function.rsplit(".", maxsplit=1)[-1] not in _OTHERS


def first_difference(recorder: Recorder, module: str, steps: set[str]) -> str | None:
    """The step of the first call that a mutant answers otherwise, or None; it may raise."""
    if module in _BESIDE_PARAMETERS:
        recorder.reuse()
    calls: Iterable[Call] = (call for call in recorder.calls if call.step in steps)
    if module in _PROGRAMS:
        calls = _alike(recorder, calls)
    for call in calls:
        arguments = _copies(call.before)
        getattr(_module(call.module), call.name)(*arguments)
        if not _same(arguments, call.after):
            return call.step
    return None
