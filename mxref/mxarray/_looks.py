"""How arrays in block formats show themselves: the same for MX, NVFP4 and BDR."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mxref.mxarray._look import Look
    from mxref.mxarray._look_parts import Family

__all__ = ["Looks"]


class Looks:
    """An array that shows itself: `look`, and with it ``repr`` and what a notebook displays.

    Like the ``repr`` of NumPy, torch and xarray it has several lines, since a person at a prompt
    asks for the array and not for a way to type it. The first line alone says what it is, so that
    logs and assertions that cut the text keep the point.
    """

    __slots__ = ()

    @abstractmethod
    def _family(self) -> Family:
        """Return what the view has to know of this family of formats."""

    def look(self, source: Any = None, *, blocks: int | None = None) -> Look:
        """Return a view of the array: scales, counts, and blocks element by element.

        ``repr(q)`` and what a notebook shows are ``q.look()``. With the numbers that the array was
        made of it also says which elements were flushed to zero, and which were saturated.

        Parameters
        ----------
        source : array of float64, float32, float16 or bfloat16, optional
            The numbers that the array was made of.
        blocks : int, optional
            How many blocks to show at most; by default as many as fit a screen.

        Returns
        -------
        Look
            Text when printed, a table in a notebook; ``to_dict()`` for programs.

        Raises
        ------
        TypeError, ValueError
            If the source is no array of numbers of the same shape, or `blocks` is no count.

        Examples
        --------
        >>> import mxref, numpy as np
        >>> q = mxref.MXArray(np.arange(4, dtype=np.uint8), np.array([128], np.uint8), "mxfp4/4")
        >>> q.look(np.array([0.1, 1, 2, 3]))
        MXArray(mxfp4/4, shape=(4,), axis=0, policy='ocp')
          size      1 block of 4, 3 bytes packed, 6 bits per element
          scales    all 2^1 (0x80)
          elements  4: 1 zero, 0 at the largest magnitude (6), 1 flushed to zero, 0
                    saturated
          [0:4]  scale 2^1 (0x80), amax 3 at 3
            value     0!   1   2  3*
            code     0x0 0x1 0x2 0x3
          * amax of its block   ! flushed
        """
        from mxref.mxarray._look import Look

        return Look(self._family(), source, blocks)

    def __repr__(self) -> str:
        """Return what it is, what is in it, and its first blocks."""
        return str(self.look())

    def _repr_html_(self) -> str:
        return self.look()._repr_html_()
