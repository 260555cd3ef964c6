"""``mxref check quantize-tensor``, ``dequantize-tensor``, ``dot`` and ``matmul`` on files."""

import json

import numpy as np
import pytest

import mxref


@pytest.fixture
def save(tmp_path):
    def write(**arrays):
        found = {}
        for name, array in arrays.items():
            found[name] = tmp_path / f"{name}.npy"
            np.save(found[name], array)
        return found

    return write


def options(files):
    return [part for name, path in files.items() for part in (f"--{name.replace('_', '-')}", path)]


def nibbles(codes):
    return codes[:, ::2] | codes[:, 1::2] << 4


# --- stored tensors -------------------------------------------------------------------------------


@pytest.fixture
def stored(save):
    x = np.random.default_rng(5).standard_normal((8, 64)).astype(np.float32)
    q = mxref.quantize(x, "mxfp4")
    return save(input=x, elements=nibbles(q.codes), scales=q.scales.reshape(-1)), q


def test_a_stored_matrix(invoke, stored):
    files, q = stored
    command = ("check", "quantize-tensor", *options(files), "--format", "mxfp4")
    right = invoke(*command, "--packing", "nibbles-low-first")
    assert right.exit_code == 0, right.output
    assert "quantize_tensor mxfp4" in right.stdout
    wrong = invoke(*command, "--packing", "nibbles-high-first", "--json")
    assert wrong.exit_code == 1
    assert json.loads(wrong.stdout)["findings"][0]["id"] == "L1"
    np.save(files["scales"], q.scales.T)
    turned = ("--packing", "nibbles-low-first", "--scale-layout", "column-major")
    assert invoke(*command, *turned).exit_code == 0
    assert invoke(*command, *turned[:2]).exit_code == 1


def test_axis_and_policy_of_a_stored_matrix(invoke, save):
    x = np.random.default_rng(6).standard_normal((64, 8)).astype(np.float32)
    q = mxref.quantize(x, "mxfp8_e4m3", 0, "ocp:scale_rule=ceil")
    files = save(input=x, elements=q.codes, scales=q.scales)
    command = ("check", "quantize-tensor", *options(files), "--format", "mxfp8_e4m3", "--axis", 0)
    assert "scale_rule=ceil" in invoke(*command).stdout
    assert invoke(*command, "--policy", "ocp:scale_rule=ceil").exit_code == 0
    assert invoke(*command, "--policy", "ocp").exit_code == 1


def test_a_matrix_that_was_read(invoke, save, tmp_path):
    rng = np.random.default_rng(7)
    codes, scales = rng.integers(0, 16, (8, 64), np.uint8), rng.integers(120, 134, (8, 2), np.uint8)
    y = mxref.dequantize(codes, scales, "mxfp4")
    files = save(elements=nibbles(codes), scales=scales, output=y)
    command = ("check", "dequantize-tensor", *options(files), "--format", "mxfp4")
    page = tmp_path / "report.md"
    packing = ("--packing", "nibbles-low-first")
    right = invoke(*command, *packing, "--report", f"md:{page}")
    assert right.exit_code == 0, right.output
    assert "output.npy conforms" in page.read_text()
    np.save(files["output"], mxref.dequantize(codes ^ 8, scales, "mxfp4"))
    assert invoke(*command, *packing).exit_code == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"input": np.zeros((2, 2, 2), np.float32)}, "3 dimensions; expected rows and columns"),
        ({"input": np.zeros((8, 64), np.int32)}, "holds int32, expected numbers"),
        ({"elements": np.zeros(100, np.uint8)}, "100 bytes"),
        ({"elements": np.zeros(256, np.float32)}, "expected elements as uint8, not values"),
        ({"scales": np.full(16, 300)}, "holds 300, but a byte is 0 to 255"),
    ],
)
def test_files_that_are_no_stored_matrix(invoke, stored, save, change, said):
    files, _ = stored
    save(**change)
    result = invoke(
        *("check", "quantize-tensor", *options(files), "--format", "mxfp4"),
        *("--packing", "nibbles-low-first"),
    )
    assert result.exit_code == 2, result.output
    assert said in result.stderr
    assert result.stderr.count("\n") == 1


def test_names_of_layouts(fails, stored):
    files, _ = stored
    command = ("check", "quantize-tensor", *options(files), "--format", "mxfp4")
    assert "nibbles-low-first" in fails(*command, "--packing", "nibles-low-first")
    assert "did you mean '128x4'" in fails(*command, "--scale-layout", "128x5")
    assert "axis" in fails(*command, "--axis", 2)
    files["scales"].unlink()
    assert "no such file" in fails(*command)


