"""Which faults show in some numbers or blocks: the right output once, then each fault's stage.

A fault of the scale needs no elements, and one of the elements no new scale; only what lies
between the stages runs as a whole. That is several times as fast as running everything.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mxref.faults.alignment import alignment_models
from mxref.faults.block import block_models
from mxref.faults.element import element_models
from mxref.faults.encoder import Bools, Encoder
from mxref.faults.implementations import Implementation, correct, implementations
from mxref.faults.probes import normal_form
from mxref.faults.scale import Selector
from mxref.faults.scale_models import other_rules, scale_models
from mxref.faults.stats import block_stats
from mxref.formats import BlockFormat, ElementFormat, ScaleFormat
from mxref.policy import Policy

__all__ = ["Fmt", "Trial"]

Fmt = ElementFormat | ScaleFormat | BlockFormat
Array = NDArray[Any]
_Key = tuple[str, str]


class Trial:
    """Numbers (n,) or blocks (n, k), on which faults are tried.

    Blocks may be shorter than those of the format: they are tried as blocks of their own length.

    Parameters
    ----------
    op : str
        ``"encode"`` or ``"quantize"``.
    fmt : ElementFormat, ScaleFormat or BlockFormat
    policy : Policy
        It refuses nothing.
    values : ndarray

    Examples
    --------
    >>> from mxref.formats import block_format
    >>> trial = Trial("quantize", block_format("mxfp4"), Policy(), np.array([[6.0, 0.25]]))
    >>> faults = implementations("quantize", block_format("mxfp4"), Policy())
    >>> [f.detail for f in faults if f.id == "E1" and trial.differs(f).any()]
    ['ties away from zero', 'ties toward +Inf']
    """

    def __init__(self, op: str, fmt: Fmt, policy: Policy, values: Array) -> None:
        self._op, self._policy, self._values = op, policy, values
        self._short = isinstance(fmt, BlockFormat) and values.shape[1] != fmt.block_size
        self._fmt = fmt.with_block_size(values.shape[1]) if isinstance(fmt, BlockFormat) else fmt
        with np.errstate(all="ignore"):
            result = correct(op, self._fmt, policy)(values)
            self._right = self._form(result)
            if isinstance(self._fmt, BlockFormat):
                self._scales = result[0]
                self._stats = block_stats(values)
                self._counts = (self._stats.amax > 0) | self._stats.has_nan | self._stats.has_inf
                self._flushed = Selector(self._fmt, policy).flushed(self._stats)

    def differs(self, fault: Implementation) -> Bools:
        """Where the output with a fault in it is not the right one."""
        key = fault.id, fault.detail
        with np.errstate(all="ignore"):
            if isinstance(self._fmt, BlockFormat):
                selector = _selectors(self._fmt, self._policy).get(key)
                if selector is not None and not self._selects(self._fmt, selector):
                    return np.zeros(len(self._values), np.bool_)
                encoder = _encoders(self._fmt.element).get(key)
                if encoder is not None and selector is None:
                    return self._compared(self._encoded(self._fmt, encoder))
            subject: Callable[..., Any] = fault.subject
            if self._short:
                ours = _subjects(self._op, self._fmt, self._policy)
                if key not in ours:
                    return np.zeros(len(self._values), np.bool_)
                subject = ours[key]
            return self._compared(subject(self._values))

    def shown(self, faults: Sequence[Implementation]) -> frozenset[int]:
        """Places of the faults that show somewhere."""
        return frozenset(i for i, fault in enumerate(faults) if self._shows(fault))

    def _shows(self, fault: Implementation) -> bool:
        if isinstance(self._fmt, BlockFormat):
            selector = _selectors(self._fmt, self._policy).get((fault.id, fault.detail))
            if selector is not None:
                with np.errstate(all="ignore"):
                    scales = selector(self._fmt, self._policy).select(self._stats)
                # Of a block of zeros, only the whole output says whether it is right.
                if (scales != self._scales)[self._counts].any():
                    return True
        return bool(self.differs(fault).any())

    def _selects(self, fmt: BlockFormat, selector: type[Selector]) -> bool:
        """Whether a selection differs anywhere: if not, its elements do not either."""
        made = selector(fmt, self._policy)
        if (made.select(self._stats) != self._scales).any():
            return True
        return bool((made.flushed(self._stats) != self._flushed).any())

    def _encoded(self, fmt: BlockFormat, encoder: type[Encoder]) -> tuple[Array, Array]:
        codes = encoder(fmt.element, self._policy).encode(self._values, self._scales[:, None])
        return self._scales, np.where(self._flushed[:, None], 0, codes).astype(np.uint8)

    def _form(self, result: Any) -> tuple[Array, ...]:
        return normal_form(self._op, self._fmt, (self._values,), result)

    def _compared(self, result: Any) -> Bools:
        differs = np.zeros(len(self._values), np.bool_)
        for one, other in zip(self._right, self._form(result), strict=True):
            differs |= (one != other).reshape(len(differs), -1).any(1)
        return differs


@lru_cache(maxsize=32)
def _selectors(fmt: BlockFormat, policy: Policy) -> dict[_Key, type[Selector]]:
    """Faults of the scale selection alone."""
    between = {(model.id, model.detail) for model in block_models(policy)}
    models = (*scale_models(fmt), *other_rules(policy))
    found = {(model.id, model.detail): model.selector for model in models}
    return {key: selector for key, selector in found.items() if key not in between}


@lru_cache(maxsize=32)
def _encoders(fmt: ElementFormat) -> dict[_Key, type[Encoder]]:
    """Faults of the element encoder alone."""
    models = (*element_models(fmt), *alignment_models(fmt))
    return {(model.id, model.detail): model.encoder for model in models}


@lru_cache(maxsize=32)
def _subjects(op: str, fmt: Fmt, policy: Policy) -> dict[_Key, Callable[..., Any]]:
    return {(f.id, f.detail): f.subject for f in implementations(op, fmt, policy)}
