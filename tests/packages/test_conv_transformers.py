"""Layouts gpt-oss and deepseek: the readers in transformers give our values."""

import numpy as np
import pytest
from _compare import peers
from _conventions import random_fields, values

from mxref.layouts.conventions import pack

pytestmark = peers("torch", "transformers")


@pytest.mark.parametrize("shape", [(3, 6, 64), (1, 130, 320)])
def test_gpt_oss_is_read(shape):
    import torch
    from transformers.integrations.mxfp4 import convert_moe_packed_tensors

    fields = random_fields("mxfp4", shape)
    parts = pack(fields, "gpt-oss", "mxfp4")
    blocks, scales = (torch.from_numpy(parts[role]) for role in ("codes", "scales"))
    # bfloat16 holds an FP4 value times a power of two; experts come back transposed
    theirs = convert_moe_packed_tensors(blocks, scales).double().numpy()
    np.testing.assert_array_equal(theirs, values(fields, "mxfp4").swapaxes(-1, -2))


@pytest.mark.parametrize("kind", ["mxfp4", "mxfp8_e4m3"])
@pytest.mark.parametrize("typed", [False, True])
def test_deepseek_is_read(kind, typed):
    import torch
    from transformers.integrations.finegrained_fp8 import Fp8Dequantize

    fields = random_fields(kind, (64, 320))
    parts = pack(fields, "deepseek", kind)
    codes, scales = (torch.from_numpy(parts[role].copy()) for role in ("codes", "scales"))
    codes = codes.view(torch.int8 if kind == "mxfp4" else torch.float8_e4m3fn)
    if typed:
        scales = scales.view(torch.float8_e8m0fnu)
    made = Fp8Dequantize(None).convert({"weight": codes, "weight_scale_inv": scales})
    np.testing.assert_array_equal(made["weight"].double().numpy(), values(fields, kind))
