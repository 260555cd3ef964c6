"""Faults of the second level of BDR quantizers: shared microexponents, and integer sub-scales.

A docstring gives the id and the variant. Those of stage ``"element"`` have the right sub-scales
and encode the elements as though they were others.
"""

from __future__ import annotations

import numpy as np

from mxref.faults._bdr_variant import BDRFault, has_integer, has_shift, of
from mxref.faults.bdr_model import Lanes, Model, Scales
from mxref.faults.encoder import Bytes, Floats, Ints
from mxref.relatives.bdr_format import BDRFormat

__all__ = ["SHIFT_FAULTS"]

_BYTE = 8


def _has_pairs(fmt: BDRFormat) -> bool:
    return has_shift(fmt) and fmt.k1 is not None and fmt.k1 % (2 * fmt.k2) == 0


# --- sub-scales -------------------------------------------------------------------------------


class _Inverted(Model):
    """S18: the shift is counted from the other end."""

    def shifts(self, lanes: Lanes, codes: Ints) -> Ints:
        return self.fmt.max_shift - super().shifts(lanes, codes)


class _Always(Model):
    """S18: every sub-block is shifted."""

    def shifts(self, lanes: Lanes, codes: Ints) -> Ints:
        return np.full_like(super().shifts(lanes, codes), self.fmt.max_shift)


class _Of(Model):
    """S20: the exponent of something else than the largest magnitude."""

    which = "smallest"

    def of_subblock(self, seen: Floats) -> Floats:
        match self.which:
            case "smallest":
                return np.asarray(seen.min(2))
            case "below all":  # that of zero lies below all others
                return np.asarray(np.maximum(seen.min(2), 2.0**-1000))
            case "first":
                return np.asarray(seen[:, :, 0])
            case "last":
                return np.asarray(seen[:, :, -1])
        return np.asarray(seen.mean(2))


class _Signed(Model):
    """S20: the largest number, not the largest magnitude."""

    def seen_below(self, lanes: Lanes) -> Floats:
        return np.where(lanes.sign, 0.0, super().seen_below(lanes))


class _SkipsZeros(Model):
    """S20: zeros do not count towards the smallest, so that one never shifts."""

    def of_subblock(self, seen: Floats) -> Floats:
        some = np.where(seen == 0, np.inf, seen).min(2)
        return np.where(np.isinf(some), 0.0, some)


class _Wider(Model):
    """S21: two sub-blocks share a shift."""

    def shifts(self, lanes: Lanes, codes: Ints) -> Ints:
        found = super().shifts(lanes, codes)
        if found.shape[1] % 2:
            return found
        pairs = found.reshape(len(found), -1, 2).min(2)
        return np.repeat(pairs, 2, axis=1)


class _Strided(Model):
    """S21: sub-blocks of lanes that do not lie together."""

    by = 0

    def seen_below(self, lanes: Lanes) -> Floats:
        seen = super().seen_below(lanes)
        if self.by:
            return np.roll(seen, -self.by, axis=1)
        return seen.reshape(len(seen), self.fmt.k2, -1).swapaxes(1, 2).reshape(seen.shape)


class _Cut(Model):
    """S22: the shift is cut to its bits instead of capped."""

    def capped(self, gap: Ints) -> Ints:
        return np.where(gap > 0, gap & self.fmt.max_shift, 0)


class _Dropped(Model):
    """S22: a shift that does not fit is left out."""

    def capped(self, gap: Ints) -> Ints:
        return np.where(gap > self.fmt.max_shift, 0, super().capped(gap))


class _Late(Model):
    """S22: the shift is short of one, or one too many."""

    by = -1

    def capped(self, gap: Ints) -> Ints:
        return super().capped(gap + self.by)


class _Reversed(Model):
    """S23: the sub-blocks of a block are stored in reverse order."""

    size = 0

    def subscales(self, x: np.ndarray, scales: Scales) -> Bytes:
        return reordered(super().subscales(x, scales), self.size)


def reordered(found: Bytes, size: int) -> Bytes:
    """Reverse the sub-scales of each block, or in groups of some.

    Examples
    --------
    >>> reordered(np.array([[1, 2, 3, 4]], np.uint8), 0), reordered(np.eye(2, 2, 0, np.uint8), 2)
    (array([[4, 3, 2, 1]], dtype=uint8), array([[0, 1],
           [1, 0]], dtype=uint8))
    """
    width = found.shape[1]
    size = width if not size or width % size else size
    groups = found.reshape(len(found), -1, size)
    return np.ascontiguousarray(groups[:, :, ::-1]).reshape(found.shape)


class _Unrounded(Model):
    """S20: an exponent of an amax in which a carry of bfloat16 shows."""

    def sub_exponent(self, largest: Floats) -> Ints:
        from mxref.faults.encoder import round_to_float

        return super().sub_exponent(round_to_float(largest, "bfloat16"))


# --- elements ---------------------------------------------------------------------------------


class _Ignored(Model):
    """S19: elements are encoded without the shift."""

    def applied(self, lanes: Lanes, scales: Scales, subscales: Bytes) -> Ints:
        return 0 * super().applied(lanes, scales, subscales)


class _Own(Model):
    """S19: elements are shifted as they should be, whatever is stored."""

    def applied(self, lanes: Lanes, scales: Scales, subscales: Bytes) -> Ints:
        del subscales
        return np.where(
            (scales == self.fmt.nan_scale)[:, None],
            0,
            Model.shifts(self, lanes, scales.astype(np.int64)),
        )


class _Backwards(Model):
    """S19: elements are shifted in the other direction."""

    def applied(self, lanes: Lanes, scales: Scales, subscales: Bytes) -> Ints:
        return -super().applied(lanes, scales, subscales)


