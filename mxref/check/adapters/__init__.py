"""Adapters: third parties wrapped as kernels, through their public interfaces only."""

from __future__ import annotations

__all__: list[str] = []
