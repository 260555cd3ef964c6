"""Profiles of what vendors ship, read from their sources and documents.

A source that ends in ``[secondary]`` repeats what somebody else says of the described thing;
``[unverified]`` marks what follows from the text without standing there.
"""

from __future__ import annotations

from mxref.profiles._profile import Profile, profile

__all__ = ["PROFILES"]

_FP8 = ("mxfp8_e4m3", "mxfp8_e5m2")
_FLOATS = (*_FP8, "mxfp6_e3m2", "mxfp6_e2m3", "mxfp4")

_CUDA = (
    "https://docs.nvidia.com/cuda/cuda-math-api/cuda_math_api/struct____nv__fp8__e8m0.html "
    "(__NV_SATFINITE, cudaRoundPosInf; measured on the host headers of CUDA 13.5.37)"
)
_TE = "https://github.com/NVIDIA/TransformerEngine/blob/d0067d0/transformer_engine/common/"
_MICROXCALING = "https://github.com/microsoft/microxcaling/blob/7bc4195/mx/"
_QUARK = "https://pypi.org/project/amd-quark/0.13/ (quark/torch/quantization/utils.py, even_round"
_HIP = (
    "https://github.com/ROCm/rocm-systems/blob/20d6c1c/projects/clr/hipamd/include/hip/"
    "amd_detail/amd_hip_ocp_host.hpp"
)
_TRITON = (
    "https://github.com/triton-lang/triton/blob/018a674/python/triton_kernels/triton_kernels/"
    "numerics_details/mxfp.py"
)
_UPCAST = (
    "https://github.com/triton-lang/triton/blob/01757dc/python/triton_kernels/triton_kernels/"
    "numerics_details/mxfp_details/_upcast_from_mxfp.py"
)
_TORCH_FP8 = (
    "https://github.com/pytorch/pytorch/blob/1725fe8/c10/util/Float8_e4m3fn.h "
    "(the sign of a NaN is kept)"
)
_NKI = (
    "https://awsdocs-neuron.readthedocs-hosted.com/en/v2.32.0/nki/api/generated/"
    "nki.isa.quantize_mx.html"
)
_MSLK = "https://github.com/meta-pytorch/MSLK/blob/2a3c897/mslk/quantize/triton/"

_TRITON_ELEMENTS = {
    "nan_element": ("signed-max", _TRITON + " (FP4: exponent and mantissa clamp, the sign stays)"),
    "nan_payload": ("signed", _TORCH_FP8),
    "decode_overflow": ("saturate", _UPCAST + " (tl.clamp to the largest finite value)"),
}
_TRITON_VERSIONS = (
    "018a674 (arithmetic of the twin downcast_to_mxfp_torch, run); 01757dc (upcast, read)"
)
_TRITON_DECODES = (
    (
        "upcast_from_mxfp, a kernel, reads code 0 as 2**-127 and 0xFF as NaN; the twin "
        "upcast_from_mxfp_torch of 018a674 reads them as 0 and as a very large number."
    ),
    "The kernel makes the largest finite number of an E5M2 infinity; the twin keeps it.",
)

