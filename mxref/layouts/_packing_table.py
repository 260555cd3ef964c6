"""Every known packing of element codes, with who uses it and where that can be read.

Evidence: *run* means that the package was run and gave these bytes; *read*, that its source or its
specification says so; *reported*, that others say so and we could not look.
"""

from __future__ import annotations

from mxref.layouts._packing import Packing

__all__ = ["TABLE"]


def _dense(bits: int, order: tuple[int, ...]) -> tuple[int, ...]:
    """Starts of fields that follow each other; field `order[i]` holds code i."""
    return tuple(bits * field for field in order)


def _halves(size: int) -> tuple[int, ...]:
    """Field numbers of codes of which i and i + size/2 are neighbours."""
    half = size // 2
    return tuple(2 * (i % half) + i // half for i in range(size))


TABLE: tuple[Packing, ...] = (
    Packing(
        name="bytes",
        bits=8,
        group=1,
        unit_bytes=1,
        starts=(0,),
        whole=False,
        text="One code in each byte, in the low bits.",
        used_by="all 8-bit formats; FP6 and FP4 in torchao's and ml_dtypes' unpacked arrays; "
        "PTX .b6p2x16",
        source="https://github.com/pytorch/ao/tree/main/torchao/prototype/mx_formats",
        evidence="run: torchao 0.18.0, ml_dtypes 0.6.0",
    ),
    Packing(
        name="bytes-high",
        bits=6,
        group=1,
        unit_bytes=1,
        starts=(2,),
        whole=False,
        text="One 6-bit code in the high bits of each byte.",
        used_by="tt-metal tiles: MxFp6R and MxFp6P",
        source="https://github.com/tenstorrent/tt-metal",
        evidence="read: the format parameters in tt-metal's mx_common",
    ),
    Packing(
        name="bytes-middle",
        bits=4,
        group=1,
        unit_bytes=1,
        starts=(2,),
        whole=False,
        text="One 4-bit code in bits 2 to 5 of each byte.",
        used_by="registers of PTX mma .kind::f8f6f4 with .e2m1 (CUTLASS shifts them there)",
        source="https://github.com/NVIDIA/cutlass/blob/main/include/cute/arch/mma_sm120.hpp",
        evidence="read: the comment at CUTLASS's fp4_shift_A",
    ),
    Packing(
        name="nibbles-low-first",
        bits=4,
        group=2,
        unit_bytes=1,
        starts=(0, 4),
        whole=False,
        text="Two neighbouring codes in a byte, the first in the low nibble.",
        used_by="gpt-oss, torchao, Triton, compressed-tensors, Model Optimizer, ONNX, MLX, CUTLASS",
        source="https://github.com/onnx/onnx/blob/main/docs/docsgen/source/technical/float4.md",
        evidence="run: torchao 0.18.0, onnx 1.23.2, mlx 0.32.4; read: compressed-tensors 0.20.0",
    ),
    Packing(
        name="nibbles-high-first",
        bits=4,
        group=2,
        unit_bytes=1,
        starts=(4, 0),
        whole=False,
        text="Two neighbouring codes in a byte, the first in the high nibble.",
        used_by="Triton before PR 5197, NVFP4 checkpoints of Black Forest Labs",
        source="https://github.com/triton-lang/triton/pull/5197",
        evidence="reported",
    ),
    Packing(
        name="nibbles-split",
        bits=4,
        group=32,
        unit_bytes=16,
        starts=_dense(4, _halves(32)),
        whole=True,
        text="Of 32 codes, i and i + 16 share byte i, the earlier one in the low nibble.",
        used_by="ggml and llama.cpp: MXFP4",
        source="https://github.com/ggml-org/llama.cpp/blob/master/gguf-py/gguf/quants.py",
        evidence="run: gguf 0.19.0",
    ),
    Packing(
        name="nibbles-split-16",
        bits=4,
        group=16,
        unit_bytes=8,
        starts=_dense(4, _halves(16)),
        whole=True,
        text="Of 16 codes, i and i + 8 share byte i, the earlier one in the low nibble.",
        used_by="ggml and llama.cpp: NVFP4",
        source="https://github.com/ggml-org/llama.cpp/blob/master/gguf-py/gguf/quants.py",
        evidence="run: gguf 0.19.0",
    ),
    Packing(
        name="nibbles-padded",
        bits=4,
        group=16,
        unit_bytes=16,
        starts=_dense(4, tuple(range(16))),
        whole=True,
        text="16 codes in 8 bytes, the first in the low nibble, then 8 bytes of padding.",
        used_by="PTX .b4x16_p64: shared memory of tcgen05 .kind::mxf8f6f4 and of ldmatrix; "
        "CU_TENSOR_MAP_DATA_TYPE_16U4_ALIGN16B",
        source="https://docs.nvidia.com/cuda/cuda-driver-api/group__CUDA__TENSOR__MEMORY.html",
        evidence="read: 8 bytes of codes, then a gap of 8; the order within the 8 is that of "
        "CUTLASS's packed arrays",
    ),
    Packing(
        name="fp6-dense",
        bits=6,
        group=4,
        unit_bytes=3,
        starts=_dense(6, (0, 1, 2, 3)),
        whole=False,
        text="A stream of 6-bit codes from the lowest bit on: 4 codes in 3 bytes.",
        used_by="compressed-tensors, ROCm mxDataGenerator, CUTLASS host arrays",
        source="https://github.com/vllm-project/compressed-tensors",
        evidence="run: compressed-tensors 0.20.0, CUTLASS's host containers",
    ),
    Packing(
        name="fp6-padded",
        bits=6,
        group=16,
        unit_bytes=16,
        starts=_dense(6, tuple(range(16))),
        whole=True,
        text="16 codes as a stream in 12 bytes, then 4 bytes of padding.",
        used_by="PTX .b6x16_p32: shared memory of tcgen05 .kind::mxf8f6f4 and of ldmatrix; "
        "CU_TENSOR_MAP_DATA_TYPE_16U6_ALIGN16B",
        source="https://docs.nvidia.com/cuda/cuda-driver-api/group__CUDA__TENSOR__MEMORY.html",
        evidence="read: 12 bytes of codes, then a gap of 4; the order within the 12 is that of "
        "CUTLASS's packed arrays",
    ),
    Packing(
        name="fp6-gfx950",
        bits=6,
        group=32,
        unit_bytes=24,
        starts=_dense(6, _halves(32)),
        whole=True,
        text="As fp6-dense, of 32 codes in the order 0, 16, 1, 17, ... that the conversion "
        "instruction of gfx950 gives.",
        used_by="ROCm aiter: FP6 attention on gfx950",
        source="https://github.com/ROCm/aiter",
        evidence="read: aiter's quantize_fp6_lastdim",
    ),
)
"""In the order in which listings show them."""
