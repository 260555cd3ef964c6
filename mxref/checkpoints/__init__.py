"""Checkpoints: files of weights, read in parts, and quantized ones found and written.

`open_checkpoint` opens safetensors and GGUF files, single or in shards, as a `Store` of named
tensors, and refuses with a reason what lies about itself. `find_quantized` says which of them are
quantized weights, and reads their codes. `quantize_checkpoint` makes a quantized checkpoint.

Notes
-----
Three rooms, each with one door. Reading: `open`, then `safetensors_file`, `gguf_file` and
`sharded` over `_header`, `_json`, `_gguf_cursor`, `_file` and `_rows`. Finding: `find` over the
``_find_*``. Writing: `quantize` plans (``_plan*``, `_options`, `_configs`), `writer` hands out
what `_work` does, and `_atomic` and `_journal` see to it that the output is whole or absent.

Examples
--------
>>> import tempfile, pathlib, numpy as np
>>> from mxref.checkpoints import find_quantized, open_checkpoint, quantize_checkpoint
>>> folder = pathlib.Path(tempfile.mkdtemp())
>>> np.save(folder / "a.npy", np.eye(32, 64, dtype=np.float32))
>>> done = quantize_checkpoint(folder / "a.npy", folder / "q.safetensors", "mxfp4", "gpt-oss")
>>> with open_checkpoint(folder / "q.safetensors") as store:
...     (found,) = find_quantized(store)
...     fields = found.read(store, 0, 2)
>>> found.name, found.layout, found.format, fields.codes.shape, fields.scales.shape
('a.weight', 'gpt-oss', 'mxfp4', (2, 64), (2, 2))
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mxref.checkpoints.open import open_checkpoint
from mxref.checkpoints.store import CheckpointError, Store, TensorInfo

if TYPE_CHECKING:
    from mxref.checkpoints.find import Found as Found
    from mxref.checkpoints.find import find_quantized as find_quantized
    from mxref.checkpoints.quantize import Summary as Summary
    from mxref.checkpoints.quantize import quantize_checkpoint as quantize_checkpoint

__all__ = [
    "CheckpointError",
    "Found",
    "Store",
    "Summary",
    "TensorInfo",
    "find_quantized",
    "open_checkpoint",
    "quantize_checkpoint",
]

_HOME = {"Found": "find", "find_quantized": "find"}
_HOME |= {"Summary": "quantize", "quantize_checkpoint": "quantize"}


def __getattr__(name: str) -> Any:
    """Load what needs layouts and policies when it is asked for: readers need neither."""
    import importlib

    if name in _HOME:
        return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
