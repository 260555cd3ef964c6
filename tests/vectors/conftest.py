import importlib
import shutil
from pathlib import Path

import pytest

# Not `import ... as`: the package also has a function of that name.
generator = importlib.import_module("mxref.vectors.generate")

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def committed():
    return ROOT / "spec_vectors"


@pytest.fixture(scope="session")
def files():
    """Every vector file, built once, by (operation, format)."""
    return {(job.operation, job.format.name): generator.build(job) for job in generator.jobs()}


SMALL = {("encode", "e2m1"), ("decode", "e4m3"), ("decode", "e5m2"), ("quantize", "mxfp8_e4m3")}


@pytest.fixture
def few_jobs(monkeypatch):
    small = tuple(j for j in generator.jobs() if (j.operation, j.format.name) in SMALL)
    monkeypatch.setattr(generator, "jobs", lambda: small)


@pytest.fixture(scope="session")
def pristine(tmp_path_factory):
    """A set of two files, which tests may copy and must not change."""
    root = tmp_path_factory.mktemp("pristine")
    small = [
        j for j in generator.jobs() if j.operation == "decode" and j.format.name in {"e4m3", "e5m2"}
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(generator, "jobs", lambda: tuple(small))
        generator.generate(root)
    return root


@pytest.fixture
def small_set(pristine, tmp_path):
    return Path(shutil.copytree(pristine, tmp_path / "set"))
