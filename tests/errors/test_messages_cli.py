"""Wrong command lines: exit code 2, nothing on standard output, no traceback, and what to do."""

import shlex
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner

import mxref
from mxref.cli.main import main


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Files to be wrong about: x, c and s belong together, the others to nobody."""
    root = tmp_path_factory.mktemp("files")
    x = np.random.default_rng(3).standard_normal((4, 64)).astype(np.float32)
    q = mxref.quantize(x, "mxfp4")
    for name, array in {
        "x": x,
        "c": q.codes,
        "s": q.scales,
        "integers": x.astype(int),
        "complex": x.astype(complex),
        "objects": np.array([1, "a"], object),
        "none": np.zeros((0, 64), np.float32),
        "odd": x[:, :33],
    }.items():
        np.save(root / f"{name}.npy", array)
    (root / "empty.npy").write_bytes(b"")
    (root / "text.npy").write_text("hello")
    (root / "cut.npy").write_bytes((root / "x.npy").read_bytes()[:300])
    (root / "folder.npy").mkdir()
    np.savez(root / "archive.npz", x=x)
    return root


CHECK = "check quantize --input {x} --codes {c} --scales {s} --format mxfp4"
OF_FILES = {
    "nosuch": ("nosuch.npy", "no such file"),
    "integers": ("int64", "float32, float64"),
    "complex": ("complex128", "float32, float64"),
    "objects": ("Python objects", "refused as unsafe"),
    "empty": ("empty.npy", "truncated"),
    "cut": ("cut.npy", "truncated"),
    "text": ("text.npy", "no .npy file"),
    "folder": ("folder.npy", "Is a directory"),
}

# A command line, and words that its one line must have: what was given, and what to do instead.
LINES = {
    # --- commands and options ---
    "quantise x.npy": ("'quantise'", "did you mean 'quantize'"),
    "confrom ml_dtypes": ("'confrom'", "did you mean 'conform'"),
    "check quantise": ("'quantise'", "did you mean 'quantize' or 'dequantize'"),
    "profiles shw": ("'shw'", "did you mean 'show'"),
    "vectors expor": ("'expor'", "did you mean 'export'"),
    "layouts prob": ("'prob'", "did you mean 'probe'"),
    "check quantize --fromat mxfp4": ("--fromat", "--format"),
    "--foo": ("--foo", "--help"),
    "explain 1.3": ("FORMAT", "--help"),
    "check quantize --input {x} --codes {c} --format mxfp4": ("--scales", "--help"),
    "quantize {x} --format mxfp4": ("--codes and --scales", "--layout and -o"),
    "doctor --budget -1": ("-1", "x>=0"),
    "completion tcsh": ("'tcsh'", "'bash', 'zsh', 'fish'"),
    # --- names ---
    "show e4m4": ("'e4m4'", "did you mean 'e4m3'"),
    "show e4m3 0x1ff": ("0x1ff", "0 to 255"),
    "show e4m3 7g": ("'7g'", "0x.."),
    "show mxfp4 0x7": ("'mxfp4'", "'e2m1'"),
    "explain 1.3 mxfp5": ("'mxfp5'", "did you mean 'mxfp4'"),
    "explain abc mxfp4": ("'abc'", "'1.3'"),
    "explain 1.3 mxfp4 --policy opc": ("'opc'", "did you mean 'ocp'"),
    "explain 1.3 mxfp4 --policy rounding=up": ("'rounding=up'", "'ocp:rounding=up'"),
    "explain 1.3 mxfp4 --input-dtype int8": ("'int8'", "'bfloat16'"),
    "compare {x} --format mxpf4": ("'mxpf4'", "did you mean 'mxfp4'"),
    "compare {x} --rule rceill": ("'rceill'", "did you mean 'rceil'"),
    "compare {x} --axis 7": ("axis 7", "-2 to 1"),
    "compare {x} --plot q.txt": ("q.txt", ".svg, .png, .pdf"),
    "profiles show opc": ("'opc'", "did you mean 'ocp'"),
    "profiles diff ocp te-1d": ("'te-1d'", "compare within a family"),
    "layouts show 128x5": ("'128x5'", "did you mean '128x4'"),
    "layouts probe --format mxfp4 --shape 3 -o p": ("'3'", "such as 301x672"),
    "conform mldtypes": ("'mldtypes'", "did you mean 'ml_dtypes'"),
    "conform py:module": ("py:module", "--format"),
    "conform py:nosuch:f --format mxfp4": ("'nosuch'", "looked in"),
    "conform so:./nosuch.so:f --format mxfp4": ("./nosuch.so", "so:./libmx.so:SYMBOL"),
    "conform cmd:./nosuch --format mxfp4": ("./nosuch", "a path such as ./prog"),
    "conform ml_dtypes --level cor": ("'cor'", "did you mean 'core'"),
    "sweep e9m9": ("'e9m9'", "did you mean 'e8m0'"),
    "sweep e4m3 --executor thread": ("'thread'", "threads[:N]"),
    "sweep e4m3 --part a": ("--part a", "such as 1/8"),
    "vectors list --flag S99": ("'S99'", "Known: S1"),
    "vectors explain zzzz": ("'zzzz'", "12 hexadecimal digits"),
    # --- arguments that do not fit each other ---
    CHECK.replace("{c}", "{s}").replace("--scales {s}", "--scales {c}"): ("(4, 2)", "(4, 64)"),
    CHECK.replace("{c}", "{x}"): ("float32", "codes as uint8, not values"),
    CHECK + " --report foo": ("foo", "html:report.html"),
    CHECK + " --axis 9": ("axis 9", "-2 to 1"),
    "quantize {odd} --format mxfp4 --codes {new} --scales {new2}": ("length 33", "--pad"),
    "quantize {x} --format mxfp4 --codes {c} --scales {s}": ("exists", "--force"),
    "quantize {x} --format mxfp4 --codes {new} --scales {new}": ("named twice", "overwrite"),
    "quantize {x} --format mxfp4 --layout gpt-os -o {new}": ("'gpt-os'", "did you mean 'gpt-oss'"),
    "check checkpoint {x} --source {x}": (".npy array", "safetensors"),
    "compare {archive}": (".npz archive", "np.save"),
    "compare {none}": ("(0, 64)", "at least one element"),
    **{f"compare {{{name}}}": words for name, words in OF_FILES.items()},
    **{CHECK.replace("{x}", f"{{{name}}}"): words for name, words in OF_FILES.items()},
}


@pytest.mark.parametrize("line", LINES)
def test_wrong_command_lines_are_answered(folder, line):
    paths = {path.stem: path for path in folder.iterdir()}
    names = {name: folder / f"{name}.npy" for name in ("nosuch", "new", "new2")}
    before = sorted(folder.rglob("*"))
    result = CliRunner().invoke(main, shlex.split(line.format(**paths, **names)))
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    for word in LINES[line]:
        assert word in result.stderr, result.stderr
    assert "Traceback" not in result.stderr
    assert "internal error" not in result.stderr
    assert sorted(folder.rglob("*")) == before  # nothing half-made is left behind


def run_module(*args):
    """Run `python -m mxref` in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "mxref", *map(str, args)],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


def test_the_module_runs_as_a_program(folder):
    good = run_module("show", "e4m3", "0x7e")
    assert (good.returncode, good.stderr) == (0, "")
    assert "448" in good.stdout
    bad = run_module("show", "e4m4")
    assert (bad.returncode, bad.stdout) == (2, "")
    assert bad.stderr.startswith("mxref: error: unknown format 'e4m4'")
    line = CHECK.format(**{name: folder / f"{name}.npy" for name in "xcs"}).split()
    assert run_module(*line).returncode == 0
    line[line.index("mxfp4")] = "mxint8"  # the codes of another format are wrong ones
    assert run_module(*line).returncode == 1
    assert run_module("--version").stdout == f"mxref {mxref.__version__}\n"
