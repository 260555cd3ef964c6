"""The .hex twins, read as spec_vectors/README.md tells readers without JSON to read them."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from mxref.vectors.hexfile import hex_text

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


def test_the_twins_hold_the_same_cases(files):
    inputs = {"encode": 1, "decode": 1, "quantize": 32}
    outputs = {"encode": 1, "decode": 1, "quantize": 33}
    types = {"float32": 0xF32, "bfloat16": 0xBF16, "float16": 0xF16}
    verdicts = {"must": 0, "one_of": 1, "open": 2}
    for file in files.values():
        words = parse(hex_text(file))
        for case in file.cases:
            assert f"{next(words):012x}" == case.id
            assert next(words) == verdicts[case.verdict]
            members = [m.out for m in case.members if m.out is not None]
            assert next(words) == len(members)
            if case.inputs.type is not None:
                assert next(words) == types[case.inputs.type]
            given = tuple(next(words) for _ in range(inputs[file.operation]))
            assert given == case.inputs.bits
            for out in members:
                found = [next(words) for _ in range(outputs[file.operation])]
                assert found == ([] if out.scale is None else [out.scale]) + list(out.bits)
        assert next(words, None) is None


def test_lines_are_short_lower_case_and_plain(files):
    for file in files.values():
        text = hex_text(file)
        assert text.endswith("\n")
        for line in text.splitlines():
            assert len(line) < 4096
            assert line.startswith("// ") or re.fullmatch(r"[0-9a-f]+( [0-9a-f]+)*", line)


def test_the_readme_names_what_the_files_hold(committed):
    readme = (committed / "README.md").read_text(encoding="utf-8")
    example = re.search(r'^\{"id".*\}$', readme, re.MULTILINE)[0]
    assert example in (committed / "encode" / "e4m3.ocp.json").read_text(encoding="ascii")
    for name in ("any-nan", "nan-scale-hides-codes", "zero-block-any-scale"):
        assert f"`{name}`" in readme
