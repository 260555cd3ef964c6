"""What the data say of each choice of a recipe, and what they cannot say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from mxref import nvfp4
from mxref.check._problem import spread
from mxref.check._witness import bits_of, number
from mxref.check.nvfp4._data import Data, same_number
from mxref.check.nvfp4._policies import is_deterministic
from mxref.check.nvfp4.stimuli import stimuli
from mxref.check.parts import Gap, Inference
from mxref.check.relatives import Answer, alternatives
from mxref.faults.decode import element_table
from mxref.faults.nvfp4_model import E4M3
from mxref.relatives.nvfp4_profiles import PROFILES

if TYPE_CHECKING:
    from mxref.check.nvfp4._global import GlobalAnswer
    from mxref.relatives.nvfp4_policy import NVFP4Policy

__all__ = ["gaps_of", "inferred_from"]

_SAMPLE = 4096
_TOLD = {
    "scale_order": "order of operations of the block scales",
    "scale_least": "least block scale",
    "scale_zero": "scale of a block that is next to zero",
    "scale_rounding": "rounding of the block scales",
    "element_order": "order of operations of the elements",
    "rounding": "rounding of the elements",
    "neg_zero": "sign of zeros",
    "nan_element": "NaN among the elements",
    "zero_scale": "elements under a scale of zero",
    "factor_type": "type of the factor on the elements",
}


def inferred_from(
    data: Data, answers: Sequence[Answer], overall: GlobalAnswer
) -> tuple[Inference, ...]:
    """Say for each choice that shows in the data whether they pin it, or what else would fit."""
    found = [_of_global(data, overall)]
    for answer in answers:
        if answer.residual or answer.best.faults:
            continue
        rows = np.arange(data.blocks.n)
        chosen = np.union1d(spread(answer.bad, _SAMPLE), spread(rows, _SAMPLE))
        piece = data.blocks.take(chosen)
        for name in (n for n in answer.stage.fields if n in _TOLD):
            policy = answer.best.policy
            ours = str(getattr(policy, name))
            others = [p for p in alternatives(policy, (name,)) if is_deterministic(p)]
            fits = [
                str(getattr(other, name))
                for other in others
                if not answer.stage.wrong(other, (), piece).any()
            ]
            if len(fits) == len(others):
                continue  # the data show nothing of it
            text = f"{ours}, or {', '.join(fits)}" if fits else ours
            found.append(Inference(_TOLD[name], text, f"{name}={ours}", exact=not fits))
    return tuple(found)


def _of_global(data: Data, overall: GlobalAnswer) -> Inference:
    if overall.is_foreign:
        return Inference("scale of the tensor", f"{number(data.g)}, of another amax", exact=False)
    fit = overall.fits[0]
    amax = number(data.tensor_amax(fit))
    if fit.levels == "single-level":
        return Inference("scale of the tensor", "none: block scales alone", "levels=single-level")
    most = "1024 or 1536" if fit.target != "six" else f"6 * {fit.scale_top}"
    text = f"{number(data.g)} = {amax} / ({most}), by its {fit.global_order}"
    return Inference("scale of the tensor", text, f"global_order={fit.global_order}")


def gaps_of(data: Data, policy: NVFP4Policy | None, asked: NVFP4Policy | None) -> tuple[Gap, ...]:
    """Say which recipes these data cannot tell apart, and by which input they would.

    Parameters
    ----------
    data : Data
    policy : NVFP4Policy or None
        What gives every bit; None if nothing legal does.
    asked : NVFP4Policy or None
        What was claimed: then other recipes do not matter.
    """
    found = list(_missing(data))
    if policy is not None and asked is None:
        alike = [
            (name, profile.policy)
            for name, profile in PROFILES.items()
            if profile.policy != policy
            and is_deterministic(profile.policy)
            and data.is_made_by(profile.policy)
        ]
        found += [_apart(name, policy, other) for name, other in alike]
    return tuple(found)


def _missing(data: Data) -> Iterator[Gap]:
    """What does not occur at all."""
    if not data.has_nan.any():
        yield Gap("NaN", ("S13", "E18"), "NaN (0x7fc00000) as one element of a block")
    if not np.isinf(data.x).any():
        yield Gap("infinity", ("E17", "S11"), "Inf (0x7f800000) as one element of a block")
    if (data.amax > 0).all():
        yield Gap("a block of zeros", ("S12",), "16 zeros beside a block that is not zero")
    if not (((data.scales & 0x7F) > 0) & ((data.scales & 0x7F) < 8)).any():
        need = "a block with an amax of 1/100000 of that of the tensor"
        yield Gap("a subnormal block scale", ("E7", "E8", "E9", "D1"), need)
    if not _has_tie(data):
        yield Gap("a tie of two elements", ("E1",), "amax 6, global amax 2688 and the element 2.5")


def _has_tie(data: Data) -> bool:
    piece = data.blocks.take(spread(np.arange(data.blocks.n), _SAMPLE))
    unit = element_table(E4M3)[piece.parts["scales"] & 0x7F] * np.float64(data.g)
    with np.errstate(all="ignore"):
        steps = np.abs(piece.x.astype(np.float64)) / unit
    return bool(np.isin(steps, (0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5.0)).any())


def _apart(name: str, policy: NVFP4Policy, other: NVFP4Policy) -> Gap:
    """The first block of the designed tensors on which two recipes differ."""
    for stimulus in stimuli():
        x = stimulus.x
        one, two = (nvfp4.quantize(x, -1, p) for p in (policy, other))
        if not same_number(one.global_scale, two.global_scale):
            need = f"a tensor with an amax of {number(np.abs(x).max())}"
            return Gap(f"whether it is {name}", (), f"{need}: the global scale differs")
        hidden = np.repeat(one.scales & 0x7F == 0, 16, axis=-1)
        wrong = (one.codes != two.codes) & ~hidden
        wrong |= np.repeat(one.scales != two.scales, 16, axis=-1)
        if wrong.any():
            row, column = (int(i) for i in np.argwhere(wrong)[0])
            block = x[row, column // 16 * 16 :][:16]
            value, amax = x[row, column], np.abs(block).max()
            need = (
                f"{number(value)} ({bits_of(value)}) in a block with an amax of {number(amax)} "
                f"({bits_of(amax)}), in a tensor with one of {number(np.abs(x).max())}"
            )
            return Gap(f"whether it is {name}", (), need)
    return Gap(f"whether it is {name}", (), "")
