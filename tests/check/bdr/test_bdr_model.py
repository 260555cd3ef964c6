"""The model on which the faults rest is the definition, written a second time."""

import numpy as np
import pytest

from mxref.exact import bdr as exact
from mxref.exact import ieee
from mxref.faults.bdr_scaled import model_of
from mxref.relatives.bdr_formats import bdr_format
from mxref.relatives.bdr_policy import BDRPolicy

NAMES = (
    "mx9", "mx6", "mx4", "msfp16", "msfp12", "bfp16", "bdr:m=5,k1=8,k2=4,d2=2", "mx6:d1=5",
    "vsq4:k1=32", "vsq8:k1=32", "scaled_int8:k1=16", "scaled_int4:k1=16",
    "scaled_fp8_e4m3:k1=16", "scaled_fp8_e5m2:k1=16",
)  # fmt: skip
CHOICES = {
    field: [str(m) for m in type(getattr(BDRPolicy(), field)) if not str(m).startswith("stoch")]
    for field in BDRPolicy().as_dict()
}


def blocks(rng, k):
    normal = rng.standard_normal(k).astype(np.float32)
    yield normal
    yield (rng.integers(-1023, 1024, k) * 2.0 ** rng.integers(-6, 3)).astype(np.float32)
    yield (normal * 2.0 ** rng.choice([-148, -140, -126, 120])).astype(np.float32)
    special = normal.copy()
    special[rng.random(k) < 0.5] = -0.0
    special[rng.integers(k)] = rng.choice([np.nan, np.inf, -np.inf])
    yield special
    edges = rng.choice([1, 1.5, 255 / 128, 511 / 256, 31 / 16, 1023 / 512], k)
    yield np.ldexp(edges * rng.choice([-1, 1], k), rng.integers(-3, 1, k)).astype(np.float32)


@pytest.mark.parametrize("name", NAMES)
def test_the_model_is_the_definition(name):
    rng = np.random.default_rng(len(name))
    fmt = bdr_format(name)
    for _ in range(6):
        changes = {f: str(rng.choice(c)) for f, c in CHOICES.items() if rng.random() < 0.3}
        policy = BDRPolicy().replace(**changes)
        for x in blocks(rng, fmt.k1):
            numbers = [ieee.from_bits(int(v.view(np.uint32)), "float32") for v in x]
            due = exact.quantize(numbers, fmt, policy)
            scales, subscales, codes = model_of(fmt)(fmt, policy).quantize(x[None])
            word = int(scales.view(np.uint32 if scales.dtype == np.float32 else np.uint8)[0])
            second = () if subscales is None else tuple(map(int, subscales[0]))
            assert (word, second, tuple(map(int, codes[0]))) == due, (policy, x)
