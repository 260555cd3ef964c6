"""Where two policies give different bits, with the smallest input that shows it.

`compare` searches structured inputs (every threshold of every scale rule in every binade, every
midpoint of every format, the ends of the ranges, what is no number), and proves each witness by
the kernels and by the exact definition. Element codes are compared where both scale codes are
equal and not NaN: below a NaN scale every code decodes to NaN.

Examples
--------
>>> found = compare("ocp", "ocp:rounding=nearest-away", ["mxfp4"], ["encode"])
>>> found.differing, found.formats
(('e2m1',), ('e2m1', 'e8m0'))
>>> first = found.differences[0]
>>> first.kind, first.shown, [outcome.text for outcome in first.outcomes], first.fields
('tie', '0.25', ['0x0 = 0', '0x1 = 0.5'], ('rounding',))
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mxref.differences._probes import (
    BlockProbe,
    CastProbe,
    DecodeProbe,
    DequantizeProbe,
    Probe,
)
from mxref.differences._result import Comparison, Difference, Outcome
from mxref.differences._search import refuse_stochastic, search
from mxref.differences._subjects import Subject, common, subject
from mxref.formats import SCALE_FORMATS, block_format

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mxref.policy import Policy
    from mxref.profiles import Profile

__all__ = ["Comparison", "Difference", "Outcome", "Subject", "compare", "differences"]


def compare(
    a: Profile | Policy | str,
    b: Profile | Policy | str,
    formats: Iterable[str] | None = None,
    operations: Iterable[str] | None = None,
) -> Comparison:
    """Search for inputs to which two policies give different bits.

    Parameters
    ----------
    a, b : Profile, Policy or str
        A name may have changes: ``"ocp:rounding=up"``.
    formats : iterable of str, optional
        Block formats; default: those that both profiles have. Casts are compared for their
        elements.
    operations : iterable of str, optional
        ``"quantize"``, ``"dequantize"``, ``"encode"``, ``"decode"``; default: those that both
        profiles have.

    Returns
    -------
    Comparison

    Raises
    ------
    ValueError
        If a name does not exist, if the two profiles have nothing in common, or if a policy
        rounds stochastically.
    TypeError
        If an argument is something else.

    Notes
    -----
    Inputs are float32. Policies answer the open points of ``mxref.clauses``, OP-SCALE-RULE to
    OP-DECODE-NAN; the search serves all of them.

    Examples
    --------
    >>> compare("ocp", "ocp:decode_nan=signed", ["mxfp4"], ["dequantize"]).differences[0].shown
    'scale 0xff = NaN, 0x8 = -0'
    """
    ours, theirs = subject(a), subject(b)
    ops, names = common(ours, theirs, formats, operations)
    for side in (ours, theirs):
        refuse_stochastic(side.policy, side.name, ops)
    found: list[Difference] = []
    searched: dict[tuple[str, str], int] = {}
    for probe in _probes(ops, names, scale_cast=ours.scale_cast and theirs.scale_cast):
        found += search(probe, ours.policy, theirs.policy)
        searched[probe.operation, probe.format] = probe.size
    order = {name: place for place, (_, name) in enumerate(reversed(searched))}
    found.sort(key=lambda d: -order[d.format])
    return Comparison(ours, theirs, tuple(found), searched)


def differences(
    a: Profile | Policy | str,
    b: Profile | Policy | str,
    formats: Iterable[str] | None = None,
    operations: Iterable[str] | None = None,
) -> list[Difference]:
    """Return the differences that `compare` finds.

    Parameters
    ----------
    a, b, formats, operations
        As for `compare`.

    Raises
    ------
    ValueError, TypeError
        As `compare`.

    Notes
    -----
    As for `compare`; OP-SCALE-RULE and the other open points.

    Examples
    --------
    >>> differences("ocp", "ocp:fp8_overflow=overflow", ["mxfp4"])
    []
    """
    return list(compare(a, b, formats, operations).differences)


def _probes(ops: tuple[str, ...], names: tuple[str, ...], *, scale_cast: bool) -> Iterator[Probe]:
    """One probe for each operation in each format, formats in their order."""
    for name in names:
        fmt = block_format(name)
        if "quantize" in ops:
            yield BlockProbe(fmt)
        if "dequantize" in ops:
            yield DequantizeProbe(fmt)
        if "encode" in ops:
            yield CastProbe(fmt.element)
        if "decode" in ops:
            yield DecodeProbe(fmt.element)
    for scale in SCALE_FORMATS.values() if scale_cast else ():
        if "encode" in ops:
            yield CastProbe(scale)
        if "decode" in ops:
            yield DecodeProbe(scale)
