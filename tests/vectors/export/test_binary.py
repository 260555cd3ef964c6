"""The records of .bin, read back by the offsets in their description."""

import json

import numpy as np

from mxref.vectors.export import export_files
from mxref.vectors.model import sha256, vector_file_text

RULES = (
    *("any-nan", "nan-scale-hides-codes", "zero-block-any-scale"),
    "ue4m3-nan-hides-codes",
)


def table_of_records(data, table, pool):
    """Rows of one table of a .bin file, by its description."""
    dtype = np.dtype(
        {
            "names": [field["name"] for field in table["fields"]],
            "formats": [(f"<u{field['bits'] // 8}", field["length"]) for field in table["fields"]],
            "offsets": [field["offset"] for field in table["fields"]],
            "itemsize": table["size"],
        }
    )
    rows = np.frombuffer(data, dtype, table["count"], table["offset"])
    found = []
    for row in rows:
        cells = {name: row[name].tolist() for name in dtype.names}
        for name in [n for n in cells if n.endswith("_start")]:
            field = name.removesuffix("_start")
            (start,), (length,) = cells.pop(name), cells.pop(f"{field}_length")
            bits = next(f["bits"] for f in pool if f["name"] == field)
            cells[field] = np.frombuffer(
                data, f"<u{bits // 8}", length, table["data"] + start
            ).tolist()
        found.append(cells)
    return found


def test_bin(file, wanted, grouped):
    files = export_files(file, to="bin")
    (data,) = (data for name, data in files.items() if name.endswith(".bin"))
    (description,) = (json.loads(d) for name, d in files.items() if name.endswith(".json"))
    header = np.frombuffer(data, "<u4", 10, 8).tolist()
    assert data[:8] == b"MXREFVEC"
    assert header[:2] == [1, 96]
    layout = description["case"], description["member"], description["data"]
    assert header[6:9] == [part["offset"] for part in layout]
    assert [header[3], header[5], header[9]] == [part["size"] for part in layout]
    assert sum(part["offset"] for part in layout[2:]) + header[9] == len(data)
    assert np.frombuffer(data, "<u2", 3, 48).tolist() == [1, 2, 3]
    assert data[56:88].hex() == sha256(vector_file_text(file).encode())
    assert data[55] == sum(1 << RULES.index(rule) for rule in file.compare)
    scalars = {"id", "verdict", "members", "first_member", "type", "axis", "k", "refused", "value"}
    scalars |= {"packing", "scale_layout", "code", "scale", "random"}
    scalars |= {"amax", "global", "a_global", "b_global"}
    if file.operation == "encode":
        scalars.add("x")
    tables = []
    for name, count in (("case", header[2]), ("member", header[4])):
        table = {**description[name], "count": count, "data": header[8]}
        rows = table_of_records(data, table, description[name]["lists"])
        tables.append([{k: v[0] if k in scalars else v for k, v in row.items()} for row in rows])
    assert grouped(*tables) == wanted(file)


def test_every_field_of_a_record_is_aligned(file):
    files = export_files(file, to="bin")
    (description,) = (json.loads(d) for name, d in files.items() if name.endswith(".json"))
    for name in ("case", "member"):
        table = description[name]
        assert table["offset"] % 8 == table["size"] % 8 == 0
        assert all(8 * field["offset"] % field["bits"] == 0 for field in table["fields"])
    assert description["data"]["offset"] % 8 == 0
