"""npy and safetensors, read back by numpy and by the package."""

import io
import itertools
import json
import sys

import numpy as np
import pytest

from mxref.vectors import VectorError
from mxref.vectors.export import export_files
from mxref.vectors.model import sha256, vector_file_text


def rows_of_arrays(arrays, grouped):
    arrays = {name: array.tolist() for name, array in arrays.items()}
    for name in [n for n in arrays if n.endswith("_start")]:
        starts = arrays.pop(name)
        flat = arrays[name.removesuffix("_start")]
        assert starts[-1] == len(flat)
        arrays[name.removesuffix("_start")] = [flat[a:b] for a, b in itertools.pairwise(starts)]
    members = {n.removeprefix("out_"): v for n, v in arrays.items() if n.startswith("out_")}
    cases = {n: v for n, v in arrays.items() if not n.startswith("out_")}
    return grouped(
        *(
            [dict(zip(t, row, strict=True)) for row in zip(*t.values(), strict=True)]
            for t in (cases, members)
        )
    )


def test_npy(file, wanted, grouped):
    files = export_files(file, to="npy")
    arrays = {
        name.split(".")[1]: np.load(io.BytesIO(data))
        for name, data in files.items()
        if name.endswith(".npy")
    }
    assert rows_of_arrays(arrays, grouped) == wanted(file)
    assert arrays["id"].dtype == np.dtype("<u8")


def test_a_npy_file_is_as_the_format_wants_it(samples):
    data = export_files(samples["quantize"], to="npy")["quantize_mxfp8_e5m2_ocp.x.npy"]
    assert (len(data) - 3 * 32 * 4) % 64 == 0
    assert data[:8] == b"\x93NUMPY\x01\x00"


def test_safetensors(file, wanted, grouped):
    safetensors = pytest.importorskip("safetensors.numpy", reason="needs the extra `safetensors`")
    files = export_files(file, to="safetensors")
    (data,) = (data for name, data in files.items() if name.endswith(".safetensors"))
    assert rows_of_arrays(safetensors.load(data), grouped) == wanted(file)
    length = int.from_bytes(data[:8], "little")
    metadata = json.loads(data[8 : 8 + length])["__metadata__"]
    description = json.loads(metadata["mxref"])
    assert description["source_sha256"] == sha256(vector_file_text(file).encode())
    assert description["compare"] == list(file.compare)


def test_without_the_package_safetensors_says_what_to_install(monkeypatch, samples):
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    with pytest.raises(VectorError, match=r"pip install 'mxref\[safetensors\]'"):
        export_files(samples["decode"], to="safetensors")
