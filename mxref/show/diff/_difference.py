"""`Difference`: how two arrays differ, counted and pictured."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from os import PathLike
from typing import TYPE_CHECKING

import numpy as np

from mxref.show._paint import Mark
from mxref.show._text import View
from mxref.show.diff._count import KINDS, Tally, judge, tally
from mxref.show.diff._operands import Pair
from mxref.show.diff._physical import Memory
from mxref.show.diff._place import Place, place_of
from mxref.show.diff._scaling import Scaling

if TYPE_CHECKING:
    from mxref.check.parts import MismatchMap

__all__ = ["Difference"]

_PIECE = 1 << 17


class Difference(View):
    """What `mxref.diff` returns: true if anything differs; printed, it says what.

    Attributes
    ----------
    equal : bool
        Whether every bit agrees, scales included.
    count, total : int
        Elements that differ, in their code or in a scale that applies to them; all elements.
    first, farthest : Place or None
        The first element that differs, in C order; the one with the largest distance in ulps.
    kinds : dict of str to int
        How many differ in which way: each is counted once. `mxref.show.diff.KINDS` says what the
        keys mean.
    map : MismatchMap or None
        Where they lie; None if none differs.

    Notes
    -----
    An ulp is one step along the values of the format. Where the scales differ too, steps are those
    of the values under the larger scale, at least one for values that differ. The scale of a whole
    NVFP4 tensor is left out of all this and compared by itself.

    Examples
    --------
    >>> import numpy as np, mxref
    >>> d = mxref.diff(np.array([0x7E, 1], np.uint8), np.array([0x7F, 1], np.uint8), format="e4m3")
    >>> bool(d), d.count, d.first.index, d.first.kind, d.first.b.value
    (True, 1, (0,), 'nan', 'nan')
    """

    __slots__ = ("_memory", "_pair", "_scaling", "_tally")

    def __init__(self, pair: Pair, scaling: Scaling | None, memory: Memory) -> None:
        self._pair, self._scaling, self._memory = pair, scaling, memory
        self._tally = tally(pair, scaling)

    def __bool__(self) -> bool:
        """Whether anything differs."""
        return not self.equal

    @property
    def pair(self) -> Pair:
        """What was compared."""
        return self._pair

    @property
    def tally(self) -> Tally:
        """All counts, as arrays."""
        return self._tally

    @property
    def equal(self) -> bool:
        """Whether every bit agrees."""
        whole = self._pair.global_scales
        scales = self._scaling is None or self._scaling.is_equal
        return not self.count and scales and (whole is None or _same_float(*whole))

    @property
    def count(self) -> int:
        """How many elements differ, in their code or in a scale that applies to them."""
        return self._tally.elements

    @property
    def total(self) -> int:
        """How many elements there are."""
        return self._pair.a.size

    @property
    def scale_counts(self) -> tuple[tuple[str, int, int], ...]:
        """For each kind of scale: its name, how many differ, how many there are."""
        if self._scaling is None:
            return ()
        names = ("scales", "subscales")
        return tuple(
            (name, int(np.count_nonzero(differs)), int(np.size(differs)))
            for name, differs in zip(names, self._scaling.differing, strict=False)
        )

    @property
    def kinds(self) -> dict[str, int]:
        """How many elements differ in which way."""
        return dict(zip(KINDS, self._tally.kinds.sum(0).tolist(), strict=True))

    @property
    def map(self) -> MismatchMap | None:
        """Where the differences lie."""
        found: MismatchMap | None = self._tally.map
        return found

    @property
    def first(self) -> Place | None:
        """The first element that differs, in C order."""
        return None if self._tally.first is None else self._place(self._tally.first)

    @property
    def farthest(self) -> Place | None:
        """The first of the elements that lie farthest apart, in ulps."""
        return None if self._tally.farthest is None else self._place(self._tally.farthest[1])

    def _place(self, flat: int) -> Place:
        return place_of(self._pair, self._scaling, self._memory, flat)

    def at(self, *index: int) -> Place:
        """Look at one element, whether it differs or not.

        Parameters
        ----------
        *index : int
            In the logical shape; one number counts in C order.

        Raises
        ------
        IndexError
            If there is no such element.

        Examples
        --------
        >>> import numpy as np, mxref
        >>> d = mxref.diff(np.float32([1, 2]), np.float32([1, 3]))
        >>> d.at(1).a.value, d.at(1).b.value, d.at(0).kind
        ('2', '3', None)
        """
        shape = self._pair.shape
        if len(index) == 1 and len(shape) != 1:
            shape = (self.total,)
        inside = len(index) == len(shape) and all(
            -n <= i < n for i, n in zip(index, shape, strict=True)
        )
        if not inside:
            raise IndexError(f"no element {index} in shape {self._pair.shape}")
        flat = 0
        for i, n in zip(index, shape, strict=True):
            flat = flat * n + i % n
        return self._place(flat)

    def places(self, limit: int = 8, kind: str | None = None) -> Iterator[Place]:
        """Return the first elements that differ, in C order, one after the other.

        Parameters
        ----------
        limit : int
            How many.
        kind : str, optional
            Only those that differ in this way.

        Returns
        -------
        iterator of Place

        Raises
        ------
        ValueError
            If there is no such kind.

        Examples
        --------
        >>> import numpy as np, mxref
        >>> d = mxref.diff(np.float32([0, 1, 2]), np.float32([-0.0, 1, 3]))
        >>> [(p.index, p.kind) for p in d.places()]
        [((0,), 'zero-sign'), ((2,), 'more')]
        """
        if kind is not None and kind not in KINDS:
            from mxref._suggest import unknown_name

            raise ValueError(unknown_name("kind of difference", kind, KINDS))
        return (self._place(flat) for flat in itertools.islice(self._flat(kind), max(0, limit)))

    def _flat(self, kind: str | None) -> Iterator[int]:
        """Yield the numbers of the elements that differ (in this way)."""
        pair, start = self._pair, self._tally.first
        if start is None or (kind is not None and not self.kinds[kind]):
            return
        a, b = pair.a.reshape(-1), pair.b.reshape(-1)
        for low in range(start, len(a), _PIECE):
            differs = a[low : low + _PIECE] != b[low : low + _PIECE]
            if self._scaling is not None and not self._scaling.is_equal:
                differs |= self._scaling.other(np.arange(low, low + len(differs)))
            where = np.flatnonzero(differs) + low
            if kind is not None and len(where):
                judged = judge(pair.line, self._scaling, where, a[where], b[where])
                where = where[judged.kind == list(KINDS).index(kind)]
            yield from where.tolist()

    def plot(self, path: str | PathLike[str]) -> None:
        """Draw where the differences lie, and how far apart they are.

        Parameters
        ----------
        path : path
            A file ending in .svg, .png or .pdf. The same difference gives the same bytes.

        Raises
        ------
        ValueError
            If the path ends in something else, or nothing differs.
        ModuleNotFoundError
            If matplotlib, the extra ``plot``, is not installed.
        """
        from mxref.show.diff import _plot

        _plot.plot(self, path)

    # --- forms --------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, object]:
        """Return everything as plain data."""
        from mxref.show.diff import _document

        return _document.document(self)

    def _lines(self) -> list[str]:
        from mxref.show.diff import _words

        return _words.lines(self)

    def _marks(self, lines: Sequence[str]) -> Iterable[Mark]:
        from mxref.show.diff import _words

        return _words.marks(lines)

    def _repr_html_(self) -> str:
        from mxref.show.diff import _html

        return _html.html(self)


def _same_float(a: float, b: float) -> bool:
    return (math.isnan(a) and math.isnan(b)) or (
        a == b and math.copysign(1, a) == math.copysign(1, b)
    )
