"""Every profile is complete, has its sources, and gives what was seen of the thing it describes."""

import re
from collections import Counter

import numpy as np
import pytest

import mxref
from mxref.formats import BLOCK_FORMATS
from mxref.policy import OPEN_POINT_OF, get_policy
from mxref.profiles import OPERATIONS, PROFILES, Profile, _packages, _standards, _vendors
from mxref.profiles._profile import profile as make_profile

TABLES = (_standards, _vendors, _packages)
URL = re.compile(r"https://[\w.-]+/\S+( .+)?")


@pytest.fixture(params=PROFILES.values(), ids=str)
def profile(request) -> Profile:
    return request.param


def test_names_are_unique_and_ocp_comes_first():
    names = Counter(p.name for table in TABLES for p in table.PROFILES)
    assert max(names.values()) == 1
    assert set(names) == set(PROFILES)
    assert next(iter(PROFILES)) == "ocp"


def test_those_that_the_issue_asks_for_are_there():
    wanted = (
        "ocp tosa-1.1 cuda te-mxfp8 torchao-floor torchao-ceil torchao-even torchao-rceil "
        "microxcaling amd-quark-even hip-host triton-kernels onnx ml_dtypes mlx gguf-mxfp4 "
        "riscv-zvfofp trainium p3109"
    )
    assert set(wanted.split()) <= set(PROFILES)


def test_each_field_that_differs_has_a_source(profile):
    changes = profile.policy.diff(PROFILES["ocp"].policy)
    assert set(profile.sources) == set(changes) <= set(OPEN_POINT_OF)
    for field, source in profile.sources.items():
        assert URL.fullmatch(source), (field, source)


def test_the_rest_is_there_too(profile):
    assert re.fullmatch(r"[a-z0-9][a-z0-9_.-]*", profile.name)
    assert profile.title
    assert "\n" not in profile.title
    assert profile.versions
    assert set(profile.operations) <= set(OPERATIONS)
    assert profile.operations == tuple(o for o in OPERATIONS if o in profile.operations)
    assert profile.formats
    assert profile.formats == tuple(f for f in BLOCK_FORMATS if f in profile.formats)
    assert all(len(sentence) > 20 for sentence in profile.divergences)


def test_it_can_be_asked_for_by_name(profile):
    assert get_policy(profile.name) == profile.policy
    assert get_policy(profile.name.upper()) == profile.policy


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"rounding": ("up", "a book")}, "URL"),
        ({"rounding": ("nearest-even", "https://a.b/c")}, "as in ocp"),
        ({"rounding": ("upward", "https://a.b/c")}, "upward"),
        ({"roundig": ("up", "https://a.b/c")}, "rounding"),
    ],
)
def test_a_profile_without_its_facts_is_refused(changes, said):
    with pytest.raises(ValueError, match=said):
        make_profile("p", "title", changes, versions="1")


# Scale codes as they were seen. Of the largest magnitudes at the head, half is the second number
# (1 beside Inf and NaN); "-" is the float32 next below. None: not among what was seen.
FP4 = "4 5 6 6.5 7 8- 0 2^-126 2^-149 max inf nan"
FP8 = "256 384 448 464 480 496 512- 0 2^-119 2^-126 max inf nan"
SEEN = {
    # TOSA 1.1 by its pseudocode; the others by running them or their arithmetic.
    ("tosa-1.1", "mxfp4"): "127 127 127 127 128 128 0 0 0 253 255 255",
    ("tosa-1.1", "mxfp8_e4m3"): "127 127 127 127 128 128 128 0 0 0 247 255 255",
    ("microxcaling", "mxfp4"): "127 127 127 127 127 128 0 0 0 253 255 255",
    ("microxcaling", "mxfp8_e4m3"): "127 127 127 127 127 127 128 0 0 0 247 255 255",
    ("te-mxfp8", "mxfp8_e4m3"): "127 127 127 128 128 128 128 0 0 0 247 254 119",
    ("triton-kernels", "mxfp4"): "127 127 127 128 128 128 0 1 0 253 255 0",
    ("triton-kernels", "mxfp8_e4m3"): "127 127 127 128 128 128 128 0 1 1 247 255 0",
    ("triton-kernels-down", "mxfp4"): "127 127 127 127 127 127 0 0 0 252 255 255",
    # FLT_MAX gives 254 there, the divergence of amd-quark-even.
    ("amd-quark-even", "mxfp4"): "127 127 127 127 128 128 0 0 0 - 254 255",
    ("amd-quark-even", "mxfp8_e4m3"): "127 127 127 127 127 128 128 0 0 0 - 254 255",
}


