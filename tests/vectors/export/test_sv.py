"""The SystemVerilog package and its words, read back by Icarus Verilog and linted by Verilator."""

import os
import shutil
import subprocess

import pytest

from mxref.vectors.export import export_files

pytestmark = pytest.mark.examples  # needs the same tools
RAGGED = {
    *("dot", "quantize_tensor", "dequantize_tensor", "matmul"),
    *("nvfp4_quantize_tensor", "nvfp4_dot", "bdr_dot"),
}


@pytest.fixture(scope="module")
def need():
    def check(tool):
        if shutil.which(tool) is None:
            if os.environ.get("CI") == "true":
                pytest.fail(f"not on this machine: {tool}")
            pytest.skip(f"not on this machine: {tool}")

    return check


NAMES = {"type": "input_type", "global": "global_scale"}
WIDE = {"shape", "axis", "k", "x", "value", "values", "random"}


def packed_width(key):
    """Bits of one number of a list."""
    return 32 if key in WIDE else 8


def dump(file, package, cases):
    """A testbench that prints all that the files hold, one number a line."""

    def fields(row, names, example, prefix):
        for key in names:
            name = NAMES.get(key, key)
            value, width = example[key], packed_width(key)
            upper = f"{prefix}{key}".upper()
            if not isinstance(value, list):
                yield f'$display("%0d", {row}.{name});'
            elif file.operation in RAGGED and key != "shape":
                yield f'$display("%0d", {row}.{name}_length);'
                yield f"for (j = 0; j < {row}.{name}_length; j = j + 1)"
                yield f'  $display("%0d", {prefix}{key}_words[{row}.{name}_start + j]);'
                pools.append((f"{prefix}{key}_words", upper))
            else:
                yield f'$display("{len(value)}");'
                yield f"wide = {row}.{name};"
                yield f"for (j = 0; j < {len(value)}; j = j + 1)"
                yield f'  $display("%0d", wide[{width}*j +: {width}]);'

    pools = []
    outs = next(out for case in cases for out in case[3] if out is not None)
    inputs = list(fields("asked", cases[0][2], cases[0][2], ""))
    outputs = list(fields("want", outs, outs, "out_"))
    memories = [
        f"reg [{upper}_BITS-1:0] {name} [0:{upper}_WORDS-1];"
        f" initial $readmemh({upper}_FILE, {name});"
        for name, upper in pools
    ]
    return "\n".join(
        [
            "module dump;",
            f"import {package}::*;",
            "reg [CASE_BITS-1:0] cases [0:CASES-1];",
            "reg [MEMBER_BITS-1:0] members [0:MEMBERS-1];",
            *memories,
            "case_t asked; member_t want; integer i, j, m; reg [1023:0] wide;",
            "initial begin",
            "$readmemh(CASES_FILE, cases); $readmemh(MEMBERS_FILE, members); #1;",
            "for (i = 0; i < CASES; i = i + 1) begin",
            "asked = cases[i];",
            *(f'$display("%0d", asked.{name});' for name in ("id", "verdict", "members")),
            *inputs,
            "for (m = 0; m < asked.members; m = m + 1) begin",
            "want = members[asked.first_member + m];",
            '$display("%0d", want.refused);',
            "if (want.refused == 0) begin",
            *outputs,
            "end end end end",
            "endmodule",
        ]
    )


def written(file, folder):
    """The exported files; returns the name of the package."""
    files = export_files(file, to="sv")
    for name, data in files.items():
        (folder / name).write_bytes(data)
    (package,) = (name for name in files if name.endswith(".sv"))
    return package.removesuffix(".sv")


def simulated(folder, *sources):
    """Compile without a warning and run; returns what was printed."""
    command = ["iverilog", "-g2012", "-Wall", "-Wno-timescale", "-o", "sim", *sources]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    done = subprocess.run(
        ["vvp", "-n", "sim"], cwd=folder, capture_output=True, text=True, check=True
    )
    assert "WARNING" not in done.stdout
    return done.stdout.splitlines()


def test_icarus_reads_back_every_number(need, file, tmp_path, wanted, printed):
    need("iverilog")
    package = written(file, tmp_path)
    (tmp_path / "dump.sv").write_text(dump(file, package, wanted(file)), "ascii")
    lines = simulated(tmp_path, f"{package}.sv", "dump.sv")
    assert [int(line) for line in lines] == list(printed(file))


def test_verilator_lints_the_package(need, file, tmp_path):
    need("verilator")
    package = written(file, tmp_path)
    command = ["verilator", "--lint-only", "-Wall", f"{package}.sv"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


# Blocks of the sample: 0 numbers, two members; 1 zeros (negative, bfloat16); 2 infinities, whose
# members are the NaN scale and a refusal. E5M2 has the NaN codes 7d, 7e, 7f and their negatives.
SAME = """
module check;
  import mxref_quantize_mxfp8_e5m2_ocp_pkg::*;
  reg [CASE_BITS-1:0] cases [0:CASES-1];
  reg [MEMBER_BITS-1:0] members [0:MEMBERS-1];
  case_t asked; member_t got, want;
  task show(input [8*24:1] what);
    $display("%0s %b", what, same(asked, got, want));
  endtask
  task take(input integer i, input integer m);
    begin asked = cases[i]; want = members[m]; got = want; end
  endtask
  initial begin
    $readmemh(CASES_FILE, cases); $readmemh(MEMBERS_FILE, members);
    take(0, 0); show("equal");
    got.codes = want.codes ^ 256'h1; show("code_0");
    got.codes = want.codes ^ {8'h1, 248'h0}; show("code_31");
    got.codes[0] = 1'bx; show("unknown_code");
    got = want; got.scale = want.scale + 8'h1; show("scale");
    got = want; got.scale = 8'hxx; show("unknown_scale");
    got = want; got.refused = 8'h1; show("refused");
    got = want; want.codes = {want.codes >> 8, 8'h7d}; got.codes = {got.codes >> 8, 8'hff};
    show("other_nan");
    got.codes = {got.codes >> 8, 8'h7c}; show("infinity_for_nan");
    take(1, 2); got.scale = 8'h85; show("zero_block_scale");
    got.scale = 8'hff; show("zero_block_nan_scale");
    got = want; got.scale = 8'h85; got.codes = 256'h0; show("zero_block_codes");
    got = want; got.scale = 8'hxx; show("zero_block_unknown");
    take(2, 3); got.codes = ~want.codes; show("hidden_codes");
    got.scale = 8'hfe; show("scale_for_nan");
    take(2, 4); show("both_refuse");
    got.refused = 8'h0; show("must_refuse");
  end
endmodule
"""
PASSES = {"equal", "other_nan", "zero_block_scale", "hidden_codes", "both_refuse"}


def test_same_follows_the_rules_of_comparison(need, samples, tmp_path):
    need("iverilog")
    package = written(samples["quantize"], tmp_path)
    (tmp_path / "check.sv").write_text(SAME, "ascii")
    lines = [line.split() for line in simulated(tmp_path, f"{package}.sv", "check.sv")]
    assert len(lines) == 17
    assert {name for name, result in lines if result == "1"} == PASSES
    assert {result for _, result in lines} == {"0", "1"}
