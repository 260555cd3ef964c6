"""What the answer of a check consists of: verdicts, findings, witnesses, places, gaps, trouble."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar, overload

__all__ = [
    "Distances",
    "Finding",
    "Gap",
    "Inference",
    "Lazy",
    "MismatchMap",
    "Mismatches",
    "Place",
    "Trouble",
    "Verdict",
    "Witness",
]


_T = TypeVar("_T")


class Lazy(Sequence[_T]):
    """A sequence that is made when somebody looks at it: a check that passes must be fast.

    Examples
    --------
    >>> Lazy(lambda: (1, 2))[0], list(Lazy(lambda: ())), Lazy(lambda: (3,)) == (3,)
    (1, [], True)
    """

    def __init__(self, make: Callable[[], tuple[_T, ...]]) -> None:
        self._make: Callable[[], tuple[_T, ...]] | None = make
        self._made: tuple[_T, ...] = ()

    def _all(self) -> tuple[_T, ...]:
        if self._make is not None:
            self._made, self._make = self._make(), None
        return self._made

    @overload
    def __getitem__(self, index: int) -> _T: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[_T, ...]: ...
    def __getitem__(self, index: int | slice) -> Any:
        """Return some of it."""
        return self._all()[index]

    def __len__(self) -> int:
        """Return its length."""
        return len(self._all())

    def __iter__(self) -> Iterator[_T]:
        """Go through it."""
        return iter(self._all())

    def __eq__(self, other: object) -> bool:
        """Compare with any sequence."""
        return isinstance(other, Sequence) and self._all() == tuple(other)

    def __hash__(self) -> int:
        """Hash as the tuple that it stands for."""
        return hash(self._all())

    def __repr__(self) -> str:
        """Show the tuple that it stands for."""
        return repr(self._all())

    def __reduce__(self) -> tuple[Any, ...]:
        """Be pickled as a plain tuple."""
        return tuple, (self._all(),)


class Verdict(enum.StrEnum):
    """The outcome of a check."""

    CONFORMS = "conforms"
    """Bit for bit what the policy in question asks for."""
    CONFORMS_AS = "conforms-as"
    """Bit for bit what another legal policy asks for; `Report.policy` is that policy."""
    DEFECT = "defect"
    """Wrong, and faults of the catalogue reproduce every bit."""
    UNEXPLAINED = "unexplained"
    """Wrong, and no fault or composition of faults reproduces every bit."""
    NOT_TESTABLE = "not-testable"
    """Nothing could be judged: no data, or a target that could not be run as it should."""


@dataclass(frozen=True, slots=True)
class Witness:
    """One mismatch: input, what was given, and what was expected.

    Attributes
    ----------
    index : tuple of int
        Logical coordinates: of the element, or for a scale of the block; none for that of a tensor.
    stage : str
        ``"scale"``, ``"element"`` or ``"value"``.
    input_bits, input_value, scale_code, got_bits, got_value, expected_bits, expected_value
        Bits in hexadecimal and values in decimal; None where the stage has no such thing. The input
        of a scale is the amax of its block.
    """

    index: tuple[int, ...]
    stage: str
    input_bits: str | None = None
    input_value: str | None = None
    scale_code: str | None = None
    got_bits: str | None = None
    got_value: str | None = None
    expected_bits: str | None = None
    expected_value: str | None = None

    def __str__(self) -> str:
        """Return one readable line."""
        where = "[" + ", ".join(str(i) for i in self.index) + "]"
        if self.stage == "scale" and not self.index:
            where = "tensor"  # a scale that all of it shares
        given = {"scale": "amax ", "value": "code "}.get(self.stage, "")
        source = f"{given}{_pair(self.input_value, self.input_bits)}"
        scale = f" under scale {self.scale_code}" if self.scale_code else ""
        got = _pair(self.got_bits, self.got_value)
        expected = _pair(self.expected_bits, self.expected_value)
        return f"{where}: {source}{scale} gave {got}, expected {expected}"


def _pair(first: str | None, second: str | None) -> str:
    if first is None or second is None:
        return first or second or "?"
    return f"{first} ({second})"


@dataclass(frozen=True, slots=True)
class Finding:
    """One named cause.

    Attributes
    ----------
    id : str
        Fault id such as ``"E1"``, or the open point where a legal choice has no fault id.
    title, effect, repair : str
        What is done, what it does to users, and what to do about it.
    explains : float
        Share of the mismatches of its stage that need it for their explanation, from 0 to 1; two
        findings that act on the same element both count it.
    residual : int
        Mismatches of its stage that are left when it and the other findings are assumed.
    witness : Witness or None
        One mismatch that it explains.
    seen_in : tuple of str
        Where the same fault was found in the field.
    legal : bool
        Whether it is a choice that the standard leaves open.
    policy_change : Mapping of str to str
        The policy fields that make it legal.
    detail : str
        Which variant of the fault.
    stimulus : str
        Input that separates it from its neighbours.
    """

    id: str
    title: str
    explains: float
    residual: int
    witness: Witness | None
    seen_in: tuple[str, ...]
    effect: str
    repair: str
    legal: bool
    policy_change: Mapping[str, str] = field(default_factory=dict)
    detail: str = ""
    stimulus: str = ""

    @property
    def certain(self) -> bool:
        """Whether it may be said to be the cause: nothing is left over."""
        return self.residual == 0


@dataclass(frozen=True, slots=True)
class MismatchMap:
    """Where the mismatches lie, as a picture of bounded size.

    Attributes
    ----------
    shape : tuple of int
        Shape of the data in the eyes of the caller.
    rows : tuple of tuple of float
        Share of mismatches, 0 to 1, in each cell; at most 64 rows of at most 128 cells. Rows are
        the leading axes flattened, columns the last axis, both cut evenly; a cell holds
        ``cell[0]`` by ``cell[1]`` elements, less at the ends.
    cell : tuple of int
        Elements a cell, down and across.
    lanes : tuple of int
        Mismatches by place in the block; empty where there are no blocks.
    """

    shape: tuple[int, ...]
    rows: tuple[tuple[float, ...], ...] = field(repr=False)  # thousands of numbers
    cell: tuple[int, int]
    lanes: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Mismatches:
    """How much differs from the policy that was judged against.

    Attributes
    ----------
    scales, elements : int
        Differing scale codes; differing elements (or values), judged given the emitted scale.
    total_scales, total_elements : int
        How many there are.
    first : Witness or None
        The first mismatch in logical order, scales before elements.
    map : MismatchMap or None
        Where they lie; None where nothing differs.
    """

    scales: int
    elements: int
    total_scales: int
    total_elements: int
    first: Witness | None = None
    map: MismatchMap | None = None


@dataclass(frozen=True, slots=True)
class Distances:
    """How far results are from the exact sum, in units of what any order of a sum allows.

    Attributes
    ----------
    bins : tuple of (str, int)
        How many results are the exact sum, have an error up to each bound, and have none that can
        be told, in this order.
    worst : float
        The largest finite error.
    """

    bins: tuple[tuple[str, int], ...]
    worst: float


@dataclass(frozen=True, slots=True)
class Inference:
    """One rule that was read off the data or off a driven target.

    Attributes
    ----------
    what : str
        The rule in question, such as ``"scale rule"``, ``"rounding"``, ``"overflow"``.
    found : str
        What it is, such as ``"steps strictly above 1.75: rceil"`` or
        ``"theta = 1.3125 exactly, inclusive: no published rule"``.
    name : str
        The published name (a policy choice), or empty.
    exact : bool
        Whether the data pin it to the last bit.
    """

    what: str
    found: str
    name: str = ""
    exact: bool = True


@dataclass(frozen=True, slots=True)
class Gap:
    """What the given data cannot show.

    Attributes
    ----------
    what : str
        The behaviour that was not tested, in a few words: ``"a tie"``, ``"NaN"``.
    faults : tuple of str
        Ids of the faults that would stay unseen because of it.
    needs : str
        The smallest extra input that would show it: numbers, with their bits.
    """

    what: str
    faults: tuple[str, ...]
    needs: str


@dataclass(frozen=True, slots=True)
class Place:
    """Something that mismatches without a known cause have in common.

    Attributes
    ----------
    what : str
        What was seen, one sentence: ``"Every mismatch lies in lanes 0, 1, 2 of 32."``
    points_to : str
        What usually does that.
    try_next : str
        What to try next.
    share : float
        Share of the mismatches to which it applies.
    """

    what: str
    points_to: str
    try_next: str
    share: float = 1.0


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a target could not be judged, or not as it should be.

    Attributes
    ----------
    kind : str
        ``"mis-wired"``, ``"raised"``, ``"crashed"``, ``"timed-out"``, ``"garbage"``,
        ``"changed-input"``, ``"nondeterministic"`` or ``"not-claimed"``.
    text : str
        One or a few sentences: what happened, what was expected, what to do.
    """

    kind: str
    text: str
