"""Clauses and open points that no vector is about, each with the reason; written by hand."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["UNCOVERED"]

_FORMAT = "Says what there is, not what comes out"

UNCOVERED: Mapping[str, str] = MappingProxyType(
    {
        "MX-1.0/4.2/keywords": "How to read the words of the standard; nothing to compute.",
        "MX-1.0/5.1/compression": "Left-out scales are a matter of storage; no layout has them.",
        "MX-1.0/5.2/formats": f"{_FORMAT}: one file for each format, blocks of 32 with E8M0.",
        "MX-1.0/5.3/subset": "A claim about an implementation as a whole; run the files it has.",
        "MX-1.0/5.3/fp8": "Points to OFP8, whose clauses the cases of E4M3 and E5M2 cite.",
        "MX-1.0/6.3/exists": "Asks that a conversion exists; every case of quantize tests one.",
        "MX-1.0/6.3/overflow-other": "Permits further methods without saying what they do.",
        "OFP8-1.0/scope": "Says what OFP8 is about; nothing to compute.",
        "OFP8-1.0/modes": "Asks for both modes; what each gives is in overflow-sat and -ovf.",
        "OFP8-1.0/flags": "Status flags are outside what a bit pattern can show.",
        "OP-SCALE-FP32-OPERAND": "No operation of the set takes a float32 scale.",
        "OP-CONFORMANCE-CLAIM": "About what a claim says; see INTERPRETING.md for a runner.",
    }
)
"""Why a clause has no vector. Tests fail where one is missing, or where a case cites it after all.

Examples
--------
>>> UNCOVERED["OFP8-1.0/flags"]
'Status flags are outside what a bit pattern can show.'
"""
