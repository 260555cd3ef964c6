"""Every fault of an operation as an implementation of it, and the faultless one beside them.

The models of this package are stages: a selection, an encoder, a table. Here they become whole
operations over arrays, which a runner can judge like anybody's code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from mxref.faults._implementation import Implementation
from mxref.faults.alignment import alignment_models
from mxref.faults.block import Quantizer, block_models
from mxref.faults.decode import Decoder, Singles, decode_models
from mxref.faults.dots import dot_models
from mxref.faults.e8m0 import E8M0Cast, cast_models, end_models
from mxref.faults.element import ElementModel, element_models
from mxref.faults.encoder import Bytes, Encoder, Floats
from mxref.faults.legal import forbidden
from mxref.faults.scale import ScaleModel, Selector
from mxref.faults.scale_models import other_rules, scale_models, sees_neighbours
from mxref.faults.stochastic import StochasticEncoder, stochastic_models
from mxref.faults.tensors import tensor_models
from mxref.formats import BlockFormat, ElementFormat, ScaleFormat
from mxref.policy import Policy

__all__ = ["Implementation", "correct", "implementations"]

AnyFormat = ElementFormat | ScaleFormat | BlockFormat | tuple[BlockFormat, BlockFormat]
_Array = npt.NDArray[Any]
_Subject = Callable[..., Any]

_UNIT = 127
_OF_SCALES = frozenset(("D9", "D10", "D11", "D12", "D13"))
_ABSENT = {0: "zero", 1: "one"}  # what stands in for a scale that is not there


def correct(operation: str, fmt: AnyFormat, policy: Policy) -> _Subject:
    """The faultless model of an operation, independent of the definition and of the kernels.

    Parameters
    ----------
    operation : str
        ``"encode"``, ``"decode"``, ``"quantize"`` or ``"dequantize"``.
    fmt : ElementFormat, ScaleFormat or BlockFormat
        What the operation is about.
    policy : Policy
        The choices at the open points.

    Returns
    -------
    callable
        ``encode(x, random)``, ``decode(codes)``, ``quantize(x)`` to scales and codes, or
        ``dequantize(scales, codes)``.

    Raises
    ------
    ValueError
        If there is no such model: operations on tensors and dot products have theirs elsewhere.

    Examples
    --------
    >>> from mxref.formats import element_format
    >>> correct("encode", element_format("e4m3"), Policy())(np.array([1.0, -500.0]))
    array([ 56, 254], dtype=uint8)
    """
    match operation, fmt:
        case "encode", ElementFormat():
            encoder = StochasticEncoder if _is_random(policy) else Encoder
            return _encode(fmt, policy, encoder)
        case "encode", ScaleFormat():
            return _cast(policy, E8M0Cast)
        case "decode", ElementFormat() | ScaleFormat():
            return _decode(fmt, policy, Decoder)
        case "quantize", BlockFormat():
            return Quantizer(fmt, policy).quantize
        case "dequantize", BlockFormat():
            return _dequantize(fmt, policy, Decoder)
    raise ValueError(
        f"no model of {operation} for {fmt}: give encode, decode, quantize, dequantize"
    )


def implementations(operation: str, fmt: AnyFormat, policy: Policy) -> tuple[Implementation, ...]:
    """Every fault that can show in an operation, as an implementation of it.

    Parameters
    ----------
    operation : str
        One of the operations of the vector set.
    fmt : ElementFormat, ScaleFormat, BlockFormat or a pair of BlockFormat
        What the operation is about; a pair for ``"dot"``.
    policy : Policy
        The choices at the open points. A fault that does what it asks for is left out.

    Returns
    -------
    tuple of Implementation
        ``legal_change`` is a choice under which every differing output is allowed, one by one.
        `mxref.faults.equivalent.REASONS` says which of them no input can show, and why.

    Raises
    ------
    ValueError
        If there is no such operation for the format.

    Examples
    --------
    >>> from mxref.formats import element_format
    >>> found = implementations("encode", element_format("e2m1"), Policy())
    >>> found[0].id, found[0].detail, found[0].subject(np.array([1.25, 3.3]))
    ('E1', 'ties away from zero', array([3, 5], dtype=uint8))
    """
    if operation == "dot" and isinstance(fmt, tuple):
        return dot_models(*fmt)
    if operation.endswith("_tensor") and isinstance(fmt, BlockFormat):
        return tensor_models(operation, fmt, policy)
    match operation, fmt:
        case "encode", ElementFormat():
            found = _encoders(fmt, policy)
        case "encode", ScaleFormat():
            found = _casts(policy)
        case "decode", ElementFormat() | ScaleFormat():
            found = _decoders(fmt, policy)
        case "quantize", BlockFormat():
            found = _quantizers(fmt, policy)
        case "dequantize", BlockFormat():
            found = _dequantizers(fmt, policy)
        case _:
            raise ValueError(f"no faults of {operation} for {fmt}: give a format that it takes")
    return tuple(found)


# --- encode -----------------------------------------------------------------------------------


def _is_random(policy: Policy) -> bool:
    return policy.rounding.value.startswith("stochastic")


def _encode(fmt: ElementFormat, policy: Policy, encoder: type[Encoder]) -> _Subject:
    def encode(x: _Array, random: _Array | None = None) -> Bytes:
        made = encoder(fmt, policy)
        if isinstance(made, StochasticEncoder):
            if random is None:
                raise ValueError(f"rounding={policy.rounding} needs random numbers: hand them in")
            return made.encode_randomly(x, random)
        return made.encode(x)

    return encode


def _element_faults(fmt: ElementFormat, policy: Policy) -> Iterator[ElementModel]:
    """The element models that a policy does not ask for, with what is legal here."""
    if _is_random(policy):
        models: Iterable[ElementModel] = stochastic_models(fmt, policy)
    else:
        models = (*element_models(fmt), *alignment_models(fmt))
    for model in models:
        legal = _legal(model, fmt, policy)
        if not (_is_asked_for(legal, policy) or _is_right_here(model, fmt, policy)):
            yield ElementModel(model.id, model.detail, model.encoder, legal)


def _is_asked_for(legal: Mapping[str, str], policy: Policy) -> bool:
    return bool(legal) and all(getattr(policy, field) == value for field, value in legal.items())


def _is_right_here(model: ElementModel, fmt: ElementFormat, policy: Policy) -> bool:
    """Whether a fault of the range, or of a sign, does what the policy asks for."""
    overflows = fmt.is_fp8 and policy.fp8_overflow == "overflow"
    # Behind a rectifier nothing is negative.
    if policy.relu == "on" and (model.id == "E19" or model.detail.startswith("-128")):
        return True
    if is_hidden(model, fmt, policy.rounding.value):
        return True
    match model.id:
        case "E13" if model.detail.startswith("blind"):
            # Saturation and OVF differ for finite values only where the rounding leads beyond.
            return not (overflows and policy.rounding in ("toward-zero", "up", "down"))
        case "E13":
            return model.detail.startswith("threshold") and not overflows
        case "E14":
            return overflows
        case "E16":
            return model.detail.startswith("infinity kept" if overflows else "infinity made finite")
    return False


# Faults that change nothing under a rounding: toward zero nothing carries or looks at what it
# drops, ties away look at the first dropped bit alone, to odd nothing carries or becomes zero, and
# downward nothing negative becomes zero.
_HIDDEN: Mapping[str, frozenset[str]] = {
    "toward-zero": frozenset({"E2", "E3", "E5", "E8", "E10", "E23"}),
    "nearest-away": frozenset({"E3", "E10", "E23"}),
    "to-odd": frozenset({"E5", "E19"}),
    "down": frozenset({"E19"}),
}


def is_hidden(model: ElementModel, fmt: ElementFormat, rounding: str) -> bool:
    """Whether a fault cannot show under a rounding, since it does what that one asks for.

    Examples
    --------
    >>> from mxref.faults.element import element_models
    >>> from mxref.formats import element_format
    >>> e4m3 = element_format("e4m3")
    >>> hidden = [m.id for m in element_models(e4m3) if is_hidden(m, e4m3, "nearest-away")]
    >>> sorted(set(hidden))
    ['E10', 'E23', 'E3']
    """
    if model.id == "E19":  # -0 itself is kept or lost under every rounding
        return rounding in ("to-odd", "down") and model.detail == "underflow only"
    if rounding == "toward-zero" and model.id == "E13":
        return model.detail.startswith("threshold")
    # E2M1 has one subnormal, of an odd code: half of it and the whole of it both become that.
    if rounding == "to-odd" and (model.id, model.detail) == ("E9", "half as large"):
        return fmt.mantissa_bits == 1
    return model.id in _HIDDEN.get(rounding, ())


def _legal(model: ElementModel, fmt: ElementFormat, policy: Policy) -> Mapping[str, str]:
    """Choices under which the same codes are legal in this format and beside this policy."""
    changes = model.legal_change
    overflows = policy.fp8_overflow == "overflow"
    if overflows and changes == {"fp8_overflow": "overflow"}:
        return {"fp8_overflow": "saturate"}
    toward_zero = "toward-zero" in (policy.rounding, changes.get("rounding"))
    if overflows and "rounding" in changes and toward_zero and fmt.is_fp8:
        return {}  # an overflow rounded toward zero is the largest number
    if any(forbidden(field, value, fmt) for field, value in changes.items()):
        return {}
    return changes


def _encoders(fmt: ElementFormat, policy: Policy) -> Iterator[Implementation]:
    for model in _element_faults(fmt, policy):
        subject = _encode(fmt, policy, model.encoder)
        yield Implementation(model.id, model.detail, subject, model.legal_change)


def _cast(policy: Policy, cast: type[E8M0Cast]) -> _Subject:
    def encode(x: _Array, random: _Array | None = None) -> Bytes:  # noqa: ARG001
        return cast(policy).encode(x)

    return encode


def _casts(policy: Policy) -> Iterator[Implementation]:
    for model in (*cast_models(), *end_models()):
        if not _is_asked_for(model.legal_change, policy):
            subject = _cast(policy, model.cast)
            yield Implementation(model.id, model.detail, subject, model.legal_change)


# --- decode -----------------------------------------------------------------------------------


def _decode(
    fmt: ElementFormat | ScaleFormat, policy: Policy, decoder: type[Decoder], absent: int = _UNIT
) -> _Subject:
    """Lone elements are decoded under a scale of 1, lone scales as those of elements that are 1."""
    element = fmt if isinstance(fmt, ElementFormat) else None

    def decode(codes: _Array) -> Singles:
        given = np.asarray(codes)
        if element is None:
            return decoder(None, policy).decode(np.zeros_like(given), given)
        return decoder(element, policy).decode(given, np.full_like(given, absent))

    return decode


def _decoders(fmt: ElementFormat | ScaleFormat, policy: Policy) -> Iterator[Implementation]:
    element = fmt if isinstance(fmt, ElementFormat) else None
    for model in decode_models(element):
        if element is None or model.id not in _OF_SCALES:
            yield Implementation(model.id, model.detail, _decode(fmt, policy, model.decoder))
    if element is not None:
        for code, what in _ABSENT.items():
            detail = f"scale code {what} in place of none"
            yield Implementation("D14", detail, _decode(fmt, policy, Decoder, code))


def _dequantize(fmt: BlockFormat, policy: Policy, decoder: type[Decoder]) -> _Subject:
    def dequantize(scales: _Array, codes: _Array) -> Singles:
        return decoder(fmt.element, policy).decode(codes, np.asarray(scales)[:, None])

    return dequantize


def _dequantizers(fmt: BlockFormat, policy: Policy) -> Iterator[Implementation]:
    for model in decode_models(fmt.element):
        yield Implementation(model.id, model.detail, _dequantize(fmt, policy, model.decoder))


# --- quantize ---------------------------------------------------------------------------------


def _scale_faults(fmt: BlockFormat, policy: Policy) -> Iterator[ScaleModel]:
    for model in (*scale_models(fmt), *other_rules(policy)):
        rule = model.legal_change.get("scale_rule")
        same = rule is not None and _is_same_rule(fmt, policy, rule)
        if not (same or sees_neighbours(model) or _is_out_of_reach(model, fmt, policy)):
            yield model


def _is_out_of_reach(model: ScaleModel, fmt: BlockFormat, policy: Policy) -> bool:
    """Whether the exponents that floor gives INT8 stay clear of a fault; other rules go one up."""
    ends = ("the code wraps modulo 256, above the range only", "subnormal amax flushed to zero")
    return fmt.element.emax == 0 and policy.scale_rule == "floor" and model.detail in ends


def _binade(fmt: BlockFormat) -> Floats:
    """Every amax on and beside an edge of a rule, in two binades: some rules tell odd from even."""
    element = fmt.element
    width = 2.0 ** -(element.mantissa_bits + 1)
    top = float(element.max) / 2.0**element.emax
    edges = np.array([1, 1.5, np.sqrt(2), 2, top, 2 - width, top + width])
    m = np.unique(edges * (1 + np.array([[-1], [0], [1]]) * 2.0**-40))
    m = m[(m >= 1) & (m < 2)]
    return np.concatenate([m, 2 * m])


def _is_same_rule(fmt: BlockFormat, policy: Policy, rule: str) -> bool:
    """Whether two rules are one in a format: tosa and even are in E2M1."""
    amax = _binade(fmt)
    other = Selector(fmt, policy.replace(scale_rule=rule)).exponent(amax)
    return np.array_equal(Selector(fmt, policy).exponent(amax), other)


def _saturates(fmt: BlockFormat, policy: Policy) -> bool:
    """Whether the largest element of a finite block can round to more than the largest number."""
    amax, element = _binade(fmt), fmt.element
    quotient = np.ldexp(amax, -Selector(fmt, policy).exponent(amax))
    tie = float(element.max) + 2.0 ** (element.emax - element.mantissa_bits - 1)
    goes_up = (quotient > tie) | ((quotient == tie) & (element.max_magnitude & 1 == 1))
    return bool(goes_up.any())


def _quantizers(fmt: BlockFormat, policy: Policy) -> Iterator[Implementation]:
    for scale in _scale_faults(fmt, policy):
        made = Quantizer(fmt, policy, selector=scale.selector)
        yield Implementation(scale.id, scale.detail, made.quantize, scale.legal_change)
    for block in block_models(policy):
        wrong = block.quantizer(fmt, policy)
        yield Implementation(block.id, block.detail, wrong.quantize, block.legal_change)
    saturates = _saturates(fmt, policy)
    for element in _element_faults(fmt.element, policy):
        if element.id in ("E13", "E14") and not saturates:
            continue  # no element is out of range
        made = Quantizer(fmt, policy, encoder=element.encoder)
        yield Implementation(element.id, element.detail, made.quantize, element.legal_change)
