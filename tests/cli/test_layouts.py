"""``mxref layouts``: the list, the pictures, and probes on disk."""

import json
import re

import numpy as np
import pytest

from mxref.layouts.packings import PACKINGS, pack_codes
from mxref.layouts.probe import probe_count
from mxref.layouts.records import RECORDS, pack_records
from mxref.layouts.scale_orders import SCALE_ORDERS, pack_scales

KNOWN = [*PACKINGS, *SCALE_ORDERS, *RECORDS]


# --- list and pictures ----------------------------------------------------------------------------


def test_the_list_has_every_layout(invoke):
    result = invoke("layouts")
    assert result.exit_code == 0
    assert {line.split()[0] for line in result.stdout.splitlines() if line.split()} >= set(KNOWN)
    assert max(map(len, result.stdout.splitlines())) <= 80
    document = json.loads(invoke("layouts", "--json").stdout)
    assert list(document) == ["packings", "scale orders", "records", "conventions"]
    assert {name for kind in document.values() for name in kind} >= set(KNOWN)
    assert all(facts["text"] for kind in document.values() for facts in kind.values())


@pytest.mark.parametrize("name", [*KNOWN, "gpt-oss", "gguf"])
def test_every_layout_has_a_picture(invoke, name):
    result = invoke("layouts", "show", name)
    assert result.exit_code == 0, result.output
    picture = result.stdout.split("\n\n", 1)[1]
    assert picture.strip()
    assert max(map(len, picture.splitlines())) <= 80
    assert "evidence:" in result.stdout
    assert json.loads(invoke("layouts", "show", name, "--json").stdout)["name"] == name


@pytest.mark.parametrize("name", PACKINGS)
def test_the_picture_of_a_packing_says_which_bit_goes_where(invoke, name):
    """Read the picture back, and pack by it."""
    packing = PACKINGS[name]
    picture = invoke("layouts", "show", name).stdout.split("\n\n", 1)[1]
    rows = [line.split()[2:] for line in picture.splitlines() if line.startswith("byte")]
    assert len(rows) == packing.unit_bytes
    codes = np.random.default_rng(0).integers(0, 1 << packing.bits, packing.group, dtype=np.uint8)
    drawn = np.zeros(packing.unit_bytes, np.uint8)
    for byte, cells in enumerate(rows):
        for bit, cell in zip(range(7, -1, -1), cells, strict=True):
            if cell != ".":
                code, at = map(int, cell.split("."))
                drawn[byte] |= (codes[code] >> at & 1) << bit
    assert np.array_equal(drawn, pack_codes(codes, packing))


@pytest.mark.parametrize("name", SCALE_ORDERS)
def test_the_picture_of_an_order_says_which_scale_each_byte_holds(invoke, name):
    order = SCALE_ORDERS[name]
    document = json.loads(invoke("layouts", "show", name, "--json").stdout)
    lines, blocks = document["plane"]["lines"], document["plane"]["blocks"]
    plane = np.random.default_rng(1).integers(0, 256, (lines, blocks), dtype=np.uint8)
    packed = pack_scales(plane, order)
    assert np.array_equal(packed[np.array(document["addresses"])], plane)
    picture = invoke("layouts", "show", name).stdout.split("\n\n", 1)[1]
    shown = 0
    for line in picture.splitlines():
        found = re.match(r"byte (\d+) +(.*)", line)
        for k, cell in enumerate(found[2].split() if found else ()):
            if cell != ".":
                at = tuple(map(int, cell.split(",")))
                assert packed[int(found[1]) + k] == plane[at]
                shown += 1
    assert shown >= min(plane.size, 88)


def test_the_picture_of_128x4_is_cutlass_s_layout(invoke):
    assert "((32,4),4):((16,4),1)" in invoke("layouts", "show", "128x4").stdout


# --- probes on disk -------------------------------------------------------------------------------


def write_all(folder, packer):
    """What somebody's packer makes of the probes in a folder."""
    options = []
    for path in sorted(folder.glob("probe-*-codes.npy")):
        scales = np.load(path.with_name(path.name.replace("codes", "scales")))
        for name, data in packer(np.load(path), scales).items():
            target = folder / f"{path.name[:8]}-{name}.bin"
            target.write_bytes(np.ascontiguousarray(data).tobytes())
            options += [f"--{name}", target]
    return options


