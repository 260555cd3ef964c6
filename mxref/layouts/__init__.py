"""Where codes and scale codes lie in bytes: packings, scale planes, records, and conventions.

MX-1.0/5.1/layout prescribes nothing here: OP-PACKING and OP-SCALE-LAYOUT are open points, and every
library fills them in its own way. `pack` and `unpack` speak the conventions of whole projects; the
pieces that these are made of can be used by themselves.

Examples
--------
>>> import numpy as np
>>> codes = np.arange(8, dtype=np.uint8)
>>> pack_codes(codes, "nibbles-low-first").tolist()
[16, 50, 84, 118]
>>> pack_scales(np.full((3, 2), 127, np.uint8), "128x4").size
512
"""

from __future__ import annotations

from mxref.layouts.conventions import LAYOUTS, Fields, Layout, Part, layout, pack, traits, unpack
from mxref.layouts.packings import PACKINGS, Packing, pack_codes, unpack_codes
from mxref.layouts.probe import probe, probe_count, probes
from mxref.layouts.records import RECORDS, Record, pack_records, unpack_records
from mxref.layouts.scale_orders import (
    SCALE_ORDERS,
    ScaleOrder,
    pack_scales,
    scale_bytes,
    unpack_scales,
)

__all__ = [
    "LAYOUTS",
    "PACKINGS",
    "RECORDS",
    "SCALE_ORDERS",
    "Fields",
    "Layout",
    "Packing",
    "Part",
    "Record",
    "ScaleOrder",
    "layout",
    "pack",
    "pack_codes",
    "pack_records",
    "pack_scales",
    "probe",
    "probe_count",
    "probes",
    "scale_bytes",
    "traits",
    "unpack",
    "unpack_codes",
    "unpack_records",
    "unpack_scales",
]