PROFILES: tuple[Profile, ...] = (
    profile(
        "cuda",
        "CUDA conversions: cuda_fp8.h, cuda_fp6.h, cuda_fp4.h, and PTX cvt .satfinite",
        {
            "e8m0_rounding": ("up", _CUDA),
            "e8m0_negative": ("magnitude", _CUDA),
            "e8m0_inf": ("saturate", _CUDA),
        },
        versions="host headers of CUDA 13.5.37, compiled and run",
        operations=("encode", "decode"),
        formats=_FLOATS,
        divergences=(
            (
                "PTX cvt was not run: its results are those of the host headers by its manual "
                "[secondary]; cvt to ue8m0x2 rounds toward zero or up, and leaves open what "
                "becomes of a negative number [unverified]."
            ),
            (
                "With __NV_NOSAT write cuda:fp8_overflow=overflow,e8m0_inf=nan,e8m0_overflow=nan; "
                "an overflow of a negative number to E4M3 is 0xFF then, although a NaN is always "
                "0x7F."
            ),
            "Decoding goes through float16 or bfloat16, and every NaN is 0x7FFF there.",
        ),
    ),
    profile(
        "te-mxfp8",
        "NVIDIA Transformer Engine, MXFP8 quantization",
        {
            "scale_rule": ("rceil", _TE + "util/ptx_arch_spec.cuh (float_to_e8m0 rounds up)"),
            "scale_quotient": (
                "reciprocal",
                _TE + "cast/mxfp8/quantize_mxfp8.cuh (thread_amax * max_norm_rcp)",
            ),
            "scale_nan": ("ignore", _TE + "cast/mxfp8/quantize_mxfp8.cuh (fmaxf drops a NaN)"),
            "scale_inf": ("saturate", _TE + "util/ptx_arch_spec.cuh (float_to_e8m0 gives 0xFE)"),
        },
        versions="d0067d0 (2026-08-22), read; its arithmetic run",
        formats=_FP8,
        divergences=(
            (
                "Built with _ENABLE_MXFMA, float16 and bfloat16 inputs are multiplied by a "
                "reciprocal that was rounded to their own type, so some scales come out one lower "
                "or higher [unverified which]."
            ),
            "A NaN that a decoder gives is 0x7FFFFFFF.",
            "The tests' Python twin divides by 448 where the kernel multiplies.",
        ),
    ),
    profile(
        "microxcaling",
        "microsoft/microxcaling, _quantize_mx with its default arguments, PyTorch path",
        {
            "scale_log2": ("float32", _MICROXCALING + "mx_ops.py (torch.floor(torch.log2(...)))"),
            "scale_zero_block": ("min-normal", _MICROXCALING + "mx_ops.py (FP32_MIN_NORMAL)"),
            "scale_above": ("nan", _MICROXCALING + 'mx_ops.py (> scale_emax is float("NaN"))'),
            "rounding": ("nearest-away", _MICROXCALING + 'elemwise_ops.py (round="nearest")'),
            "neg_zero": (
                "drop-input",
                _MICROXCALING + "elemwise_ops.py (torch.sign of a zero is +0)",
            ),
        },
        versions="7bc4195 (2024-08-19), run on torch 2.13.0, CPU",
        operations=("quantize",),
        divergences=(
            "It returns values, neither codes nor scale bytes.",
            (
                "On bfloat16 and float16 tensors the logarithm itself is taken in that type, so it "
                "misses far more often than in float32, as which it is described."
            ),
            (
                "Nobody promises that torch.log2 is correctly rounded, as it is here; on x86-64 it "
                "was for every number tried."
            ),
            (
                "The number next below half of the smallest element value rounds up to that value, "
                "since 1/2 is added to it in float32, which rounds: a defect."
            ),
            "Where V / X underflows float32, a negative number becomes +0 instead of -0.",
            "The CUDA and C++ extensions take the exponent from the bits: scale_log2=exact.",
        ),
    ),
    profile(
        "amd-quark-even",
        'AMD Quark, scale_calculation_mode "even", the default',
        {
            "scale_rule": ("even", _QUARK + " adds half a step of the element's mantissa)"),
            "scale_inf": ("saturate", _QUARK + " clamps log2 of infinity to 127)"),
        },
        versions="0.13, read; even_round run on torch 2.13.0, CPU",
        operations=("quantize",),
        formats=_FLOATS,
        divergences=(
            (
                "An amax that rounds up to 2**128 becomes infinity in even_round and gets 0xFE, "
                "where this policy gives 127 - emax + 128."
            ),
            (
                "It returns values, neither codes nor scale bytes; MXINT8 rounds amax to 8 "
                "mantissa bits and is not described."
            ),
        ),
    ),
    profile(
        "hip-host",
        "AMD HIP, host model of the OCP conversions (amd_hip_ocp_host.hpp)",
        {
            "nan_element": ("signed-max", _HIP + " (nan<E> of E2M1, E2M3 and E3M2)"),
            "nan_payload": ("quiet-signed", _HIP + " (nan<E>: sign | 0x7F, and sign | 0x7E)"),
            "decode_nan": ("signed", _HIP + " (to_float: makenan with the element's sign)"),
        },
        versions="rocm-systems 20d6c1c, read; its arithmetic run",
        operations=("dequantize", "encode", "decode"),
        formats=_FLOATS,
        scale_cast=False,
        divergences=(
            (
                "E4M3: infinities and numbers that round beyond 448 give 0x7F or 0xFF, which is "
                "NaN, although the conversions ask for saturation (inf<E4M3, true>): a defect. For "
                "E4M3 alone write hip-host:fp8_overflow=overflow."
            ),
            (
                "E5M2: decoding 0x7B gives infinity and decoding 0x7C gives 65536, since the "
                "decoders ask isinf<E5M2, true>, which compares with the saturated code: a defect."
            ),
            "The scale is an int8 exponent; there is no cast to E8M0.",
        ),
    ),
    profile(
        "triton-kernels",
        "triton_kernels downcast_to_mxfp, ROUND_UP, the default",
        {
            "scale_rule": ("rceil", _TRITON + " ((ds_int + 0x007FFFFF) & 0x7F800000)"),
            "scale_quotient": ("float32", _TRITON + " (max_val / max_quant_val)"),
            "scale_subnormal": ("bits", _TRITON + " (the exponent field of the quotient)"),
            "scale_nan": ("flush-block", _TRITON + " (the integer sum wraps to 0)"),
            **_TRITON_ELEMENTS,
        },
        versions=_TRITON_VERSIONS,
        formats=(*_FP8, "mxfp4"),
        divergences=(
            (
                "In a block that holds a NaN the NaN stays one, the others become zeros of their "
                "signs, and an infinity beside it changes nothing; the GPU kernel takes tl.max, "
                "which may drop the NaN [unverified]."
            ),
            (
                "Where amax / max underflows to 0 the elements become zeros; in E5M2 this policy "
                "still gives them codes."
            ),
            *_TRITON_DECODES,
        ),
    ),
    profile(
        "triton-kernels-down",
        "triton_kernels downcast_to_mxfp, ROUND_DOWN",
        {
            "scale_below": ("flush-block", _TRITON + " (a scale of 0 makes quant_scale 0)"),
            **_TRITON_ELEMENTS,
        },
        versions=_TRITON_VERSIONS,
        formats=(*_FP8, "mxfp4"),
        divergences=(
            (
                "The flushed elements keep their signs, and blocks of scale exponent -127 exactly "
                "are flushed as well."
            ),
            (
                "amax is divided in float32, so the number next below 2**(emax - 126) gets scale "
                "code 1."
            ),
            *_TRITON_DECODES,
        ),
    ),
    profile(
        "trainium",
        "AWS Trainium3, nki.isa.quantize_mx",
        {
            "scale_rule": ("plus-one", _NKI + " (a block scale that is two times larger)"),
        },
        versions="Neuron documentation 2.32, read",
        operations=("quantize",),
        formats=_FP8,
        divergences=(
            (
                "Sources are bfloat16 and float16; a group is 8 partitions of 4 elements, not 32 "
                "neighbours."
            ),
            (
                "The documents say nothing of NaN, infinities, zeros, tiny blocks and rounding; "
                "those fields are as in ocp [unverified]."
            ),
            (
                "Golden code of AWS (nki-library d2ad3a5, quantize_to_mx) takes the exponent field "
                "minus emax, half of what the documents say, and clips it to 0."
            ),
        ),
    ),
    profile(
        "mslk",
        "meta-pytorch MSLK, triton_quantize_mx4, RoundingMode.ceil, the default; CUDA",
        {
            "scale_rule": ("ceil", _MSLK + "fp4_primitives/scale.py (_compute_exp, CEIL_ROUND)"),
            "scale_above": ("clamp-125", _MSLK + "fp4_primitives/scale.py (tl.minimum, 125)"),
            "scale_inf": (
                "exponent-field",
                _MSLK + "fp4_primitives/scale.py (exponent bits of infinity)",
            ),
            "scale_nan": (
                "ignore",
                _MSLK + "quantize_kernels/mx4.py (tl.max drops a NaN) [unverified]",
            ),
        },
        versions="2a3c897 (2026-08-21), read; its arithmetic run",
        operations=("quantize",),
        formats=("mxfp4",),
        divergences=(
            "Sources are bfloat16 and float16.",
            "Other modes: mslk:scale_rule=floor or even-down; nearest-log with scale_log2=float32.",
            (
                "Its stochastic rounding adds symmetric noise before rounding to nearest, unlike "
                "every member of rounding."
            ),
            "On ROCm other than gfx950 ties go away from zero, and -0 becomes +0.",
        ),
    ),
)
"""The profiles."""
