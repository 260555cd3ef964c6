"""The named BDR policies: whose behaviour each is, and where every difference can be read."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from mxref._policy_base import policy_of
from mxref.relatives.bdr_formats import BDR_FORMATS
from mxref.relatives.bdr_policy import BDR_NAMED, BDRPolicy

__all__ = ["BDR_POLICIES", "BDR_PROFILES", "BDRProfile", "get_bdr_policy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BDRProfile:
    """A named policy, and where it comes from.

    Attributes
    ----------
    name, title : str
        The name of the policy, and in one line whose behaviour it is.
    policy : BDRPolicy
        A complete assignment.
    sources : Mapping of str to str
        For each field that differs from ``bdr-paper``, a URL and what is to be found there.
    versions : str
        What was read or measured.
    formats : tuple of str
        Named formats that the described thing has.
    divergences : tuple of str
        What it does and no policy should say, or cannot: one sentence each.
    """

    name: str
    title: str
    policy: BDRPolicy
    sources: Mapping[str, str]
    versions: str
    formats: tuple[str, ...]
    divergences: tuple[str, ...] = ()


def _profile(
    name: str,
    title: str,
    changes: Mapping[str, tuple[str, str]],
    *,
    versions: str,
    formats: tuple[str, ...],
    divergences: tuple[str, ...] = (),
) -> BDRProfile:
    """Make a profile from ``{field: (choice, source)}``."""
    return BDRProfile(
        name=name,
        title=title,
        policy=BDRPolicy().replace(**{key: chosen for key, (chosen, _) in changes.items()}),
        sources=MappingProxyType({key: source for key, (_, source) in changes.items()}),
        versions=versions,
        formats=formats,
        divergences=divergences,
    )


_QUARK = "https://pypi.org/project/amd-quark/"
_TORCH = f"{_QUARK} quark/torch/kernel/hw_emulation/hw_emulation_interface.py"
_ONNX = f"{_QUARK} quark/onnx/operators/custom_ops/src/bfp/cpu/bfp_kernel.cc"
_READ = "amd-quark 0.13, read and run"
_PASSES = "NaN and infinity pass through as floats, which no code can say."
_RUN = "run beside it, bit for bit (tests/packages/test_bdr_quark.py)"


def _prime(mode: str, rounding: str, which: str) -> BDRProfile:
    source = f"{_ONNX}, BFPPrimeCPUKernel; {_RUN}"
    changes = {"input_subnormal": ("flush", source)}
    if rounding != "nearest-even":
        changes["rounding"] = (rounding, f"{_ONNX}, round_bits, {mode}_ROUND; {_RUN}")
    return _profile(
        f"quark-bfpprime-{mode.lower()}",
        f"AMD Quark's BFPPrime operator for ONNX, {mode}_ROUND: {which}",
        changes,
        versions=_READ,
        formats=("mx9", "mx6", "mx4", "msfp16", "msfp12"),
        divergences=(
            "A block with a NaN or an infinity comes out as NaN of the bits 0x7fffffff.",
            "A block of the exponent field 0xff is NaN whatever else is in it.",
        ),
    )


_ALL: tuple[BDRProfile, ...] = (
    _profile(
        "bdr-paper",
        "The quantizer of the BDR paper, as far as it is known, else our choices",
        {},
        versions="arXiv 2302.08007 [unverified: its body was not at hand; what it leaves open or "
        "what we could not read is chosen as BDR_REASONS says]",
        formats=tuple(BDR_FORMATS),
    ),
    _profile(
        "quark-torch",
        "AMD Quark's torch path: fake_quantize_mx6_mx9 and real_quantize_mx6_mx9",
        {
            "input_subnormal": ("flush", f"{_TORCH}, _compute_mx_exponents; {_RUN}"),
            "inf": ("clamp", f"{_TORCH}, _mx6_mx9_codes: the code of an infinity; {_RUN}"),
            "nan": ("zero", f"{_TORCH}, _compute_mx_exponents: nan_to_num before the exponents"),
        },
        versions=_READ,
        formats=("mx9", "mx6"),
        divergences=(
            f"fake_quantize_mx6_mx9: {_PASSES}",
            "real_quantize_mx6_mx9 leaves the code of a NaN as NaN, in an array of floats.",
        ),
    ),
    _prime("STD", "nearest-away", "ties away from zero"),
    _prime("DPU", "half-up", "ties up"),
    _prime("PY3", "nearest-even", "ties to even; the default"),
    _profile(
        "quark-bfp",
        "AMD Quark's BFP operator for ONNX: one level, clamped",
        {
            "inf": ("clamp", f"{_ONNX}, BFPCPUKernel: an exponent of 0xff counts as 0"),
            "nan": ("zero", f"{_ONNX}, BFPCPUKernel: an exponent of 0xff counts as 0"),
        },
        versions=_READ,
        formats=("bfp16", "msfp16"),
        divergences=(_PASSES,),
    ),
    _profile(
        "quark-compiler",
        "AMD Quark's BFP operator for ONNX, compiler version: one level, bumped",
        {
            "shared_exponent": ("after-rounding", f"{_ONNX}, BFPCPUKernelCompiler; {_RUN}"),
            "int_min": ("used", f"{_ONNX}, BFPCPUKernelCompiler: -128 does not bump; {_RUN}"),
            "inf": ("clamp", f"{_ONNX}, BFPCPUKernelCompiler: an exponent of 0xff counts as 0"),
            "nan": ("zero", f"{_ONNX}, BFPCPUKernelCompiler: an exponent of 0xff counts as 0"),
        },
        versions=_READ,
        formats=("bfp16",),
        divergences=(
            _PASSES,
            "A bump from exponent field 254 gives numbers of field 255, which is no scale here.",
            "Widths other than 16 bits compare with 128 all the same.",
        ),
    ),
    _profile(
        "vs-quant",
        "The order of VS-Quant: elements are divided before the sub-scales are rounded",
        {
            "element_divisor": (
                "unrounded",
                "https://arxiv.org/abs/2102.04503 [unverified: the paper's body was not at hand]",
            ),
        },
        versions="arXiv 2102.04503 [unverified]",
        formats=("vsq8", "vsq6", "vsq4"),
    ),
)

BDR_PROFILES: Mapping[str, BDRProfile] = MappingProxyType({p.name: p for p in _ALL})
"""The profiles by name."""

BDR_POLICIES: Mapping[str, BDRPolicy] = MappingProxyType({p.name: p.policy for p in _ALL})
"""The named policies."""
BDR_NAMED.update(BDR_POLICIES)


def get_bdr_policy(policy: BDRPolicy | str | None = None) -> BDRPolicy:
    """Turn a profile's name, or ``"profile:field=choice,..."``, into a `BDRPolicy`.

    Parameters
    ----------
    policy : BDRPolicy, str or None
        None means ``bdr-paper``.

    Raises
    ------
    ValueError
        If the profile, a field or a choice does not exist; the message names the nearest ones.
    TypeError
        If `policy` is something else.

    Examples
    --------
    >>> get_bdr_policy("bdr-paper:inf=clamp").inf
    <BDRInf.CLAMP: 'clamp'>
    """
    if isinstance(policy, str):
        return _named(policy)
    return policy_of(BDRPolicy, policy, BDR_POLICIES)


@functools.lru_cache(maxsize=256)
def _named(policy: str) -> BDRPolicy:
    return policy_of(BDRPolicy, policy, BDR_POLICIES)
