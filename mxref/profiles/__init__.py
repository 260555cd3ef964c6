"""The named policies: whose behaviour each describes, and the source of every choice.

Examples
--------
>>> PROFILES["ml_dtypes"].operations
('encode', 'decode')
>>> PROFILES["ml_dtypes"].policy.diff(PROFILES["ocp"].policy)["fp8_overflow"]
('overflow', 'saturate')
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from mxref.profiles import _packages, _standards, _vendors
from mxref.profiles._profile import OPERATIONS, Profile

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["OPERATIONS", "PROFILES", "Profile"]

PROFILES: Mapping[str, Profile] = MappingProxyType(
    {p.name: p for table in (_standards, _vendors, _packages) for p in table.PROFILES}
)
"""The profiles by name, ``ocp`` first."""