class _Twice(Model):
    """S19: elements are shifted twice as far."""

    def applied(self, lanes: Lanes, scales: Scales, subscales: Bytes) -> Ints:
        return 2 * super().applied(lanes, scales, subscales)


class _Complement(Model):
    """S19: elements are shifted where the bit is not set."""

    def applied(self, lanes: Lanes, scales: Scales, subscales: Bytes) -> Ints:
        return self.fmt.max_shift - super().applied(lanes, scales, subscales)


class _Elsewhere(Model):
    """S19: elements are shifted as another sub-block asks for."""

    by = 0

    def applied(self, lanes: Lanes, scales: Scales, subscales: Bytes) -> Ints:
        other = np.roll(subscales, self.by, axis=1) if self.by else reordered(subscales, 0)
        return super().applied(lanes, scales, other)


class _OnlyLarger(Model):
    """S19: one member of the sub-block is not shifted."""

    keep = 0

    def per_lane(self, of_subblocks: Ints) -> Ints:
        found = super().per_lane(of_subblocks)
        lane = np.arange(found.shape[1]) % self.fmt.k2
        return np.where(lane == self.keep, found, 0)


# --- integers ---------------------------------------------------------------------------------


class _Floor(Model):
    """S24: integer sub-scales are rounded down."""

    def integers(self, quotient: Floats) -> Ints:
        return np.minimum(np.floor(quotient), self.fmt.max_subscale).astype(np.int64)


class _AwayInteger(Model):
    """S24: ties of integer sub-scales go up."""

    def integers(self, quotient: Floats) -> Ints:
        return np.minimum(np.floor(quotient + 0.5), self.fmt.max_subscale).astype(np.int64)


class _AtLeastOne(Model):
    """S24: an integer sub-scale is never zero."""

    def integers(self, quotient: Floats) -> Ints:
        found: Ints = super().integers(quotient)  # type: ignore[misc]
        return np.maximum(found, 1)


class _OtherInteger(Model):
    """S19: elements are divided as though the sub-scale were another."""

    def applied(self, lanes: Lanes, scales: Scales, subscales: Bytes) -> Ints:
        return np.ones_like(super().applied(lanes, scales, subscales))


def _stored(fault: str, detail: str, model: type[Model]) -> BDRFault:
    return BDRFault(fault, detail, "subscale", model, has_shift)


def _used(detail: str, model: type[Model]) -> BDRFault:
    return BDRFault("S19", detail, "element", model, has_shift)


def _is_wide(fmt: BDRFormat) -> bool:
    return has_shift(fmt) and fmt.max_shift > 1


SHIFT_FAULTS: tuple[BDRFault, ...] = (
    _stored("S18", "0 and 1 are exchanged", _Inverted),
    _stored("S18", "every sub-block is shifted", _Always),
    _stored("S20", "the smallest magnitude", _Of),
    _stored("S20", "the smallest magnitude, zero below all", of(_Of, which="below all")),
    _stored("S20", "the smallest magnitude that is not zero", _SkipsZeros),
    _stored("S20", "the first element", of(_Of, which="first")),
    _stored("S20", "the last element", of(_Of, which="last")),
    _stored("S20", "the mean", of(_Of, which="mean")),
    _stored("S20", "the largest number, not the largest magnitude", _Signed),
    _stored("S20", "the largest magnitude in bfloat16", _Unrounded),
    BDRFault("S21", "two sub-blocks share one", "subscale", _Wider, _has_pairs),
    _stored("S21", "elements that lie apart", _Strided),
    _stored("S21", "one element further on", of(_Strided, by=1)),
    BDRFault("S22", "cut to its bits", "subscale", _Cut, has_shift),
    BDRFault("S22", "left out where it does not fit", "subscale", _Dropped, has_shift),
    _stored("S22", "one less", _Late),
    BDRFault("S22", "one more", "subscale", of(_Late, by=1), _is_wide),
    _stored("S23", "the whole block", _Reversed),
    BDRFault("S23", "in each byte", "subscale", of(_Reversed, size=_BYTE),
             lambda f: has_shift(f) and f.k1 is not None and f.k1 // f.k2 > _BYTE),
    _used("not at all", _Ignored),
    _used("by the shift that is right, not the stored one", _Own),
    _used("in the other direction", _Backwards),
    BDRFault("S19", "twice", "element", _Twice, has_shift),
    _used("where the bit is not set", _Complement),
    _used("as the sub-blocks in reverse order", _Elsewhere),
    _used("as the sub-block before", of(_Elsewhere, by=1)),
    _used("as the sub-block behind", of(_Elsewhere, by=-1)),
    BDRFault("S19", "the first element alone", "element", _OnlyLarger,
             lambda f: has_shift(f) and f.k2 > 1),
    BDRFault("S19", "the second element alone", "element", of(_OnlyLarger, keep=1),
             lambda f: has_shift(f) and f.k2 > 1),
    BDRFault("S24", "rounded down", "subscale", _Floor, has_integer),
    BDRFault("S24", "ties go up", "subscale", _AwayInteger, has_integer),
    BDRFault("S24", "never zero", "subscale", _AtLeastOne, has_integer),
    BDRFault("S23", "the whole block", "subscale", _Reversed, has_integer),
    BDRFault("S19", "as though it were one", "element", _OtherInteger, has_integer),
    BDRFault("S19", "as the sub-blocks in reverse order", "element", _Elsewhere, has_integer),
    BDRFault("S19", "as the sub-block before", "element", of(_Elsewhere, by=1), has_integer),
)  # fmt: skip
"""Every fault of the second level."""
