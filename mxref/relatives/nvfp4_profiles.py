"""Whose behaviour the named recipes of NVFP4 are, and where that can be read.

Every profile that can be installed is compared with its package, bit for bit, in
tests/packages/test_nvfp4_peers.py; that is what *measured* means below. *Read* is what stands in a
source that needs a GPU to run. What differs still is in ``divergences``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from mxref._policy_base import policy_of
from mxref.relatives.nvfp4_policy import KNOWN, NVFP4Policy

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["POLICIES", "PROFILES", "NVFP4Profile", "get_policy"]

_TE = "https://github.com/NVIDIA/TransformerEngine/blob/d0067d0/"
_CORE = _TE + "transformer_engine/common/cast/nvfp4/core_nvfp4.cuh"
_TE_46 = _TE + "transformer_engine/common/cast/nvfp4/quantize_4over6_nvfp4.cuh"
_TE_TWO_D = _TE + "transformer_engine/common/cast/nvfp4/quantize_transpose_nvfp4.cuh"
_TE_PYTHON = _TE + "transformer_engine/pytorch/custom_recipes/reference_nvfp4.py"
_TE_TEST = _TE + "tests/cpp/operator/test_cast_nvfp4_transpose.cu"
_46 = "https://github.com/mit-han-lab/fouroversix/blob/dadfad6/src/fouroversix/quantize/pytorch/reference.py"
_46_UTILS = "https://github.com/mit-han-lab/fouroversix/blob/dadfad6/src/fouroversix/utils.py"
_TORCHAO = "https://github.com/pytorch/ao/blob/v0.18.0/torchao/prototype/mx_formats/nvfp4_tensor.py"
_MODELOPT = "https://github.com/NVIDIA/Model-Optimizer/blob/0.47.0/modelopt/torch/quantization/qtensor/nvfp4_tensor.py"
_COMPRESSED = "https://github.com/vllm-project/compressed-tensors/blob/0.20.0/src/compressed_tensors/quantization/"
_MLX = "https://github.com/ml-explore/mlx/blob/846d176/mlx/ops.cpp"
_GGUF = "https://github.com/ggml-org/llama.cpp/blob/master/gguf-py/gguf/quants.py"
_CUBLAS = "https://docs.nvidia.com/cuda/cublas/#d-block-quantization"
_DEFINITION = "https://arxiv.org/abs/2509.25149"


@dataclass(frozen=True, slots=True, kw_only=True)
class NVFP4Profile:
    """A named recipe, and where it comes from.

    Attributes
    ----------
    name, title : str
        The name of the policy, and in one line whose behaviour it is.
    policy : NVFP4Policy
        A complete recipe.
    sources : Mapping of str to str
        For each field that differs from ``te-1d``, a URL.
    evidence : str
        ``"measured"``, ``"read"``, ``"inferred"`` or ``"definition"``, and what was measured or
        read.
    divergences : tuple of str
        What the described thing does and no policy should say, or cannot: one sentence each.
    """

    name: str
    title: str
    policy: NVFP4Policy
    sources: Mapping[str, str]
    evidence: str
    divergences: tuple[str, ...] = field(default=())


def _profile(
    name: str,
    title: str,
    changes: Mapping[str, Mapping[str, str]],
    evidence: str,
    divergences: tuple[str, ...] = (),
) -> NVFP4Profile:
    """Return a profile; `changes` are ``{url: {field: choice}}`` from ``te-1d``."""
    choices = {key: value for of in changes.values() for key, value in of.items()}
    policy = NVFP4Policy().replace(**choices)
    idle = set(choices) - set(policy.diff(NVFP4Policy()))
    if idle:
        raise ValueError(f"profile {name}: {', '.join(sorted(idle))} as in te-1d; leave it out")
    sources = {key: url for url, of in changes.items() for key in of}
    return NVFP4Profile(
        name=name,
        title=title,
        policy=policy,
        sources=MappingProxyType(sources),
        evidence=evidence,
        divergences=divergences,
    )


_TE_DECODES = (
    "TE decodes from amax, as fl(fl(s * amax) * fl(1/2688)) * e, and keeps no global multiplier.",
)
_TE_READ = "read at d0067d0 (August 2026), not run: it needs a Blackwell GPU"
_TORCH_NAN = "Which of 0x7F and 0xFF a NaN scale is depends on the sign of the NaN: here 0x7F."
_TORCHAO_NAN = (
    "An element that is NaN, which zero times an infinite factor is too, becomes a code made from "
    "the bits of the NaN: here 0x7."
)
_SELECTS_FOUR = {"target": "four-over-six", "scale_top": "256"}


def _fouroversix(name: str, title: str, changes: Mapping[str, str]) -> NVFP4Profile:
    everywhere = {
        "global_cap": "none",
        "scale_order": "divided",
        "factor_cap": "none",
        "zero_scale": "zero",
        "neg_zero": "drop-input",
        "amax_nan": "propagate",
    }
    return _profile(
        name,
        title,
        {_46: everywhere, _46_UTILS: changes},
        "measured on fouroversix 1.0.5, its PyTorch backend, torch 2.13.0; at dadfad6 (April 2026) "
        "outside this repository",
        (
            (
                "An element that is 7 or more of its unit becomes 8, which the choice between four "
                "and six counts, and whose bits give code 0x8."
            ),
            "Under a scale of zero every code is 0, whatever the sign.",
            "A NaN before rounding, which infinity times zero is too, becomes code 0x3 or 0xB.",
            "Beside an infinity S is zero, and so is every scale: here S is then 1.",
            "It decodes from amax, as fl(fl(e * s * amax) / (T * M)), and keeps no multiplier.",
            "PyTorch may add the 16 errors in another order than one after the other.",
            "A tensor of zeros has amax 0 stored, and every value decodes to zero.",
            _TORCH_NAN,
        ),
    )


_TABLE = (
    _profile(
        "te-1d",
        "TransformerEngine, 1 x 16 blocks",
        {},
        _TE_READ,
        (
            *_TE_DECODES,
            "The reference in its C++ test gives zeros under a scale of zero, its kernel does not.",
        ),
    ),
    _profile(
        "te-2d",
        "TransformerEngine, 16 x 16 blocks (weights)",
        {_TE_TWO_D: {"geometry": "2d"}},
        _TE_READ,
        _TE_DECODES,
    ),
    _profile(
        "te-2d-test",
        "TransformerEngine, the reference in C++ of its tests, 16 x 16 blocks",
        {_TE_TEST: {"geometry": "2d", "scale_order": "divided", "zero_scale": "zero"}},
        _TE_READ,
        (
            *_TE_DECODES,
            "It differs from the kernel that it tests: fl(fl(b/6)*S) against fl(b*fl(S*fl(1/6))).",
        ),
    ),
    _profile(
        "te-fast-math",
        "TransformerEngine, use_fast_math",
        {_CORE: {"element_order": "encode", "factor_type": "bfloat16"}},
        _TE_READ,
        (*_TE_DECODES, "Its C++ test caps S at the largest bfloat16, its kernel at float32's."),
    ),
    _profile(
        "te-reference",
        "TransformerEngine, the reference in Python of its tests",
        {
            _TE_PYTHON: {
                "neg_zero": "drop-input",
                "nan_element": "zero",
                "amax_nan": "propagate",
            }
        },
        "measured at d0067d0, on torch 2.13.0, outside this repository: TE is not installable",
        (
            *_TE_DECODES,
            "A NaN among the elements makes S a NaN, and so every scale: here S is then capped.",
        ),
    ),
    _profile(
        "te-four-over-six",
        "TransformerEngine, four over six by absolute errors",
        {_TE_46: {**_SELECTS_FOUR, "scale_order": "divided"}},
        _TE_READ + "; its reference in Python was measured",
        _TE_DECODES,
    ),
    _profile(
        "te-four-over-six-mse",
        "TransformerEngine, four over six by squared errors",
        {_TE_46: {**_SELECTS_FOUR, "scale_order": "divided", "selection": "mse"}},
        _TE_READ + "; its reference in Python was measured",
        _TE_DECODES,
    ),
    _fouroversix("fouroversix-mse", "fouroversix, rule mse", {**_SELECTS_FOUR, "selection": "mse"}),
    _fouroversix("fouroversix-mae", "fouroversix, rule mae", _SELECTS_FOUR),
    _fouroversix(
        "fouroversix-abs-max",
        "fouroversix, rule abs_max",
        {**_SELECTS_FOUR, "selection": "abs-max"},
    ),
    _fouroversix("fouroversix-static-4", "fouroversix, rule static_4", {"target": "four"}),
    _fouroversix("fouroversix-static-6", "fouroversix, rule static_6", {}),
    _profile(
        "torchao",
        "torchao, nvfp4_quantize with per_tensor_amax_to_scale",
        {
            _TORCHAO: {
                "global_order": "quotient",
                "global_zero": "arithmetic",
                "scale_order": "quotient",
                "scale_least": "2^-6",
                "element_order": "quotient",
                "factor_cap": "none",
                "amax_nan": "propagate",
                "decode_order": "scale-first",
            }
        },
        "measured on torchao 0.18.0, torch 2.13.0",
        (_TORCH_NAN, _TORCHAO_NAN),
    ),
    _profile(
        "torchao-single",
        "torchao, nvfp4_quantize without a tensor scale",
        {
            _TORCHAO: {
                "levels": "single-level",
                "scale_order": "quotient",
                "scale_least": "2^-6",
                "element_order": "quotient",
                "factor_cap": "none",
                "amax_nan": "propagate",
                "decode_order": "scale-first",
            }
        },
        "measured on torchao 0.18.0, torch 2.13.0",
        (_TORCH_NAN, _TORCHAO_NAN),
    ),
    _profile(
        "modelopt",
        "NVIDIA Model-Optimizer, NVFP4QTensor",
        {
            _MODELOPT: {
                "global_order": "quotient",
                "global_zero": "arithmetic",
                "scale_order": "product",
                "scale_least": "2^-9",
                "scale_zero": "one",
                "element_order": "divide",
                "neg_zero": "drop-input",
                "amax_nan": "propagate",
                "decode_order": "scale-first",
            }
        },
        "measured on nvidia-modelopt 0.47.0, torch 2.13.0",
        (_TORCH_NAN,),
    ),
    _profile(
        "compressed-tensors",
        "compressed-tensors, nvfp4-pack-quantized (vLLM, llm-compressor)",
        {
            _COMPRESSED + "utils/helpers.py": {
                "global_order": "inverted",
                "global_zero": "tiny",
                "global_cap": "one",
                "scale_order": "divided",
                "scale_zero": "eighth",
                "amax_nan": "propagate",
            },
            _COMPRESSED + "lifecycle/forward_helpers.py": {
                "element_order": "divide-encode",
                "neg_zero": "drop-input",
            },
        },
        "measured on compressed-tensors 0.20.0, torch 2.13.0, from float32",
        (
            "From bfloat16 or float16 it computes in that type; the profile is of float32 input.",
            _TORCH_NAN,
            "An element that is NaN becomes code 0.",
        ),
    ),
    _profile(
        "mlx",
        "MLX on a CPU, mode nvfp4",
        {
            _MLX: {
                "levels": "single-level",
                "scale_order": "quotient",
                "element_order": "divide",
                "zero_scale": "zero",
                "rounding": "nearest-down",
                "neg_zero": "drop",
            }
        },
        "measured on mlx 0.32.4",
        (
            (
                "Elements go to the first of the nearest values by float32 distances: beyond 2**24 "
                "or so, where these are equal, they become 4 or 0 in place of 6."
            ),
            "A block with a NaN has code 0 for the NaN.",
        ),
    ),
    _profile(
        "gguf",
        "GGUF, NVFP4 blocks",
        {
            _GGUF: {
                "levels": "single-level",
                "scale_order": "quotient",
                "scale_rounding": "nearest-up",
                "element_order": "divide",
                "zero_scale": "zero",
                "rounding": "nearest-down",
                "neg_zero": "drop",
            }
        },
        "scales measured on gguf 0.19.0, which has no encoder of elements; those [secondary]",
        (
            "Scale code 0x7F decodes to zero there.",
            "A scale that rounds up to 2**-6 from below stays at 7/512.",
            "A scale just below 2**-10 becomes 2**-9, as adding a half to it rounds.",
        ),
    ),
    _profile(
        "cublas",
        "cuBLAS, FP4 output with 1D block scales",
        {_CUBLAS: {"scale_order": "divided", "element_order": "encode"}},
        "inferred: the formulas are documented, the order within float32 is not",
    ),
    _profile(
        "nvfp4-exact",
        "each scale and each element rounded once, from exact numbers",
        {
            _DEFINITION: {
                "global_order": "quotient",
                "scale_order": "exact",
                "element_order": "exact",
                "zero_scale": "zero",
                "selection_order": "exact",
            }
        },
        "definition: nobody's implementation, and the yardstick for all of them",
    ),
)

PROFILES: Mapping[str, NVFP4Profile] = MappingProxyType({p.name: p for p in _TABLE})
"""The profiles, by name."""

POLICIES: Mapping[str, NVFP4Policy] = MappingProxyType(
    {**{p.name: p.policy for p in _TABLE}, "nvfp4": NVFP4Policy()}
)
"""The named policies; ``nvfp4`` is another name of ``te-1d``, the default."""
KNOWN.update({p.name: p.policy for p in _TABLE})


def get_policy(policy: NVFP4Policy | str | None = None) -> NVFP4Policy:
    """Turn a profile's name, or ``"profile:field=choice,..."``, into an `NVFP4Policy`.

    Parameters
    ----------
    policy : NVFP4Policy, str or None
        None means ``te-1d``.

    Raises
    ------
    ValueError
        If the profile, a field or a choice does not exist; the message names the nearest ones.
    TypeError
        If `policy` is something else.

    Examples
    --------
    >>> get_policy("te-1d:rounding=stochastic").rounding
    <Rounding.STOCHASTIC: 'stochastic'>
    """
    return policy_of(NVFP4Policy, policy, POLICIES)
