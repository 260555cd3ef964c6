"""Profiles of software that can be installed, measured by tests/packages.

Each runs there against its profile, bit for bit, on the inputs where packages are known to part
ways. Every divergence is tested as well: a version that behaves otherwise is noticed. What depends
on the processor was measured on x86-64.
"""

from __future__ import annotations

from mxref.profiles._profile import OPERATIONS, Profile, profile

__all__ = ["PROFILES"]

_FP8 = ("mxfp8_e4m3", "mxfp8_e5m2")
_FLOATS = (*_FP8, "mxfp6_e3m2", "mxfp6_e2m3", "mxfp4")

_TORCH = "https://github.com/pytorch/pytorch/blob/v2.13.0/torch/headeronly/util/"
_TORCHAO = "https://github.com/pytorch/ao/blob/v0.18.0/torchao/prototype/mx_formats/mx_tensor.py"
_GFLOAT = "https://github.com/graphcore-research/gfloat/blob/b142762/src/gfloat/"
_ONNX = "https://github.com/onnx/onnx/blob/f754691/onnx/numpy_helper.py"
_GGUF = (
    "https://github.com/ggml-org/llama.cpp/blob/master/gguf-py/gguf/quants.py (class MXFP4; "
    "measured on gguf 0.19.0)"
)
_MLX = (
    "https://github.com/ml-explore/mlx/blob/846d176/mlx/ops.cpp (fp_quantize, the fallback that "
    "runs on the CPU; measured on mlx 0.32.4)"
)
_ML_DTYPES = "https://github.com/jax-ml/ml_dtypes (measured by `mxref conform ml_dtypes`)"

_TORCHAO_LOWEST = (
    "Under scale code 0 the elements are divided by 2**-126 and not by 2**-127, so that a decoder "
    "gives half of what went in: a defect, mended upstream by "
    "https://github.com/pytorch/ao/pull/4725."
)
_TORCHAO_DECODES = (
    "Which NaN the decoder gives for FP8 depends on the processor's multiplication: an unnamed "
    "choice."
)
_TORCHAO_BY_BITS = (
    (
        "An infinity gives the scale of its exponent field, 128, as if 2**128 stood for amax, so "
        "that the block is finite: a defect, mended by https://github.com/pytorch/ao/pull/4725, "
        "after which it gives 0xFF."
    ),
    _TORCHAO_LOWEST,
    (
        "Under the NaN scale finite elements become zeros of their sign, and NaN in FP6 and FP4 "
        "some code: an unnamed choice, as every value is NaN all the same."
    ),
    _TORCHAO_DECODES,
)

_MLX_DIVERGENCES = (
    (
        "Where the scale wraps the elements are divided by the scale as it was before, so that the "
        "block means something else: a defect."
    ),
    (
        "A NaN or an infinity gives scale code 128 and elements of no relation to the input, since "
        "an infinite logarithm is converted to an integer: a defect."
    ),
    (
        "The decoder takes scale code 0xFF as 2**128, which is infinite in float32, not as NaN: a "
        "defect against MX-1.0/5.4/e8m0."
    ),
)
_MLX_FP8_DIVERGENCES = (
    *_MLX_DIVERGENCES,
    "Which NaN the decoder gives depends on the processor's multiplication: an unnamed choice.",
)


def _torchao(mode: str, changes: dict[str, tuple[str, str]], *divergences: str) -> Profile:
    return profile(
        f"torchao-{mode}",
        f"torchao, to_mx with ScaleCalculationMode.{mode.upper()}, run eagerly on a CPU",
        changes,
        versions="torchao 0.18.0 on torch 2.13.0",
        formats=_FLOATS,
        divergences=divergences,
    )


def _mlx(
    name: str,
    fmt: str,
    changes: dict[str, tuple[str, str]],
    divergences: tuple[str, ...],
) -> Profile:
    return profile(
        name,
        f"MLX on a CPU, float32 arrays, mode {fmt.partition('_')[0]}",
        {
            "scale_rule": ("rceil", "https://github.com/ml-explore/mlx/pull/4353 (measured)"),
            "scale_quotient": ("float32", _MLX),
            "scale_zero_block": ("one", _MLX),
            "scale_below": ("wrap", _MLX),
            **changes,
        },
        versions="mlx 0.32.4, CPU",
        formats=(fmt,),
        divergences=divergences,
    )