def bits(word):
    """Bits of the float32 number that a word of the heads stands for."""
    if word == "max":
        return 0x7F7F_FFFF
    number = 2.0 ** int(word[2:]) if word.startswith("2^") else float(word.rstrip("-"))
    return int(np.float32(number).view(np.uint32)) - word.endswith("-")


@pytest.mark.parametrize(("name", "fmt"), SEEN)
def test_scale_codes_that_were_seen(name, fmt):
    heads = (FP4 if fmt == "mxfp4" else FP8).split()
    amax = np.array([bits(word) for word in heads], np.uint32).view(np.float32)
    blocks = np.zeros((len(heads), 32), np.float32)
    blocks[:, 0] = amax
    blocks[:, 1] = np.where(np.isfinite(amax), amax / 2, 1)
    expected = SEEN[name, fmt].split()
    got = [str(code) for code in mxref.quantize(blocks, fmt, policy=name).scales[:, 0]]
    assert [g if e != "-" else e for g, e in zip(got, expected, strict=True)] == expected


# Casts as the host headers of CUDA 13.5.37 gave them, compiled with g++.
CUDA_BITS = "80000000 7fc00000 ffc00000 7f800000 ff800000 43e80000 43e80001 476fffff bdcccccd"
CUDA = {
    "e4m3": "80 7f 7f 7e fe 7e 7e 7e 9d",
    "e5m2": "80 7f 7f 7b fb 5f 5f 7b ae",
    "e2m3": "20 1f 1f 1f 3f 1f 1f 1f 21",
    "e3m2": "20 1f 1f 1f 3f 1f 1f 1f 22",
    "e2m1": "08 07 07 07 0f 07 07 07 08",
}
CUDA_SCALES = {
    "00000000": 0,
    "bf800000": 127,
    "3fc00000": 128,
    "00400000": 0,
    "00400001": 1,
    "007fffff": 1,
    "7f7fffff": 254,
    "ff800000": 254,
    "7fc00000": 255,
}


def from_hex(words):
    return np.array([int(word, 16) for word in words], np.uint32).view(np.float32)


@pytest.mark.parametrize("element", CUDA)
def test_casts_of_the_cuda_headers(element):
    codes = mxref.encode(from_hex(CUDA_BITS.split()), element, "cuda")
    assert " ".join(f"{code:02x}" for code in codes) == CUDA[element]


def test_scale_casts_of_the_cuda_headers():
    codes = mxref.encode(from_hex(CUDA_SCALES), "e8m0", "cuda")
    assert codes.tolist() == list(CUDA_SCALES.values())


def test_p3109_ignores_the_element_format():
    """Section 5.2.3: amax itself is projected, a tie to the even code, infinities left out."""
    blocks = np.zeros((4, 32), np.float32)
    blocks[:, 0] = (6, 3, 1, np.inf)
    blocks[:, 1] = 1
    q = mxref.quantize(blocks, "mxfp8_e5m2", policy="p3109")
    assert q.scales[:, 0].tolist() == [130, 128, 127, 127]
    assert q.codes[3, 0] == 0x7C  # SatNone keeps an infinity where the format has one
