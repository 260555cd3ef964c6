"""Small checkpoints for the tests of `check.checkpoint`: originals, and what was made of them."""

from __future__ import annotations

import json

import numpy as np
from safetensors.numpy import save_file

import mxref
from mxref.layouts.conventions import layout


def weights(seed=0, shape=(96, 256), dtype=np.float32):
    """Numbers with ties, zeros, a block of zeros, and large ones among small ones."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape) * np.exp2(rng.integers(-6, 4, (*shape[:-1], 1)))
    flat = x.reshape(-1)
    ties = rng.choice(flat.size, flat.size // 8, replace=False)
    flat[ties] = np.round(flat[ties] * 4) / 4
    x[..., 5, 32:64] = 0
    return x.astype(dtype)


def packed(codes):
    """Two codes a byte, low first."""
    return codes[..., ::2] | codes[..., 1::2] << 4


def gpt_oss(name, codes, scales):
    """The tensors of one MXFP4 weight as GPT-OSS stores them."""
    rows, columns = codes.shape
    blocks = packed(codes).reshape(rows, columns // 32, 16)
    return {f"{name}.blocks": blocks, f"{name}.scales": np.ascontiguousarray(scales)}


class Files:
    """A folder with an original and quantized versions of it."""

    def __init__(self, folder, originals):
        self.folder, self.originals = folder, originals
        self.source = folder / "original.safetensors"
        save_file({f"{name}.weight": x for name, x in originals.items()}, self.source)

    def quantized(self, policy="ocp", change=None, policies=None):
        """Quantize all tensors to MXFP4; `change(name, codes, scales)` spoils some."""
        tensors = {}
        for name, x in self.originals.items():
            q = mxref.quantize(x, "mxfp4", policy=(policies or {}).get(name, policy))
            codes, scales = q.codes.copy(), q.scales.copy()
            if change is not None:
                codes, scales = change(name, codes, scales)
            tensors |= gpt_oss(name, codes, scales)
        path = self.folder / "quantized.safetensors"
        save_file(tensors, path)
        return path


def save_typed(path, tensors):
    """Write tensors as types that numpy has not: ``{name: (type, array of their bytes)}``."""
    header, data = {}, b""
    for name, (dtype, array) in tensors.items():
        raw = np.ascontiguousarray(array).tobytes()
        shape = list(array.shape)
        header[name] = {
            "dtype": dtype,
            "shape": shape,
            "data_offsets": [len(data), len(data) + len(raw)],
        }
        data += raw
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


def save_as(path, layout_name, format_name, name, fields):
    """Write one weight in a layout."""
    convention = layout(layout_name)
    names = convention.names(name, format_name)
    dtypes = {part.role: part.dtypes[0] for part in convention.parts_for(format_name)}
    parts = convention.pack(fields, format_name)
    return save_typed(path, {names[role]: (dtypes[role], array) for role, array in parts.items()})
