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


_RECORDED = {
    "torch-scaled-mm-hopper": 16_187_392,
    "torch-scaled-mm-hopper-bf16": 9_371_648,
    "torch-scaled-mm-hopper-f16": 6_422_528,
    "torch-scaled-mm-hopper-fast": 16_187_392,
    "torch-scaled-mm-hopper-fast-bf16": 9_371_648,
    "torch-scaled-mm-hopper-fast-f16": 6_422_528,
    "torch-scaled-mm-hopper-1x128": 2_686_976,
    "torch-scaled-mm-hopper-1x128-bf16": 1_310_720,
    "torch-scaled-mm-hopper-128x128": 5_373_952,
    "torch-scaled-mm-hopper-128x128-bf16": 2_621_440,
    "torch-mm-bf16-hopper": 10_158_080,
    "torch-mm-bf16-hopper-bf16": 13_041_664,
    "torch-mm-fp16-hopper": 9_895_936,
    "torch-mm-fp16-hopper-f16": 12_779_520,
    "torch-mm-fp32-hopper": 3_211_264,
    "triton-dot-fp8-hopper": 5_767_168,
    "triton-dot-fp8-hopper-imprecise-32": 1_048_576,
    "triton-dot-fp8-hopper-imprecise-64": 1_572_864,
    "triton-dot-fp8-hopper-imprecise-128": 1_048_576,
    "triton-dot-fp8-hopper-f16": 1_310_720,
    "triton-dot-fp8-hopper-mma": 5_767_168,
    "triton-dot-bf16-hopper": 4_194_304,
    "triton-dot-fp16-hopper": 2_883_584,
    "triton-dot-fp16-hopper-f16": 1_310_720,
    "triton-dot-scaled-hopper": 23_855_104,
    "triton-dot-scaled-hopper-mma": 7_602_176,
}
_IN_PARTS = 591_360  # outputs of all models with `splits`


def recorded(name: str) -> str:
    """Return the evidence for a model: how many outputs were recorded and found equal.

    Examples
    --------
    >>> recorded("triton-dot-bf16-hopper")
    '4,194,304 outputs recorded on an H100, all equal'
    >>> recorded("triton-dot-fp8-hopper-imprecise-96")
    'not recorded with these arguments'
    """
    if name in _RECORDED:
        return f"{_RECORDED[name]:,} outputs recorded on an H100, all equal"
    if "-split-" in name:
        return (
            f"{_IN_PARTS:,} outputs recorded on an H100 with 3 to 25 parts of K, all equal; "
            "not every number of parts"
        )
    return "not recorded with these arguments"
