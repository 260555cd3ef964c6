"""Which files about NVFP4 and BDR the set has, and which covergroups make their cases."""

from __future__ import annotations

from collections.abc import Iterator

from mxref._policy_base import Choices
from mxref.relatives.bdr_formats import BDR_FORMATS
from mxref.relatives.bdr_profiles import get_bdr_policy
from mxref.relatives.nvfp4_format import NVFP4
from mxref.relatives.nvfp4_profiles import get_policy
from mxref.vectors.covergroups import Covergroup
from mxref.vectors.lookup import RelativeFormat
from mxref.vectors.relatives import bdr_groups, nvfp4_decode_groups, nvfp4_groups, scaled_groups
from mxref.vectors.relatives.dots import DOT

__all__ = ["groups_of", "relative_jobs"]

_RECIPES = (
    "te-fast-math",
    "te-four-over-six",
    "fouroversix-mse",
    "torchao",
    "modelopt",
    "compressed-tensors",
    "mlx",
    "nvfp4-exact",
)
"""Profiles of NVFP4 beside the default; the others differ from one of these in less."""

_CASTS = ("te-1d", "te-1d:scale_overflow=nan", "gguf")

_BUMPED = "bdr-paper:shared_exponent=after-rounding"
_BDR = {
    "mx9": ("bdr-paper", _BUMPED, "quark-torch", "quark-bfpprime-std", "quark-bfpprime-dpu"),
    "mx6": ("bdr-paper", _BUMPED, "quark-torch", "quark-bfpprime-std"),
    "mx4": ("bdr-paper", _BUMPED),
    "msfp16": ("bdr-paper",),
    "msfp12": ("bdr-paper", _BUMPED),
}
_SCALED = (
    *("scaled_int8", "scaled_int4", "scaled_fp8_e4m3", "scaled_fp8_e5m2"),
    *("vsq8", "vsq4"),
)

Jobs = Iterator[tuple[str, RelativeFormat, Choices]]


def relative_jobs() -> Jobs:
    """Yield operation, format and policy of each file, in order.

    Examples
    --------
    >>> operation, fmt, policy = next(relative_jobs())
    >>> operation, fmt.name, policy.name
    ('nvfp4_scale_encode', 'nvfp4', 'te-1d')
    """
    yield from (("nvfp4_scale_encode", NVFP4, get_policy(name)) for name in _CASTS)
    yield "nvfp4_scale_decode", NVFP4, get_policy()
    yield from (("nvfp4_quantize", NVFP4, get_policy(name)) for name in ("te-1d", *_RECIPES))
    yield "nvfp4_dequantize", NVFP4, get_policy()
    for name in ("te-1d", "te-2d"):
        yield "nvfp4_quantize_tensor", NVFP4, get_policy(name)
    yield "nvfp4_dot", NVFP4, get_policy()
    for name, policies in _BDR.items():
        for policy in policies:
            yield "bdr_quantize", BDR_FORMATS[name], get_bdr_policy(policy)
        yield "bdr_dequantize", BDR_FORMATS[name], get_bdr_policy()
        yield "bdr_dot", BDR_FORMATS[name], get_bdr_policy()
    for name in _SCALED:
        yield "scaled_quantize", BDR_FORMATS[name], get_bdr_policy()
        yield "scaled_dequantize", BDR_FORMATS[name], get_bdr_policy()


def groups_of(operation: str, policy: Choices) -> tuple[Covergroup, ...]:
    """Return the covergroups whose inputs make the cases of a file."""
    is_default = policy == type(policy)()
    match operation:
        case "nvfp4_scale_encode":
            own_casts = nvfp4_decode_groups.SCALE_ENCODE
            return own_casts if is_default else nvfp4_decode_groups.SCALE_ENCODE_FEWER
        case "nvfp4_scale_decode":
            return nvfp4_decode_groups.SCALE_DECODE
        case "nvfp4_dequantize":
            return nvfp4_decode_groups.DEQUANTIZE
        case "nvfp4_quantize_tensor":
            return nvfp4_decode_groups.TENSOR
        case "nvfp4_quantize":
            chooses = getattr(policy, "target", "") == "four-over-six"
            own = nvfp4_groups.QUANTIZE if is_default else nvfp4_groups.FEWER
            return (*own, *(nvfp4_groups.CHOOSING if chooses else ()))
        case "bdr_quantize":
            return bdr_groups.QUANTIZE if is_default else bdr_groups.FEWER
        case "bdr_dequantize":
            return bdr_groups.DEQUANTIZE
        case "nvfp4_dot" | "bdr_dot":
            return DOT
        case "scaled_quantize":
            return scaled_groups.QUANTIZE
    return scaled_groups.DEQUANTIZE
