"""docs/examples/rust-decode and javascript-decode: all formats pass, damage does not."""

import hashlib
import re
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.examples
ROOT = Path(__file__).resolve().parents[2]
VECTORS = ROOT / "spec_vectors"
FORMATS = {"e2m1": 16, "e2m3": 64, "e3m2": 64, "e4m3": 256, "e5m2": 256, "int8": 256, "e8m0": 256}


@pytest.fixture(scope="module")
def rust(need, make, tmp_path_factory):
    need("make", "rustc")
    folder = tmp_path_factory.mktemp("rust-decode")
    return lambda root: make("rust-decode", "check", folder, VECTORS=root)


@pytest.fixture(scope="module")
def javascript(need):
    need("node")
    program = ROOT / "docs" / "examples" / "javascript-decode" / "decode.mjs"
    return lambda root: subprocess.run(
        ["node", program, root], capture_output=True, text=True, check=False
    )


both = pytest.mark.parametrize("language", ["rust", "javascript"])


@both
def test_every_code_of_every_format_passes(request, language):
    done = request.getfixturevalue(language)(VECTORS)
    assert done.returncode == 0, done.stdout + done.stderr
    found = re.findall(r"^(\w+): (\d+) cases, 0 failed$", done.stdout, re.MULTILINE)
    assert {name: int(count) for name, count in found} == FORMATS


def test_rust_fails_a_wrong_bit_with_its_id(rust, edited):
    text = (VECTORS / "decode" / "e4m3.ocp.hex").read_text("ascii")
    line = next(ln for ln in text.splitlines() if " 7e " in ln)
    done = rust(edited("decode/e4m3.ocp.hex", line, line[:-8] + "43e00001"))
    assert done.returncode != 0
    assert f"{line[:12]}: e4m3 7e gives 43e00000" in done.stdout


def test_rust_refuses_a_truncated_file(rust, edited):
    text = (VECTORS / "decode" / "e2m3.ocp.hex").read_text("ascii")
    done = rust(edited("decode/e2m3.ocp.hex", text.splitlines(keepends=True)[-1], ""))
    assert done.returncode != 0
    assert "truncated" in done.stderr


def test_rust_needs_the_rule_any_nan(rust, edited):
    """The rule is read, not assumed: without it another NaN is another output."""
    text = (VECTORS / "decode" / "e4m3.ocp.hex").read_text("ascii")
    nan = next(ln for ln in text.splitlines() if " 7f " in ln)
    other = edited("decode/e4m3.ocp.hex", nan, nan[:-8] + "7fffffff")
    assert rust(other).returncode == 0
    path = other / "decode" / "e4m3.ocp.hex"
    path.write_text(path.read_text("ascii").replace("compare: any-nan", "compare: bits"), "ascii")
    done = rust(other)
    assert done.returncode != 0
    assert f"{nan[:12]}: e4m3 7f" in done.stdout


def test_javascript_refuses_a_changed_file(javascript, edited):
    done = javascript(edited("decode/e4m3.ocp.json", '"value":"43e00000"', '"value":"43e00001"'))
    assert done.returncode == 2
    assert "decode/e4m3.ocp.json: the file was changed" in done.stderr


def test_javascript_fails_a_wrong_bit_with_its_id(javascript, edited):
    path = "decode/e4m3.ocp.json"
    before = (VECTORS / path).read_bytes()
    root = edited(path, '"value":"43e00000"', '"value":"43e00001"')
    manifest = root / "manifest.json"
    old, new = (hashlib.sha256(data).hexdigest() for data in (before, (root / path).read_bytes()))
    manifest.write_text(manifest.read_text("ascii").replace(old, new), "ascii")
    done = javascript(root)
    assert done.returncode == 1
    assert re.search(r"^[0-9a-f]{12}: e4m3 7e gives 43e00000, not", done.stdout, re.MULTILINE)
