"""The types in GGUF files: of tensors, with their block sizes, and of values in the header."""

from __future__ import annotations

from types import MappingProxyType

__all__ = ["BLOCKS", "SCALARS", "TYPES", "VALUE_TYPES"]

# Number, name, elements in a block, bytes of a block: ggml.h and ggml-common.h of ggml-org/ggml.
# 4, 5, 31 to 33 and 36 to 38 were types once and are no longer.
_TABLE = """
0 F32 1 4
1 F16 1 2
2 Q4_0 32 18
3 Q4_1 32 20
6 Q5_0 32 22
7 Q5_1 32 24
8 Q8_0 32 34
9 Q8_1 32 40
10 Q2_K 256 84
11 Q3_K 256 110
12 Q4_K 256 144
13 Q5_K 256 176
14 Q6_K 256 210
15 Q8_K 256 292
16 IQ2_XXS 256 66
17 IQ2_XS 256 74
18 IQ3_XXS 256 98
19 IQ1_S 256 50
20 IQ4_NL 32 18
21 IQ3_S 256 110
22 IQ2_S 256 82
23 IQ4_XS 256 136
24 I8 1 1
25 I16 1 2
26 I32 1 4
27 I64 1 8
28 F64 1 8
29 IQ1_M 256 56
30 BF16 1 2
34 TQ1_0 256 54
35 TQ2_0 256 66
39 MXFP4 32 17
40 NVFP4 64 36
41 Q1_0 128 18
"""

_ROWS = [line.split() for line in _TABLE.split("\n") if line]

TYPES = MappingProxyType({int(number): name for number, name, _, _ in _ROWS})
"""The name of each type of tensor, by the number that a file holds."""

BLOCKS = MappingProxyType({name: (int(n), int(size)) for _, name, n, size in _ROWS})
"""(elements in a block, bytes of a block) of each."""

VALUE_TYPES = (
    *("UINT8", "INT8", "UINT16", "INT16", "UINT32", "INT32", "FLOAT32", "BOOL", "STRING"),
    *("ARRAY", "UINT64", "INT64", "FLOAT64"),
)
"""The types of values in the header, by number."""

SCALARS = MappingProxyType(
    {
        "UINT8": "B",
        "INT8": "b",
        "UINT16": "H",
        "INT16": "h",
        "UINT32": "I",
        "INT32": "i",
        "FLOAT32": "f",
        "BOOL": "?",
        "UINT64": "Q",
        "INT64": "q",
        "FLOAT64": "d",
    }
)
"""Those of fixed size, as the module `struct` names them."""
