"""ml_dtypes: an `MXArray` as two NumPy arrays whose types say what the codes are."""

from __future__ import annotations

from mxref.interop._parts import Parts, typed_views
from mxref.mxarray import MXArray

__all__ = ["to_ml_dtypes"]


def to_ml_dtypes(q: MXArray) -> Parts:
    """Return codes and scale codes under the types of ml_dtypes: views, never copies.

    The way back is `MXArray` itself, which takes such arrays.

    Returns
    -------
    (codes, scales)
        Arrays of ``float8_e4m3fn``, ``float8_e5m2``, ``float6_e3m2fn``, ``float6_e2m3fn``,
        ``float4_e2m1fn`` (one in each byte) or NumPy's int8; and of ``float8_e8m0fnu``.

    Examples
    --------
    >>> import mxref, numpy as np
    >>> q = mxref.quantize(np.array([6.0, 0.5] * 16, np.float32), "mxfp4")
    >>> codes, scales = to_ml_dtypes(q)
    >>> codes[:2].tolist(), scales.dtype.name
    ([6.0, 0.5], 'float8_e8m0fnu')
    >>> np.shares_memory(codes, q.codes)
    True
    """
    return typed_views(q)
