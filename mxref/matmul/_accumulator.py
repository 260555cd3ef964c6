"""What an accumulation model is, and the table of all that have a name."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from mxref._suggest import unknown_name
from mxref.matmul._operands import Operands
from mxref.matmul._relatives import RelativeOperands

__all__ = ["Accumulator", "accumulator", "accumulators"]

Run = Callable[[Operands], NDArray[Any]]

# Each of these modules has ACCUMULATORS, a tuple; in the order in which documentation lists them.
_HOMES = (
    "mxref.matmul.orders",
    "mxref.matmul.nvidia",
    "mxref.matmul.nvidia_nvfp4",
    "mxref.matmul.amd",
    "mxref.matmul.specified",
    "mxref.matmul.software",
)


@dataclass(frozen=True, slots=True)
class Accumulator:
    """A named way to sum a matrix product.

    Attributes
    ----------
    name : str
        What ``accumulate`` takes, such as ``"nv-hopper-fp8"``.
    text : str
        What is done, to stand behind "summed".
    dtype : str
        The type of the output: ``"float32"``, ``"float16"`` or ``"bfloat16"``.
    run : callable
        From `Operands` to the result, NaN and infinities with their own bits.
    refuses : callable
        From `Operands` to the reason why the model has nothing to say of them ("" if it has):
        a hardware instruction takes certain formats.
    source : str
        Where the description comes from: a document, a study, a measurement.
    evidence : str
        What the model was validated against, or ``"unvalidated"``.
    point : str
        The open point that it is an answer to.
    is_legal : bool
        Whether it is a choice that the standard leaves open.
    of_relatives : callable or None
        As `run`, from `RelativeOperands`: of NVFP4 and BDR arrays. None if it takes none.
    refuses_relatives : callable
        As `refuses`.
    """

    name: str
    text: str
    dtype: str
    run: Run
    refuses: Callable[[Operands], str] = lambda _: ""
    source: str = ""
    evidence: str = "unvalidated"
    point: str = "OP-DOT-PRECISION"
    is_legal: bool = True
    of_relatives: Callable[[RelativeOperands], NDArray[Any]] | None = None
    refuses_relatives: Callable[[RelativeOperands], str] = lambda _: ""

    def why_not(self, operands: Operands | RelativeOperands) -> str:
        """Return why the model has nothing to say of some operands, or ""."""
        if isinstance(operands, Operands):
            return self.refuses(operands)
        if self.of_relatives is None:
            given = f"{operands.a.name} and {operands.b.name}"
            return (
                f"it takes MX operands, and these are {given}; for them there are 'exact', "
                "'nv-blackwell-mxf4nvf4' (NVFP4 on both sides), 'ocp-fp32' and every order of "
                "plain sums, such as 'float32-sequential'"
            )
        return self.refuses_relatives(operands)

    def sums(self, operands: Operands | RelativeOperands) -> NDArray[Any]:
        """Sum a product of either family; `why_not` has to be asked before."""
        if isinstance(operands, Operands):
            return self.run(operands)
        assert self.of_relatives is not None  # noqa: S101  # `why_not` says so
        return self.of_relatives(operands)


@functools.cache
def accumulators() -> dict[str, Accumulator]:
    """Return every accumulation model but ``"exact"``, by name.

    Returns
    -------
    dict of str to Accumulator

    Examples
    --------
    >>> accumulators()["ocp-fp32"].dtype
    'float32'
    """
    found: dict[str, Accumulator] = {}
    for home in _HOMES:
        for model in importlib.import_module(home).ACCUMULATORS:
            if model.name in found:
                raise RuntimeError(f"two accumulators are called {model.name}")
            found[model.name] = model
    return found


def accumulator(name: str) -> Accumulator:
    """Return the accumulation model of a name.

    Raises
    ------
    ValueError
        If there is none; the message names the nearest.

    Examples
    --------
    >>> accumulator("nv-hopper-fp8").dtype
    'float32'
    """
    known = accumulators()
    if name in known:
        return known[name]
    # They need this module.
    from mxref.matmul.orders import order
    from mxref.matmul.software import with_splits

    split = with_splits(name)
    if split is not None:
        return split
    try:
        return order(name).model()
    except ValueError:
        raise ValueError(_unknown(name, known)) from None


def _unknown(name: str, known: dict[str, Accumulator]) -> str:
    """Say so, with a name of each family: all of them would fill a screen."""
    hint = unknown_name("accumulation", name, ["exact", *known]).partition("Known: ")[0]
    return (
        f"{hint}Known: exact, ocp-fp32, float32-pairwise, nv-hopper-fp8 and {len(known) - 3} more: "
        "mxref.matmul.accumulators() and docs/matmul.md list them"
    )
