"""What the models of programs say of themselves, and the checks that they share."""

from __future__ import annotations

__all__ = ["SOURCE", "SUFFIX", "check_name", "check_splits", "recorded"]

SUFFIX = {"float32": "", "bfloat16": "-bf16", "float16": "-f16"}
"""What stands behind the name of a model for the type of its output."""

SOURCE = (
    "recorded by this project on an H100 80GB HBM3: torch 2.11.0+cu130 (cuBLAS 13.1.0.3), "
    "Triton 3.6.0, driver 580.159.04"
)


def check_name(what: str, given: object, known: tuple[object, ...]) -> None:
    """Raise ValueError unless `given` is one of `known`."""
    if given not in known:
        names = ", ".join(map(repr, known))
        raise ValueError(f"{what} is {given!r}; expected one of {names}")


def check_splits(splits: int) -> None:
    """Raise ValueError unless K can be split so."""
    if splits < 1:
        raise ValueError(f"splits is {splits}; expected the number of parts of K, 1 or more")


def recorded(outputs: float) -> str:
    """Return the evidence: how many outputs, in millions, were recorded and found equal."""
    return f"{outputs:g} million outputs recorded on an H100, all equal"
