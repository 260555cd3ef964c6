"""Write vector files in the forms that simulators, firmware and other languages read at once.

Every form holds the same two tables. A row of the *cases* has ``id`` (48 bits), ``verdict``
(0 must, 1 one_of, 2 open), ``members`` (how many outputs are allowed), ``first_member`` (where they
begin in the other table) and the inputs, named as in JSON: ``type`` (0 float32, 1 bfloat16,
2 float16), ``x``, ``code``, ``a_codes`` ... A row of the *members* has ``refused`` (1: the input is
to be refused, and the output is zero or empty and means nothing) and the output: ``code``,
``value``, ``scale``, ``codes`` ... Codes and verdicts take 8 bits, numbers and sizes 32.

Blocks have as many numbers in each row. The lists of dot products and tensors differ in length:
nothing is padded; the numbers of all rows lie one after the other, and a row has start and length.

=============== ==================================================================================
``sv``          ``mxref_NAME_pkg.sv``: counts, names, ``case_t``, ``member_t`` and ``same``, which
                compares under the rules of the file. ``NAME.cases.hex`` and ``NAME.members.hex``
                for ``$readmemh``: one packed struct a line. One more ``.hex`` for each list
                without a fixed length
``c``           ``NAME.h``: C99, ``mxref_NAME_cases[]`` and ``mxref_NAME_members[]``, arrays of
                structs; lists without a fixed length are a pointer and a length
``bin``         ``NAME.bin``: little-endian records of fixed size, see below
``npy``         ``NAME.FIELD.npy``, one array a field; those of members start with ``out_``. The
                numbers of row i of a list without a fixed length are
                ``FIELD[FIELD_start[i] : FIELD_start[i + 1]]``
``csv``         ``NAME.csv``: RFC 4180, one row a case; member m has the columns ``outM_...``.
                Bits are hexadecimal, lists parted by blanks; labels and comments are there too
``safetensors`` ``NAME.safetensors``: the arrays of ``npy`` in one file
=============== ==================================================================================

NAME is operation, format and policy, as in ``encode_e2m1_ocp``. Beside them lies ``NAME.TO.json``,
a description: version of the set, source and its SHA-256, rules of comparison, layout, and the
SHA-256 of each file, by which a later export knows what it may replace.

The header of ``bin`` has 96 bytes: ``char[8]`` "MXREFVEC"; ten ``uint32``: version of the layout
(1), size of the header, number of cases, bytes a case, number of members, bytes a member, offset of
the cases, of the members, of the data, bytes of data; three ``uint16``: version of the set; two
``uint8``: position in ``OPERATIONS``, bits of ``COMPARE_RULES`` (bit 0 the first); ``uint8[32]``:
SHA-256 of the source; 8 zeros. A record has its widest fields first, and the description has every
offset. The start of a list without a fixed length counts bytes from the offset of the data.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from mxref.vectors.export._arrays import npy_files, safetensors_files
from mxref.vectors.export._binary import binary_files
from mxref.vectors.export._c import c_files
from mxref.vectors.export._csv import csv_files
from mxref.vectors.export._sv import sv_files
from mxref.vectors.export._table import Table, table
from mxref.vectors.export._write import write
from mxref.vectors.model import Progress, VectorError, VectorFile, sha256
from mxref.vectors.read import load, load_manifest

__all__ = ["EXPORTS", "export", "export_files"]

EXPORTS: Mapping[str, Callable[[Table], dict[str, bytes]]] = MappingProxyType(
    {
        "sv": sv_files,
        "c": c_files,
        "bin": binary_files,
        "npy": npy_files,
        "csv": csv_files,
        "safetensors": safetensors_files,
    }
)
"""The forms, by name."""


def export(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    to: str,
    operation: str | None = None,
    format: str | None = None,  # noqa: A002  # the public word everywhere else
    progress: Progress | None = None,
) -> tuple[Path, ...]:
    """Write a vector file, or the files of a set, in another form.

    Parameters
    ----------
    source : path
        A JSON vector file, or the directory of a set.
    target : path
        Directory for what is written; created where it does not exist.
    to : str
        One of `EXPORTS`.
    operation, format : str, optional
        Only files of this operation or format.
    progress : callable, optional
        Called as ``progress(path, done, total)`` after each vector file.

    Returns
    -------
    tuple of Path
        What was written: the same bytes on every machine.

    Raises
    ------
    VectorError
        If a source is damaged, nothing fits `operation` and `format`, the target cannot be
        written, or a file stands there that no export wrote or that was changed since.

    Examples
    --------
    >>> import tempfile
    >>> from mxref.vectors.generate import build, jobs
    >>> from mxref.vectors.model import vector_file_text
    >>> job = next(j for j in jobs() if (j.operation, j.format.name) == ("decode", "e2m1"))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     source = Path(folder, "e2m1.ocp.json")
    ...     _ = source.write_text(vector_file_text(build(job)), "ascii")
    ...     written = export(source, folder, to="csv")
    >>> [path.name for path in written]
    ['decode_e2m1_ocp.csv', 'decode_e2m1_ocp.csv.json']
    """
    if to not in EXPORTS:
        raise VectorError(f"{to!r} is no export; known: {', '.join(EXPORTS)}")
    root = Path(source)
    paths = list(_paths(root, operation, format)) if root.is_dir() else [root]
    written: list[Path] = []
    exported = 0
    for done, path in enumerate(paths, start=1):
        file = load(path)
        wanted = operation in (None, file.operation) and format in (None, file.format)
        if wanted:
            written += write(Path(target), export_files(file, to=to))
            exported += 1
        if progress is not None:
            progress(file.path, done, len(paths))
    if not exported:
        asked = " ".join(word for word in (operation, format) if word)
        raise VectorError(f"{source}: no vector file for {asked or 'any operation'}")
    return tuple(written)


def export_files(file: VectorFile, *, to: str) -> dict[str, bytes]:
    """Return the files of one export, by name, without writing them.

    Parameters
    ----------
    file : VectorFile
        The only thing that the bytes depend on.
    to : str
        One of `EXPORTS`.

    Examples
    --------
    >>> from mxref.vectors.generate import build, jobs
    >>> job = next(j for j in jobs() if (j.operation, j.format.name) == ("decode", "e2m1"))
    >>> files = export_files(build(job), to="sv")
    >>> files["decode_e2m1_ocp.cases.hex"].decode().splitlines()[1][-11:]
    '00000001_01'
    """
    return EXPORTS[to](table(file))


def _paths(root: Path, operation: str | None, format_name: str | None) -> Iterator[Path]:
    """The vector files of a set that can be meant: a path says what a file is about."""
    entries = load_manifest(root / "manifest.json").files
    for name, entry in entries.items():
        if not (name.endswith(".json") and entry.cases):
            continue
        if not name.startswith(f"{operation}/" if operation else ""):
            continue
        if f"/{format_name or ''}" not in name:
            continue
        path = root / name
        try:
            found = sha256(path.read_bytes())
        except OSError as error:
            raise VectorError(f"{path}: cannot be read: {error.strerror or error}") from error
        if found != entry.sha256:
            raise VectorError(
                f"{path}: SHA-256 is {found[:12]}..., the manifest says {entry.sha256[:12]}...: "
                "the file was changed; see `mxref vectors verify`"
            )
        yield path
