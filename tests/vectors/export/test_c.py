"""The C header, read back by a C program."""

import shutil
import subprocess

import pytest

from mxref.vectors.export import export_files
from mxref.vectors.model import sha256, vector_file_text

RAGGED = {
    *("dot", "quantize_tensor", "dequantize_tensor", "matmul"),
    *("nvfp4_quantize_tensor", "nvfp4_dot", "bdr_dot"),
}


def printing(file, name, cases):
    """A C program that prints all that a header holds, one number a line."""

    def number(expression):
        return f'printf("%llu\\n", (unsigned long long)({expression}));'

    def fields(row, names, example):
        for key in names:
            value = example[key]
            if not isinstance(value, list):
                yield number(f"{row}.{key}")
                continue
            fixed = file.operation not in RAGGED or key == "shape"
            length = f"(unsigned)(sizeof {row}.{key} / sizeof {row}.{key}[0])"
            length = length if fixed else f"{row}.{key}_length"
            yield number(length)
            yield f"for (j = 0; j < {length}; j++) {number(f'{row}.{key}[j]')}"

    outs = next(out for case in cases for out in case[3] if out is not None)
    upper = f"MXREF_{name}".upper()
    case, member = f"mxref_{name}_cases[i]", f"mxref_{name}_members[m]"
    lines = [
        f'#include "{name}.h"',
        f'#include "{name}.h"',
        "#include <stdio.h>",
        "int main(void) {",
        "  unsigned i, j = 0, m;",
        f"  puts({upper}_SET_VERSION); puts({upper}_SOURCE_SHA256);",
        *(
            f"  {number(f'{upper}_{rule}')}"
            for rule in ("ANY_NAN", "NAN_SCALE_HIDES_CODES", "ZERO_BLOCK_ANY_SCALE")
        ),
        f"  for (i = 0; i < {upper}_CASES; i++) {{",
        *(f"    {number(f'{case}.{key}')}" for key in ("id", "verdict", "members")),
        *fields(case, cases[0][2], cases[0][2]),
        f"    for (m = {case}.first_member; m < {case}.first_member + {case}.members; m++) {{",
        f"      {number(f'{member}.refused')}",
        f"      if ({member}.refused) continue;",
        *fields(member, outs, outs),
        "    }",
        "  }",
        "  return (int)(j * 0);",
        "}",
    ]
    return "\n".join(lines)


@pytest.mark.parametrize("defines", [[], ["-DMXREF_NO_STDINT"]], ids=["stdint", "no-stdint"])
def test_c(file, defines, tmp_path, wanted, printed):
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler (cc) on this machine")
    files = export_files(file, to="c")
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    (header,) = (name for name in files if name.endswith(".h"))
    source, program = tmp_path / "print.c", tmp_path / "print"
    source.write_text(printing(file, header.removesuffix(".h"), wanted(file)), "ascii")
    flags = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", *defines]
    subprocess.run([compiler, *flags, "-o", program, source], check=True)
    run = subprocess.run([program], capture_output=True, text=True, check=True)
    version, digest, *numbers = run.stdout.split()
    assert (version, digest) == ("1.2.3", sha256(vector_file_text(file).encode()))
    rules = [
        rule in file.compare
        for rule in ("any-nan", "nan-scale-hides-codes", "zero-block-any-scale")
    ]
    assert [int(n) for n in numbers] == [*map(int, rules), *printed(file)]
