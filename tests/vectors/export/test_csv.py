"""The rows of .csv, read back by the csv module."""

import csv
import io

from mxref.vectors.export import export_files

TYPES = ["float32", "bfloat16", "float16"]
PACKINGS = ["bytes", "nibbles-low-first"]
LAYOUTS = ["row-major", "128x4"]
VERDICTS = ["must", "one_of", "open"]


def test_csv(file, wanted):
    files = export_files(file, to="csv")
    (data,) = (data for name, data in files.items() if name.endswith(".csv"))
    assert data.count(b"\r\n") == data.count(b"\n") == len(file.cases) + 1
    header, *rows = csv.reader(io.StringIO(data.decode("ascii"), newline=""))
    assert {len(row) for row in rows} == {len(header)}
    lists = {"codes", "values", "scales", "subscales", "elements", "shape"}

    def cell(name, text):
        names = {"type": TYPES, "packing": PACKINGS, "scale_layout": LAYOUTS}.get(name)
        if names is not None:
            return names.index(text)
        base = 10 if name in {"shape", "axis", "k"} else 16
        numbers = [int(word, base) for word in text.split()]
        many = name.split("_")[-1] in lists or (name == "x" and file.operation != "encode")
        return numbers if many else numbers[0]

    found = []
    for row, case in zip(rows, file.cases, strict=True):
        cells = dict(zip(header, row, strict=True))
        assert cells.pop("comment") == case.comment
        assert cells.pop("clauses").split() == list(case.clauses)
        assert cells.pop("flags").split() == list(case.flags)
        outs = []
        for number, member in enumerate(case.members):
            mine = {k: v for k, v in cells.items() if k.startswith(f"out{number}_")}
            out = {k.partition("_")[2]: v for k, v in mine.items()}
            labels = [" ".join(f"{k}={v}" for k, v in w.items()) or "always" for w in member.when]
            assert out.pop("when") == " | ".join(labels)
            refused = out.pop("refused")
            assert refused in {"0", "1"}
            outs.append(None if refused == "1" else {k: cell(k, v) for k, v in out.items()})
        rest = [v for k, v in cells.items() if k.startswith(f"out{len(case.members)}_")]
        assert not any(rest)
        assert int(cells.pop("members")) == len(outs)
        identity, verdict = int(cells.pop("id"), 16), VERDICTS.index(cells.pop("verdict"))
        inputs = {k: cell(k, v) for k, v in cells.items() if not k.startswith("out")}
        found.append((identity, verdict, inputs, outs))
    assert found == wanted(file)
