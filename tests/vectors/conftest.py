import importlib
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from mxref.vectors import load, load_manifest
from mxref.vectors.hexfile import hex_text
from mxref.vectors.model import FileEntry, Manifest, manifest_text, sha256, vector_file_text
from mxref.vectors.plan import jobs

# Not `import ... as`: the package also has a function of that name.
generator = importlib.import_module("mxref.vectors.generate")

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def committed():
    return ROOT / "spec_vectors"


@pytest.fixture(scope="session")
def every_file(committed):
    """Every vector file of the committed set, by path; `make test` proves it regenerates."""
    listed = load_manifest(committed / "manifest.json").files
    return {p: load(committed / p) for p, e in listed.items() if e.cases and p.endswith(".json")}


@pytest.fixture(scope="session")
def files(every_file):
    """Those of the policy ocp, by (operation, format)."""
    ours = [file for file in every_file.values() if file.policy.name == "ocp"]
    return {(file.operation, file.format): file for file in ours}


def chosen(*paths):
    found = tuple(job for job in jobs() if job.path in paths)
    assert len(found) == len(paths)
    return found


SMALL = (
    "encode/e2m1.ocp.json",
    "decode/e4m3.ocp.json",
    "decode/e5m2.ocp.json",
    "quantize/mxfp8_e4m3.ocp.json",
)
DECODE = ("decode/e4m3.ocp.json", "decode/e5m2.ocp.json")


@pytest.fixture
def few_jobs(monkeypatch):
    monkeypatch.setattr(generator, "jobs", lambda: chosen(*SMALL))


@pytest.fixture
def decode_jobs(monkeypatch):
    monkeypatch.setattr(generator, "jobs", lambda: chosen(*DECODE))


@pytest.fixture(scope="session")
def pristine(tmp_path_factory):
    """A set of two files, which tests may copy and must not change."""
    root = tmp_path_factory.mktemp("pristine")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(generator, "jobs", lambda: chosen(*DECODE))
        generator.generate(root)
    return root


@pytest.fixture
def small_set(pristine, tmp_path):
    return Path(shutil.copytree(pristine, tmp_path / "set"))


# --- for the tests of the vector tool --------------------------------------------------------


@pytest.fixture
def write_set():
    """Write vector files as a set of their own, with twins and a manifest."""

    def write(root, *files, version="1.0.0"):
        entries = {}
        for file in files:
            texts = {file.path: vector_file_text(file), file.hex_path: hex_text(file)}
            for path, text in texts.items():
                target = root / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(text, encoding="ascii", newline="\n")
                data = text.encode()
                entries[path] = FileEntry(sha256(data), len(data), len(file.cases))
        manifest = manifest_text(Manifest(version, "0", entries))
        (root / "manifest.json").write_text(manifest, encoding="ascii", newline="\n")
        (root / "VERSION").write_text(version + "\n", encoding="ascii")
        return root

    return write


@pytest.fixture
def one_file(committed):
    """A published file of a few cases, as though it were of set version 1.0.0."""

    def read(name="decode/e2m1.ocp.json"):
        return replace(load(committed / name), set_version="1.0.0")

    return read