def test_a_packer_is_named_from_one_probe(invoke, tmp_path):
    folder = tmp_path / "probes"
    made = invoke("layouts", "probe", "--format", "mxfp4", "-o", folder)
    assert made.exit_code == 0, made.output
    assert sorted(path.name for path in folder.iterdir()) == [
        "probe-00-codes.npy",
        "probe-00-scales.npy",
    ]
    files = write_all(
        folder,
        lambda c, s: {"elements": pack_codes(c, "nibbles-split"), "scales": pack_scales(s, "8x4")},
    )
    result = invoke("layouts", "identify", "--format", "mxfp4", *files)
    assert result.exit_code == 0, result.output
    assert "elements: nibbles-split." in result.stdout
    assert "scales: 8x4." in result.stdout
    claim = ("--packing", "nibbles-low-first", "--scale-layout", "8x4")
    wrong = invoke("layouts", "identify", "--format", "mxfp4", *files, *claim, "--json")
    assert wrong.exit_code == 1
    document = json.loads(wrong.stdout)
    assert document["verdict"] == "defect"
    assert [finding["id"] for finding in document["findings"]] == ["L2"]


def test_records_are_named_from_one_file(invoke, tmp_path):
    invoke("layouts", "probe", "--format", "mxfp4", "--shape", "4x96", "-o", tmp_path)
    files = write_all(tmp_path, lambda c, s: {"records": pack_records(s, c, "gguf-mxfp4")})
    result = invoke("layouts", "identify", "--format", "mxfp4", "--shape", "4,96", *files)
    assert result.exit_code == 0
    assert "records: gguf-mxfp4" in result.stdout


def test_an_unknown_layout_is_mapped_from_all_probes(invoke, tmp_path):
    common = ("--format", "mxfp8_e4m3", "--shape", "8x64")
    invoke("layouts", "probe", *common, "--all", "-o", tmp_path)
    count = probe_count("mxfp8_e4m3", (8, 64))
    assert len(list(tmp_path.glob("*.npy"))) == 2 * count
    files = write_all(tmp_path, lambda c, s: {"elements": c[::-1], "scales": s})
    result = invoke("layouts", "identify", *common, *files)
    assert result.exit_code == 1
    assert "unexplained" in result.stdout
    assert "(8,64):(-64,1)" in result.stdout


def test_a_function_is_driven(invoke, tmp_path, monkeypatch):
    (tmp_path / "somebody_packs.py").write_text(
        "def pack(codes, scales):\n    return codes[:, ::2] | codes[:, 1::2] << 4, scales.T\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    result = invoke("layouts", "identify", "py:somebody_packs:pack", "--format", "mxfp4")
    assert result.exit_code == 0, result.output
    assert "nibbles-low-first" in result.stdout
    assert "column-major" in result.stdout


# --- what does not work ---------------------------------------------------------------------------


def test_errors_are_one_line(fails, tmp_path):
    assert "did you mean '128x4'" in fails("layouts", "show", "128x5")
    identify = ("layouts", "identify", "--format", "mxfp4")
    assert "nothing to identify" in fails(*identify)
    assert "no such file" in fails(*identify, "--elements", tmp_path / "none.bin")
    assert "no such file" in fails(*identify, "--elements", tmp_path / "none.npy")
    assert "expected py:MODULE:FUNCTION" in fails(*identify, "cmd:./x")
    assert "no module named" in fails(*identify, "py:no_such_module_here:pack")
    data = tmp_path / "data.bin"
    data.write_bytes(b"abc")
    assert "a target or files" in fails(*identify, "py:math:fabs", "--elements", data)
    both = ("--records", data, "--elements", data)
    assert "--records holds elements and scales" in fails(*identify, *both)
    two = ("--elements", data, "--scales", data, "--scales", data)
    assert "1 files of elements, but 2 of scales" in fails(*identify, *two)
    assert "unknown packing" in fails(*identify, "--elements", data, "--packing", "nibble")
    assert "the target raised" in fails(*identify, "py:math:fabs")
    bad = tmp_path / "bad.npy"
    bad.write_bytes(b"\x93NUMPY nonsense")
    assert "bad.npy" in fails(*identify, "--elements", bad)
    probe = ("layouts", "probe", "-o", tmp_path / "out", "--format")
    assert "did you mean" in fails(*probe, "mxpf4")
    assert "at most 16777216" in fails(*probe, "mxfp4", "--shape", "9999x9999")
    assert "cannot be made" in fails("layouts", "probe", "--format", "mxfp4", "-o", data / "x")


def test_usage_errors_and_existing_files(invoke, fails, tmp_path):
    result = invoke("layouts", "probe", "--format", "mxfp4", "--shape", "3", "-o", tmp_path)
    assert result.exit_code == 2
    assert "expected rows and columns" in result.stderr
    common = ("layouts", "probe", "--format", "mxfp4", "--shape", "2x32", "-o", tmp_path)
    assert invoke(*common).exit_code == 0
    before = (tmp_path / "probe-00-codes.npy").read_bytes()
    assert "--force overwrites it" in fails(*common)
    assert (tmp_path / "probe-00-codes.npy").read_bytes() == before
    assert invoke(*common, "--force").exit_code == 0
