"""Every known order of scale codes, with who uses it and where that can be read.

Evidence: as in `_packing_table`.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from mxref.layouts import _scale_addresses as at
from mxref.layouts._scale_addresses import Address, Plane
from mxref.layouts._scale_order import ScaleOrder

__all__ = ["TABLE"]

_TORCHAO = "https://github.com/pytorch/ao/tree/main/torchao/prototype/mx_formats"
_AMD = "https://github.com/ROCm/rocm-libraries"
_TRITON = "https://github.com/triton-lang/triton/tree/main/python/triton_kernels"


def _in_tiles(tile: tuple[int, int], p: Plane) -> int:
    return at.up(p.lines, tile[0]) * at.up(p.blocks, tile[1])


def _tiled(
    name: str, tile: tuple[int, int], source: str, address: Address | None = None, **more: Any
) -> ScaleOrder:
    address = address or partial(at.plain_tiles, tile=tile)
    return ScaleOrder(name, address, partial(_in_tiles, tile), source, tile=tile, **more)


TABLE: tuple[ScaleOrder, ...] = (
    ScaleOrder(
        "row-major",
        at.row_major,
        at.count,
        "torchao, gpt-oss, compressed-tensors",
        text="The rows of the plane, one after the other.",
        url=_TORCHAO,
        evidence="run: torchao 0.18.0",
    ),
    ScaleOrder(
        "column-major",
        at.column_major,
        at.count,
        "planes kept transposed",
        text="The columns of the plane, one after the other.",
        evidence="by definition",
    ),
    _tiled(
        "128x4",
        (128, 4),
        "cuBLAS and CUTLASS block scaling factors",
        at.tile_of_128x4,
        text="Tiles of 512 bytes, along the blocks first; lines 32 apart share 16 bytes. Padded "
        "with 0.",
        url="https://docs.nvidia.com/cuda/cublas/#d-block-scaling-factors-layout",
        evidence="run: torchao 0.18.0, to_blocked and from_blocked",
    ),
    _tiled(
        "8x4",
        (8, 4),
        "TensorRT-LLM and FlashInfer trtllm-gen, for few rows",
        text="Tiles of 32 bytes, row-major inside.",
        url="https://github.com/NVIDIA/TensorRT-LLM",
        evidence="read: TensorRT-LLM's get_sf_out_offset_8x4",
    ),
    _tiled(
        "gfx950-32x8",
        (32, 8),
        "AMD mxDataGenerator and aiter e8m0_shuffle",
        at.tile_of_32x8,
        text="Tiles of 256 bytes; a word holds two lines 16 apart of two blocks 4 apart.",
        url="https://github.com/ROCm/aiter",
        evidence="read: aiter's e8m0_shuffle, which pads lines to 256 and leaves padding unset; "
        "mxDataGenerator pads them to 32",
    ),
    _tiled(
        "gfx1250-32x4",
        (32, 4),
        "AMD mxDataGenerator (m/32, k/4, 32, 4) [secondary]",
        pad=0x7F,
        text="Tiles of 128 bytes, row-major inside; padding is a scale of one.",
        url=_AMD,
        evidence="reported; mxDataGenerator's preSwizzleScalesGFX1250 is gfx1250-words",
    ),
    ScaleOrder(
        "mn-major-words",
        at.words_down_padded,
        partial(_in_tiles, (4, 4)),
        "DeepGEMM on SM100: four scales of K in a little-endian word",
        tile=(4, 4),
        text="Words of four blocks, one line after the other, lines padded to 4.",
        url="https://github.com/deepseek-ai/DeepGEMM",
        evidence="read: a transcription in PyTorch of get_mn_major_tma_aligned_packed_ue8m0_tensor",
    ),
    ScaleOrder(
        "gfx1250-words",
        at.words_down,
        partial(_in_tiles, (1, 4)),
        "AMD mxDataGenerator preSwizzleScalesGFX1250, hipBLASLt",
        tile=(1, 4),
        text="Words of four blocks, one line after the other, lines not padded. For blocks of 32.",
        url=_AMD,
        evidence="read: mxDataGenerator's preSwizzleScalesGFX1250",
    ),
    *(
        _tiled(
            f"triton-hopper-{warps}",
            (32 * warps, 2),
            f"triton_kernels HopperMXScaleLayout, num_warps={warps}",
            partial(at.tiles_of_warps, warps=warps),
            text=f"64 bytes for 32 lines of a warp and two blocks, {warps} warps a tile.",
            url=_TRITON,
            evidence="read: swizzle_data of HopperMXScaleLayout",
        )
        for warps in (4, 8)
    ),
)
"""In the order in which listings show them."""
