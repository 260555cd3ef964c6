"""The .hex twins, read as spec_vectors/INTERPRETING.md tells readers without JSON to read them."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from mxref.vectors.hexfile import hex_text
from mxref.vectors.model import COMPARE_RULES, Verdict
from mxref.vectors.operations import OPERATIONS, PACKINGS, SCALE_LAYOUTS

SOURCE = Path(__file__).with_name("read_decode.c")


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler (cc) on this machine")
    program = tmp_path_factory.mktemp("c") / "read_decode"
    flags = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic"]
    subprocess.run([compiler, *flags, "-o", program, SOURCE], check=True)
    return program


def run(reader, *arguments):
    done = subprocess.run([reader, *arguments], capture_output=True, text=True, check=True)
    return [int(number) for number in done.stdout.split()], done.stderr


def test_a_c_program_reads_a_decode_file(reader, committed):
    path = committed / "decode" / "e4m3.ocp.hex"
    (cases, words, failures), _ = run(reader, path)
    said = re.search(r"// (\d+) cases, (\d+) words", path.read_text(encoding="ascii"))
    assert (cases, words) == tuple(int(n) for n in said.groups())
    assert (cases, failures) == (256, 0)


def test_the_c_program_notices_a_wrong_bias(reader, committed):
    (cases, _, failures), names = run(reader, committed / "decode" / "e4m3.ocp.hex", "broken")
    # All but the two zeros and the two NaNs are wrong.
    assert (cases, failures) == (256, 252)
    assert re.match(r"[0-9a-f]{12}: code 01\n", names)


def parse(text):
    """A second reader, token by token, as a test bench with $readmemh would go."""
    words = [w for ln in text.splitlines() if not ln.startswith("//") for w in ln.split(" ")]
    return iter([int(word, 16) for word in words])


TYPES = {"float32": 0xF32, "bfloat16": 0xBF16, "float16": 0xF16}
VERDICTS = {"must": 0, "one_of": 1, "open": 2}


def verdict_token(case):
    if case.verdict != "one_of" or all(member.out is not None for member in case.members):
        return VERDICTS[case.verdict]
    return 4 if case.members[0].out is None else 3


def check_inputs(operation, inputs, words):
    """Tokens of the inputs against the case, in the order of INTERPRETING.md, section 5."""

    def take(count):
        return tuple(next(words) for _ in range(count))

    match operation:
        case "encode":
            assert take(1) == (TYPES[inputs.type],)
            assert take(1 + bool(inputs.random)) == inputs.bits + inputs.random
        case "decode":
            assert take(1) == inputs.bits
        case "quantize":
            assert take(33) == (TYPES[inputs.type], *inputs.bits)
        case "dequantize":
            assert take(33) == (*inputs.scales, *inputs.bits)
        case "dot":
            assert take(1) == inputs.shape
            for operand in (inputs, inputs.other):
                (blocks,) = take(1)
                assert take(blocks) == operand.scales
                assert take(32 * blocks) == operand.bits
        case "matmul":
            m, n, k = take(3)
            assert (m, n, k) == inputs.shape
            for operand, lines in ((inputs, m), (inputs.other, n)):
                (blocks,) = take(1)
                assert blocks == lines * ((k + 31) // 32)
                assert take(blocks) == operand.scales
                assert take(lines * k) == operand.bits
        case "quantize_tensor":
            rows, columns, axis, source = take(4)
            assert ((rows, columns), axis, source) == (
                inputs.shape,
                inputs.axis,
                TYPES[inputs.type],
            )
            assert take(rows * columns) == inputs.bits
        case "dequantize_tensor":
            rows, columns, axis, packing, layout, elements, scales = take(7)
            assert ((rows, columns), axis) == (inputs.shape, inputs.axis)
            names = (("bytes", "nibbles-low-first")[packing], ("row-major", "128x4")[layout])
            assert names == inputs.layout
            assert take(elements) == inputs.bits
            assert take(scales) == inputs.scales
        case _:
            check_relatives(operation, inputs, take)


def check_relatives(operation, inputs, take):
    """The same for NVFP4 and BDR."""
    match operation:
        case "nvfp4_scale_encode" | "bdr_quantize" | "scaled_quantize":
            count = {"nvfp4_scale_encode": 1, "bdr_quantize": 16, "scaled_quantize": 32}[operation]
            assert take(1 + count) == (TYPES[inputs.type], *inputs.bits)
        case "nvfp4_scale_decode":
            assert take(1) == inputs.bits
        case "nvfp4_quantize":
            assert take(18) == (TYPES[inputs.type], inputs.amax, *inputs.bits)
        case "nvfp4_dequantize":
            assert take(18) == (inputs.global_scale, *inputs.scales, *inputs.bits)
        case "nvfp4_quantize_tensor":
            rows, columns, axis, source = take(4)
            assert ((rows, columns), axis) == (inputs.shape, inputs.axis)
            assert source == TYPES[inputs.type]
            assert take(rows * columns) == inputs.bits
        case "nvfp4_dot":
            assert take(1) == inputs.shape
            for operand in (inputs, inputs.other):
                blocks, whole = take(2)
                assert whole == operand.global_scale
                assert take(blocks) == operand.scales
                assert take(16 * blocks) == operand.bits
        case "bdr_dequantize" | "scaled_dequantize":
            wanted = (*inputs.scales, *inputs.subscales, *inputs.bits)
            assert take(len(wanted)) == wanted
            assert len(inputs.bits) == (16 if operation[0] == "b" else 32)
        case "bdr_dot":
            assert take(1) == inputs.shape
            for operand in (inputs, inputs.other):
                (blocks,) = take(1)
                assert blocks == len(operand.scales)
                wanted = (*operand.scales, *operand.subscales, *operand.bits)
                assert take(len(wanted)) == wanted
        case _:
            raise AssertionError(operation)


def test_the_twins_hold_the_same_cases(every_file):
    for file in every_file.values():
        words = parse(hex_text(file))
        for case in file.cases:
            assert f"{next(words):012x}" == case.id
            members = [m.out for m in case.members if m.out is not None]
            assert next(words) == verdict_token(case)
            assert next(words) == len(members)
            check_inputs(file.operation, case.inputs, words)
            for out in members:
                first = [n for n in (out.global_scale, out.scale) if n is not None]
                wanted = [*first, *out.scales, *out.subscales, *out.bits]
                assert [next(words) for _ in wanted] == wanted
        assert next(words, None) is None


def test_lines_are_lower_case_plain_and_no_longer_than_announced(every_file):
    for file in every_file.values():
        text = hex_text(file)
        assert text.endswith("\n")
        longest = int(re.search(r"^// longest line: (\d+) characters$", text, re.MULTILINE)[1])
        assert longest == max(len(line) for line in text.splitlines() if line[0] != "/")
        for line in text.splitlines():
            assert line.startswith("// ") or re.fullmatch(r"[0-9a-f]+( [0-9a-f]+)*", line)


def test_the_readme_names_what_the_files_hold(committed):
    readme = (committed / "README.md").read_text(encoding="utf-8")
    example = re.search(r'^\{"id".*\}$', readme, re.MULTILINE)[0]
    assert example in (committed / "encode" / "e4m3.ocp.json").read_text(encoding="ascii")
    contract = (committed / "INTERPRETING.md").read_text(encoding="utf-8")
    for name in (*COMPARE_RULES, *PACKINGS, *SCALE_LAYOUTS, *OPERATIONS, *Verdict):
        assert f"`{name}`" in contract


def test_the_runner_in_the_contract_runs(committed, tmp_path):
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler (cc) on this machine")
    contract = (committed / "INTERPRETING.md").read_text(encoding="utf-8")
    (runner,) = re.findall(r"```c\n(.*?)```", contract, re.DOTALL)
    # An encoder that is right for 1.0 and wrong for most of the rest.
    (tmp_path / "runner.c").write_text(runner + "uint8_t encode(uint32_t x){return 2+0*x;}\n")
    flags = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic"]
    program = tmp_path / "runner"
    subprocess.run([compiler, *flags, "-o", program, tmp_path / "runner.c"], check=True)
    done = subprocess.run(
        [program, committed / "encode" / "e2m1.ocp.hex"],
        capture_output=True,
        text=True,
        check=False,
    )
    passed, failed = map(int, re.search(r"(\d+) passed, (\d+) failed", done.stdout).groups())
    assert done.returncode == 1
    assert passed >= 1
    cases = (committed / "encode" / "e2m1.ocp.hex").read_text(encoding="ascii")
    assert passed + failed == cases.count(" f32 ")
