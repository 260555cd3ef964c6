"""A difference as a picture: where elements differ, and how far they are apart."""

from __future__ import annotations

from os import PathLike
from typing import TYPE_CHECKING, Any

from mxref.show.compare import _style
from mxref.show.diff._count import KINDS
from mxref.show.diff._document import histogram
from mxref.show.diff._words import span

if TYPE_CHECKING:
    from mxref.show.diff._difference import Difference

__all__ = ["plot"]


def plot(found: Difference, path: str | PathLike[str]) -> None:
    """Draw and write; see `Difference.plot`."""
    _style.require_suffix(path)
    if found.map is None:
        raise ValueError("no element differs: there is nothing to draw")
    with _style.figure(9.0, 4.6, ncols=2, width_ratios=(2, 1)) as (made, (left, right)):
        _map(made, left, found)
        _bars(right, found)
        made.suptitle(
            f"{found.pair.name}, shape {found.pair.shape}: "
            f"{found.count:,} of {found.total:,} elements differ"
        )
        _style.save(made, path)


def _map(made: Any, axes: Any, found: Difference) -> None:
    """Draw shares of cells; the axes count elements and rows."""
    import numpy as np

    picture = found.map
    assert picture is not None  # noqa: S101  # asked before
    shares = np.array(picture.rows)
    width = found.pair.shape[-1] if found.pair.shape else 1
    height = found.total // width
    axes.grid(visible=False)
    image = axes.imshow(
        np.where(shares > 0, shares, np.nan),
        cmap="viridis_r",
        vmin=0,
        vmax=1,
        aspect="auto",
        interpolation="nearest",
        extent=(0, shares.shape[1] * picture.cell[1], shares.shape[0] * picture.cell[0], 0),
    )
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    axes.set_xlabel("last axis")
    axes.set_ylabel("rows (other axes)")
    axes.set_title("share of elements that differ")
    made.colorbar(image, ax=axes, shrink=0.8)


def _bars(axes: Any, found: Difference) -> None:
    rows = histogram(found)
    axes.grid(visible=False)
    if not rows:
        kinds = [(KINDS[name], n) for name, n in found.kinds.items() if n]
        axes.barh([name for name, _ in kinds], [n for _, n in kinds], color=_style.COLOURS["grey"])
        axes.set_title("kinds")
        return
    names = [span(low, high) for low, high, *_ in rows]
    left = [0] * len(rows)
    least = 5  # rows of space, so that a single bar is no wall
    parts = (("b nearer zero", "blue"), ("b as far", "grey"), ("b farther", "orange"))
    for i, (name, colour) in enumerate(parts):
        counts = [row[2 + i] for row in rows]
        if any(counts):
            axes.barh(names, counts, 0.6, left, color=_style.COLOURS[colour], label=name)
            left = [n + m for n, m in zip(left, counts, strict=True)]
    axes.set_ylim(max(len(rows), least) - 0.5, -0.5)
    axes.set_xlabel("elements")
    axes.set_title("ulps apart")
    axes.legend(fontsize=8, loc="lower right")
