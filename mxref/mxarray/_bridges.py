"""The methods of `MXArray` that lead to other frameworks and back; ``mxref.interop`` does it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from mxref.formats import BlockFormat
    from mxref.interop import Parts
    from mxref.mxarray._array import MXArray
    from mxref.policy import Policy

__all__ = ["Bridges"]


class Bridges:
    """Ways from an `MXArray` to other frameworks and back."""

    __slots__ = ()

    def to_ml_dtypes(self) -> Parts:
        """Return NumPy arrays typed by ml_dtypes, in the same memory.

        See `mxref.interop.to_ml_dtypes`; the way back is `MXArray` itself.
        """
        from mxref import interop

        return interop.to_ml_dtypes(cast("MXArray", self))

    def to_torch(
        self, *, packed: bool | None = None, device: Any = None, copy: bool | None = None
    ) -> Parts:
        """Return torch tensors, in the same memory where possible.

        See `mxref.interop.to_torch`.
        """
        from mxref import interop

        return interop.to_torch(cast("MXArray", self), packed=packed, device=device, copy=copy)

    @staticmethod
    def from_torch(
        codes: Any,
        scales: Any,
        format: str | BlockFormat,  # noqa: A002
        axis: int = -1,
        *,
        block_size: int | None = None,
        policy: Policy | str | None = None,
        packed: bool | None = None,
    ) -> MXArray:
        """Take torch tensors, in their memory unless FP4 codes are packed.

        See `mxref.interop.from_torch`.
        """
        from mxref import interop

        more = {"block_size": block_size, "policy": policy, "packed": packed}
        return interop.from_torch(codes, scales, format, axis, **more)  # type: ignore[arg-type]

    def to_jax(self, *, device: Any = None, copy: bool = True) -> Parts:
        """Return JAX arrays: copies, unless you forbid them.

        See `mxref.interop.to_jax`.
        """
        from mxref import interop

        return interop.to_jax(cast("MXArray", self), device=device, copy=copy)

    @staticmethod
    def from_jax(
        codes: Any,
        scales: Any,
        format: str | BlockFormat,  # noqa: A002
        axis: int = -1,
        *,
        block_size: int | None = None,
        policy: Policy | str | None = None,
    ) -> MXArray:
        """Take JAX arrays: read-only, in their memory where that is possible.

        See `mxref.interop.from_jax`.
        """
        from mxref import interop

        return interop.from_jax(codes, scales, format, axis, block_size=block_size, policy=policy)

    def to_cupy(self, *, device: int | None = None) -> Parts:
        """Copy to a GPU, as CuPy arrays of bytes.

        See `mxref.interop.to_cupy`.
        """
        from mxref import interop

        return interop.to_cupy(cast("MXArray", self), device=device)

    @staticmethod
    def from_cupy(
        codes: Any,
        scales: Any,
        format: str | BlockFormat,  # noqa: A002
        axis: int = -1,
        *,
        block_size: int | None = None,
        policy: Policy | str | None = None,
    ) -> MXArray:
        """Copy CuPy arrays from a GPU.

        See `mxref.interop.from_cupy`.
        """
        from mxref import interop

        return interop.from_cupy(codes, scales, format, axis, block_size=block_size, policy=policy)
