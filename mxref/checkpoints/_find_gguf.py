"""How llama.cpp calls the tensors that transformers calls otherwise."""

from __future__ import annotations

import re
from collections.abc import Iterator

__all__ = ["ROW_ORDER", "hugging_face_names"]

# Decoders in the manner of LLaMA; https://github.com/ggml-org/llama.cpp (gguf-py/gguf,
# tensor_mapping.py) has the names of all architectures.
_LAYER = {
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
    "ffn_gate_inp": "mlp.gate",
    "ffn_gate_exps": "mlp.experts.gate_proj",
    "ffn_up_exps": "mlp.experts.up_proj",
    "ffn_down_exps": "mlp.experts.down_proj",
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
}
_WHOLE = {"token_embd": "model.embed_tokens", "output": "lm_head", "output_norm": "model.norm"}

ROW_ORDER = (
    "llama.cpp reorders the rows of attn_q and attn_k of some architectures (LLaMA's among them)"
)


def hugging_face_names(name: str) -> Iterator[str]:
    """The names that a tensor of a GGUF file may have had in transformers.

    Examples
    --------
    >>> list(hugging_face_names("blk.3.attn_q.weight"))
    ['model.layers.3.self_attn.q_proj.weight']
    >>> list(hugging_face_names("a.weight"))
    []
    """
    stem, dot, kind = name.rpartition(".")
    if stem in _WHOLE:
        yield f"{_WHOLE[stem]}{dot}{kind}"
    found = re.fullmatch(r"blk\.(\d+)\.(\w+)", stem)
    if found and found[2] in _LAYER:
        yield f"model.layers.{found[1]}.{_LAYER[found[2]]}{dot}{kind}"