# --- products -------------------------------------------------------------------------------------


@pytest.fixture
def rows(save):
    rng = np.random.default_rng(8)
    a, b = (mxref.quantize(rng.integers(-4, 5, (6, 96)).astype(np.float32), "mxfp4") for _ in "ab")
    d = (a.dequantize() * b.dequantize()).sum(axis=1)  # small integers: exact in any order
    return save(codes_a=a.codes, scales_a=a.scales, codes_b=b.codes, scales_b=b.scales, output=d)


def test_dots(invoke, rows, tmp_path):
    command = ("check", "dot", *options(rows), "--format", "mxfp4")
    right = invoke(*command, "--json", "--report", f"junit:{tmp_path / 'r.xml'}")
    assert right.exit_code == 0, right.output
    report = json.loads(right.stdout)
    assert (report["op"], report["verdict"]) == ("dot", "conforms")
    assert "dot mxfp4-mxfp4" in (tmp_path / "r.xml").read_text()
    assert "0 of 6 results differ from the exact sum" in invoke(*command).stdout
    assert invoke(*command, "--accumulate", "ocp-fp32").exit_code == 0
    np.save(rows["output"], np.load(rows["output"]) + np.float32(1))
    assert invoke(*command).exit_code == 1


def test_dots_of_two_formats_and_of_a_part(invoke, rows):
    b = mxref.quantize(np.ones((6, 96), np.float32), "mxfp8_e5m2")
    np.save(rows["codes_b"], b.codes)
    np.save(rows["scales_b"], b.scales)
    a = mxref.dequantize(np.load(rows["codes_a"]), np.load(rows["scales_a"]), "mxfp4")
    np.save(rows["output"], a[:, :40].sum(axis=1))
    command = ("check", "dot", *options(rows), "--format", "mxfp4", "--format-b", "mxfp8_e5m2")
    assert invoke(*command, "--k", 40).exit_code == 0
    assert invoke(*command).exit_code == 1


def test_dots_that_cannot_be_judged(fails, invoke, rows):
    def command(**change):
        return ("check", "dot", *options(rows | change), "--format", "mxfp4")

    swapped = command(codes_a=rows["scales_a"], scales_a=rows["codes_a"])
    assert "codes_a and scales_a exchanged?" in fails(*swapped)
    assert "scales_b have shape" in fails(*command(scales_b=rows["codes_b"]))
    assert "expected scale codes as uint8" in fails(*command(scales_b=rows["output"]))
    assert "holds uint8, expected numbers" in fails(*command(output=rows["codes_a"]))
    assert "no such file" in fails(*command(output=rows["output"].with_name("none.npy")))
    assert "did you mean 'ocp-fp32'" in fails(*command(), "--accumulate", "ocp-fp23")
    assert "did you mean 'mxfp4'" in fails(*command()[:-1], "mxpf4")
    assert "k is 97" in fails(*command(), "--k", 97)
    np.save(rows["output"], np.load(rows["output"]).astype(np.float16))
    assert invoke(*command()).exit_code == 0  # another type of the output
    assert "holds float16, not bfloat16" in fails(*command(), "--output-dtype", "bfloat16")
    for path in rows.values():
        np.save(path, np.load(path)[:0].astype("f4" if path == rows["output"] else "u1"))
    empty = invoke(*command())
    assert empty.exit_code == 2  # nothing was judged
    assert "NOT-TESTABLE" in empty.stdout


def test_matrix_products(invoke, fails, save):
    rng = np.random.default_rng(9)
    x, y = (rng.integers(-4, 5, shape).astype(np.float32) for shape in ((4, 64), (64, 3)))
    a, b = mxref.quantize(x, "mxfp4"), mxref.quantize(y, "mxfp8_e4m3", 0)
    d = a.dequantize() @ b.dequantize()
    files = save(codes_a=a.codes, scales_a=a.scales, codes_b=b.codes, scales_b=b.scales, output=d)
    command = ("check", "matmul", *options(files), "--format", "mxfp4", "--format-b", "mxfp8_e4m3")
    right = invoke(*command)
    assert right.exit_code == 0, right.output
    assert "matmul mxfp4-mxfp8_e4m3" in right.stdout
    assert invoke(*command, "--accumulate", "exact").exit_code == 0
    np.save(files["output"], d.T)
    assert "expected (4, 3): transposed?" in fails(*command)
    np.save(files["output"], -d)
    assert invoke(*command).exit_code == 1
    np.save(files["scales_b"], b.scales.T)
    assert f"scales_b.npy): scales have shape {b.scales.T.shape}" in fails(*command)
