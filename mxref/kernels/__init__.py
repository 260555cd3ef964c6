"""The functions of ``mxref.exact`` over arrays: Numba, bit patterns only.

Nothing outside this package imports numba. Inside it:

* ``programs`` holds the integer algorithms, written once over *lanes*;
* ``lanes`` runs a program two ways: as LLVM vectors inside a Numba kernel, and on NumPy arrays;
* ``params`` turns a format and a policy into the few integers that a program reads;
* ``block`` and ``element`` are the loops, with the same names and argument order as their twins
  in ``mxref.exact``.
"""

from __future__ import annotations

from mxref.kernels import _jit as _jit  # first: it hashes the sources before they are read
