"""Read .safetensors files: one JSON header with places, then the bytes of all tensors.

The package `safetensors` is the second opinion in the tests, not the reader here, for three
reasons: it maps the file, and a mapping dies with the process when another program truncates the
file; its errors do not say what was given and what was expected; and rows of types that numpy does
not know cannot be read from it in parts.
"""

from __future__ import annotations

from mxref.checkpoints._header import read_header
from mxref.checkpoints._kinds import refuse_other
from mxref.checkpoints._single import SingleFile

__all__ = ["SafetensorsFile"]


class SafetensorsFile(SingleFile):
    """An open .safetensors file; a `Store`.

    Parameters
    ----------
    path : Path

    Raises
    ------
    CheckpointError
        If it is no such file, is truncated, or contradicts itself.
    """

    def _read_header(self) -> None:
        refuse_other(self._file)
        self.tensors, self.metadata = read_header(self._file)
