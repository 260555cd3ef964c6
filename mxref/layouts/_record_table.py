"""Every known record, with who uses it and where that can be read."""

from __future__ import annotations

from mxref.layouts._packing_table import TABLE as _PACKINGS
from mxref.layouts._record import Record

__all__ = ["TABLE"]

_GGUF = "https://github.com/ggml-org/llama.cpp/blob/master/ggml/src/ggml-common.h"
_BDR = "https://arxiv.org/abs/2302.08007"


def _after(head: int, packing: str, units: int) -> tuple[int, ...]:
    """Starts of codes that a packing puts behind `head` bytes."""
    found = next(p for p in _PACKINGS if p.name == packing)
    return tuple(
        8 * (head + unit * found.unit_bytes) + start
        for unit in range(units)
        for start in found.starts
    )


def _bdr(name: str, bits: int) -> Record:
    """Make the record of one of the paper's formats, whose elements have `bits` bits."""
    return Record(
        name=f"{name}-bdr",
        format=name,
        elements=16,
        bits=bits,
        blocks=1,
        nbytes=2 + 2 * bits,
        scale_starts=(0,),
        micro_starts=tuple(range(8, 16)),
        code_starts=tuple(16 + bits * i for i in range(16)),
        codes_as=(f"dense-{bits}", 1),
        text=f"16 elements of {bits} bits, sign and magnitude: the shared exponent, a byte of 8 "
        "microexponents (bit j for elements 2j and 2j + 1), then the elements as a stream from the "
        "lowest bit on.",
        used_by="nobody that we know of: the paper and AMD Quark give the fields, not their bytes",
        source=_BDR,
        evidence="ours: the order of fields is that of AMD Quark 0.13, which keeps them as floats; "
        "the order of bits is our choice",
    )


TABLE: tuple[Record, ...] = (
    Record(
        name="gguf-mxfp4",
        format="mxfp4",
        elements=32,
        bits=4,
        blocks=1,
        nbytes=17,
        scale_starts=(0,),
        micro_starts=(),
        code_starts=_after(1, "nibbles-split", 1),
        codes_as=("nibbles-split", 1),
        text="The E8M0 scale code, then 16 bytes of nibbles-split.",
        used_by="GGUF files: tensors of type MXFP4 (ggml's block_mxfp4)",
        source=_GGUF,
        evidence="run: gguf 0.19.0",
    ),
    Record(
        name="gguf-nvfp4",
        format="nvfp4",
        elements=64,
        bits=4,
        blocks=4,
        nbytes=36,
        scale_starts=(0, 8, 16, 24),
        micro_starts=(),
        code_starts=_after(4, "nibbles-split-16", 4),
        codes_as=("nibbles-split-16", 4),
        text="4 unsigned E4M3 scale codes, then 4 blocks of 8 bytes of nibbles-split-16.",
        used_by="GGUF files: tensors of type NVFP4 (ggml's block_nvfp4)",
        source=_GGUF,
        evidence="run: gguf 0.19.0",
    ),
    Record(
        name="t27-mxfp4",
        format="mxfp4",
        elements=32,
        bits=4,
        blocks=1,
        nbytes=17,
        scale_starts=(0,),
        micro_starts=(),
        code_starts=_after(1, "nibbles-low-first", 16),
        codes_as=("nibbles-low-first", 16),
        text="The E8M0 scale code, then 16 bytes of nibbles-low-first. As long as gguf-mxfp4, in "
        "another order.",
        used_by="tt-lang-t27",
        source="https://pypi.org/project/tt-lang-t27/",
        evidence="read: tt-lang-t27 0.4.0, pack_block_to_bytes",
    ),
    _bdr("mx9", 8),
    _bdr("mx6", 5),
    _bdr("mx4", 3),
)
"""In the order in which listings show them."""
