"""All replays, and the two ways in which they are put before a check."""

from __future__ import annotations

import numpy as np
import replays_blocks
import replays_decoders
import replays_dots
import replays_elements
import replays_overflow
import replays_random
import replays_readers
import replays_scales
import replays_writers
from replayed import TYPES

from mxref import check
from mxref.check.dot import dot
from mxref.check.stochastic import stochastic
from mxref.check.tensor import dequantize_tensor, quantize_tensor

REPLAYS = (
    *replays_scales.REPLAYS,
    *replays_elements.REPLAYS,
    *replays_overflow.REPLAYS,
    *replays_decoders.REPLAYS,
    *replays_blocks.REPLAYS,
    *replays_readers.REPLAYS,
    *replays_writers.REPLAYS,
    *replays_dots.REPLAYS,
    *replays_random.REPLAYS,
)
CASES = [(replay, fmt) for replay in REPLAYS for fmt in replay.formats]


JUDGES = {
    "dequantize": check.dequantize,
    "dequantize_tensor": dequantize_tensor,
    "dot": dot,
    "encode": check.encode,
    "quantize": check.quantize,
    "quantize_tensor": quantize_tensor,
}


def driven(replay, fmt):
    """The report on a kernel that is driven."""
    if replay.op == "stochastic":
        return stochastic(replay.kernel(fmt), fmt)
    return check.kernel(replay.kernel(fmt), fmt, replay.op, replay.policy, **replay.options)


def judged(replay, fmt):
    """The report on what the faulty code makes of given arrays."""
    inputs = replay.given(TYPES[fmt])
    outputs = replay.kernel(fmt)(*inputs)
    if replay.op == "dequantize_tensor":
        arrays = *inputs[:2], outputs
    elif replay.op == "quantize_tensor":
        arrays = *inputs, *outputs
    else:
        arrays = *inputs, outputs
    return JUDGES[replay.op](*arrays, fmt, **replay.options)


def on_random_data(replay, fmt):
    """The report on what becomes of Gaussian numbers, as they lie about in a user's process."""
    rng = np.random.default_rng(11)
    x = rng.standard_normal((512, 32)) * np.exp2(rng.integers(-3, 4, (512, 1)))
    if replay.op == "encode":
        x *= TYPES[fmt].max / 8
    x = x.astype(np.float32)
    outputs = replay.kernel(fmt)(x)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    return JUDGES[replay.op](x, *outputs, fmt, policy=replay.policy)