PROFILES: tuple[Profile, ...] = (
    profile(
        "torch",
        "PyTorch, casts with Tensor.to on a CPU",
        {
            "fp8_overflow": (
                "sat-none",
                "https://github.com/pytorch/pytorch/pull/178817 (for E4M3 only; measured)",
            ),
            "nan_payload": ("signed", _TORCH + "Float8_e4m3fn.h"),
            "decode_nan": ("signed", _TORCH + "Float8_e4m3fn.h"),
            "e8m0_rounding": ("nearest", _TORCH + "Float8_e8m0fnu.h"),
            "e8m0_negative": ("magnitude", _TORCH + "Float8_e8m0fnu.h"),
            "e8m0_overflow": ("nan", _TORCH + "Float8_e8m0fnu.h"),
        },
        versions="torch 2.13.0",
        operations=("encode", "decode"),
        formats=_FP8,
        divergences=(
            "S17: casts to E8M0 of (2**-127, 1.5 * 2**-127) give 2**-126, a defect.",
            (
                "A decoded NaN keeps the mantissa of its code below the quiet bit, 0x7FF00000 for "
                "E4M3: an unnamed choice."
            ),
            "The decoded NaN of E8M0 is 0x7F800001, a signalling one: an unnamed choice.",
        ),
    ),
    _torchao("floor", {}, *_TORCHAO_BY_BITS),
    _torchao("ceil", {"scale_rule": ("ceil", _TORCHAO)}, *_TORCHAO_BY_BITS),
    _torchao("even", {"scale_rule": ("even", _TORCHAO)}, *_TORCHAO_BY_BITS),
    _torchao(
        "rceil",
        {
            "scale_rule": ("rceil", _TORCHAO + " (_to_mx_rceil)"),
            "scale_quotient": ("float32", _TORCHAO + " (_to_mx_rceil; later versions multiply)"),
            "scale_log2": (
                "float32",
                _TORCHAO + " (_to_mx_rceil; later versions take the exponent field)",
            ),
            "scale_inf": ("saturate", _TORCHAO + " (_to_mx_rceil; later versions give 0xFF)"),
        },
        (
            "Under scale code 0 the elements are not divided at all, so that nearly all become "
            "zeros: a defect, mended upstream by https://github.com/pytorch/ao/pull/4725."
        ),
        (
            "Under the NaN scale FP6 and FP4 elements get some code: an unnamed choice, as every "
            "value is NaN all the same."
        ),
        _TORCHAO_DECODES,
    ),
    profile(
        "gfloat",
        "Graphcore's gfloat: blocks of float32 arrays, and casts with saturation",
        {
            "scale_log2": (
                "float32",
                _GFLOAT + "block.py (compute_scale_amax in the type of the array; given float64 "
                "arrays of float32 numbers it is exact)",
            ),
            "scale_inf": ("saturate", _GFLOAT + "block.py (compute_scale_amax clips)"),
            "nan_element": ("raise", _GFLOAT + "encode.py"),
            "nan_payload": ("negative", _GFLOAT + "encode.py (code_of_nan)"),
            "int8_min": ("used", _GFLOAT + "formats.py (format_info_ocp_int8)"),
            "e8m0_rounding": ("nearest-even", _GFLOAT + "round.py (measured)"),
            "e8m0_zero": ("nan", _GFLOAT + "round.py (measured)"),
            "e8m0_underflow": (
                "nan",
                "https://github.com/graphcore-research/gfloat/issues/62 (measured)",
            ),
            "e8m0_inf": ("saturate", _GFLOAT + "round.py (measured)"),
        },
        versions="gfloat 0.5.2",
        operations=OPERATIONS,
        divergences=(
            (
                "Negative infinity cast to E8M0 gives 0xFE, while other negative numbers give NaN: "
                "a defect."
            ),
        ),
    ),
    profile(
        "onnx",
        "ONNX operator Cast with its default attributes, in onnx.reference",
        {
            "nan_element": ("flipped-zero", _ONNX + " (saturate_cast and astype; measured)"),
            "nan_payload": ("quiet-signed", _ONNX + " (saturate_cast; measured)"),
            "decode_nan": ("signed", _ONNX + " (to_array; measured)"),
            "e8m0_rounding": ("up", _ONNX + " (to_float8e8m0)"),
            "e8m0_subnormal": ("bits", _ONNX + " (to_float8e8m0: has_fraction)"),
            "e8m0_negative": ("magnitude", _ONNX + " (to_float8e8m0)"),
        },
        versions="onnx 1.23.2 with ml_dtypes 0.6.0, opset 25",
        operations=("encode", "decode"),
        formats=_FLOATS,
    ),
    profile(
        "gguf-mxfp4",
        "gguf-py of llama.cpp, quantization type MXFP4",
        {
            "scale_log2": ("float32", _GGUF),
            "scale_nan": ("flush-block", _GGUF),
            "scale_inf": ("flush-block", _GGUF),
            "scale_below": ("wrap", _GGUF),
            "rounding": ("nearest-down", _GGUF),
            "nan_element": ("zero", _GGUF),
            "neg_zero": ("drop", _GGUF),
        },
        versions="gguf 0.19.0",
        formats=("mxfp4",),
        divergences=(
            (
                "Under scale code 253, which a float32 logarithm gives amax just below 2**128, no "
                "element exceeds 3, since the distance to 4 times the scale overflows: a defect."
            ),
            (
                "Beside a NaN or an infinity numbers up to 2**-100 become not zeros but what is "
                "nearest under scale code 0, mostly the largest element: a defect."
            ),
            (
                "The decoder takes scale code 0xFF as 2**128, not as NaN: a defect against "
                "MX-1.0/5.4/e8m0."
            ),
            "Code 8 decodes to +0, not to -0: a defect against MX-1.0/5.3/fp4.",
        ),
    ),
    _mlx(
        "mlx",
        "mxfp4",
        {"rounding": ("nearest-down", _MLX), "neg_zero": ("drop", _MLX)},
        _MLX_DIVERGENCES,
    ),
    _mlx("mlx-mxfp8", "mxfp8_e4m3", {}, _MLX_FP8_DIVERGENCES),
    profile(
        "ml_dtypes",
        "casts of the Python package ml_dtypes",
        {
            "fp8_overflow": ("overflow", _ML_DTYPES),
            "nan_element": ("flipped-zero", _ML_DTYPES),
            "nan_payload": ("quiet-signed", _ML_DTYPES),
            "decode_nan": ("signed", _ML_DTYPES),
            "e8m0_rounding": ("nearest", _ML_DTYPES),
            "e8m0_zero": ("nan", _ML_DTYPES),
            "e8m0_overflow": ("nan", _ML_DTYPES),
        },
        versions="0.6.0",
        operations=("encode", "decode"),
        formats=_FLOATS,
        divergences=("S17: casts to E8M0 of (2**-127, 1.5 * 2**-127) give 2**-126, a defect.",),
    ),
)
"""The profiles."""
