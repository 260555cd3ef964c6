"""Models of whole programs against what an H100 gave: `recordings/` says how it was recorded."""

import hopper_oracle
import numpy as np
import pytest
from hopper_recordings import (
    BEYOND,
    COLUMNS,
    MODELLED,
    ROWS,
    addend_of,
    codes_of,
    outputs_of_each_model,
    predicted,
    recorded,
    slices,
    width,
)
from recordings import stimuli
from recordings.cases import CASES

from mxref.matmul import software

# --- against the recordings ------------------------------------------------------------------


SAMPLED = [
    pytest.param(name, marks=pytest.mark.slow) if CASES[name]["k"] >= 8192 else name
    for name in MODELLED
]


@pytest.mark.parametrize("name", SAMPLED)
def test_sampled_outputs_are_predicted(name):
    case = CASES[name]
    rows, columns = stimuli.sampled(case["m"], ROWS), stimuli.sampled(width(case), COLUMNS)
    assert np.array_equal(predicted(name, rows, columns), slices()[name])


MILLIONS = (  # a path each, and 2^20 outputs
    "smm-fast-e4m3-e4m3-f32",
    "smm-slow-e5m2-e4m3-bf16",
    "smm-slow-e4m3-e4m3-f16",
    "smm-1x128-1x128-f32-pow2",
    "dot-fp8-e5m2-e5m2",
    "dot-fp8-mma-million",
    "dot-bf16-int8",
    "scaled-e4m3-e4m3-full-million",
    "scaled-e2m1-e2m1-near",
    "scaled-e5m2-e2m1-full-million",
    "mm-bf16-bf16",
    "mm-f16-f32",
    "wgmma-f16-e4m3-e4m3-million",
    "mma-f32-e5m2-e5m2-million",
)


def _whole_digest(name):
    case = CASES[name]
    words = predicted(name, np.arange(case["m"]), np.arange(width(case)))
    return stimuli.digest(words), words.size


@pytest.mark.slow
@pytest.mark.parametrize("name", MILLIONS)
def test_millions_of_outputs_are_predicted(name):
    assert _whole_digest(name) == (recorded()[name]["sha256"], 1 << 20)


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", MODELLED)
def test_every_recorded_output_is_predicted(name):
    assert _whole_digest(name)[0] == recorded()[name]["sha256"]


@pytest.mark.parametrize("name", list(CASES)[::9])
def test_operands_are_those_of_the_recording(name):
    case = CASES[name]
    if max(case["m"], case["n"]) * case["k"] > 1 << 18 or "sha256" not in recorded()[name]:
        pytest.skip("large, or not recorded")
    for side, rows in (("a", case["m"]), ("b", case["n"])):
        codes, _ = codes_of({**case, "one_at": None}, side, rows)
        assert stimuli.digest(codes)[:16] == recorded()[name][side]


def test_the_evidence_counts_the_recorded_outputs():
    counts = outputs_of_each_model()
    in_parts = sum(count for name, count in counts.items() if "-split-" in name)
    assert f"{in_parts:,} outputs" in software.torch_mm("bf16", splits=5).evidence
    for model in software.ACCUMULATORS:
        assert counts[model.name] >= 10**6
        assert model.evidence.startswith(f"{counts[model.name]:,} outputs recorded")


def test_every_case_is_modelled_or_has_a_reason():
    beyond = {name for name in CASES if name not in MODELLED}
    prefixes = [prefix for group in BEYOND.values() for prefix in group]
    assert all(any(name.startswith(prefix) for name in beyond) for prefix in prefixes)
    failed = {name for name, entry in recorded().items() if "error" in entry}
    assert failed == {name for name in CASES if name.startswith(BEYOND["torch refuses it"])}


# --- a second implementation -----------------------------------------------------------------


def _values(case, codes, scales):
    """Values and stored exponents, as the program gives them to the instruction."""
    if case["run"] == "dot_scaled":
        factor = np.repeat(np.where(scales == 0, 0.0, 2.0 ** (scales - 127.0)), 32, axis=1)
        values = hopper_oracle.bfloat16(stimuli.decode(case["a"], codes, scales * 0 + 127) * factor)
        return values, hopper_oracle.exponents(values, -126)
    values = stimuli.decode(case["a"], codes, scales)
    if case["type"] == "fp8":
        return values, hopper_oracle.stored_exponents(codes, *stimuli.FLOATS[case["a"]])
    return values, hopper_oracle.exponents(values, -14 if case["type"] == "f16" else -126)


@pytest.mark.parametrize(
    "name",
    [
        "wgmma-f32-e4m3-e4m3-k256c", "wgmma-f32-fp8-zero", "wgmma-f32-bf16-low",
        "mma-f32-bf16-high", "mma-f32-bf16-any", "smm-fast-e4m3-e4m3-f32",
        "smm-slow-e4m3-e4m3-f32", "smm-slow-256x256x144", "smm-slow-e4m3-e4m3-bf16",
        "smm-fast-e4m3-e4m3-f16", "dot-fp8-e5m2-e5m2", "dot-fp8-imprecise64", "dot-bf16-int8",
        "dot-f16-int8", "scaled-e4m3-e4m3-wide", "scaled-e2m1-e2m1-full", "mm-bf16-f32",
        "mm-f16-f16", "mm-bf16-bf16",
    ],
)  # fmt: skip
def test_a_second_implementation_gives_the_recorded_outputs(name):
    case = {"type": "fp8", **CASES[name]}
    rows, columns = stimuli.sampled(case["m"], ROWS), stimuli.sampled(case["n"], COLUMNS)
    a, b = (_values(case, *codes_of(case, s, r)) for s, r in (("a", rows), ("b", columns)))
    c = addend_of(case, rows, columns)
    total = np.zeros((ROWS, COLUMNS)) if c is None else c.astype(np.float64)
    every = 128 if case.get("fast") is False else case.get("imprecise", 0)
    if case["type"] != "fp8" or case["run"] == "dot_scaled":
        found = hopper_oracle.sixteen_chain(a, b, total)
    elif every:
        found = hopper_oracle.promoted(a, b, total, every)
    else:
        found = hopper_oracle.fp8_chain(a, b, total)
    kind = case.get("out", "f32")
    found = {"f32": np.asarray, "bf16": hopper_oracle.bfloat16, "f16": hopper_oracle.float16}[kind](
        found
    )
    assert np.array_equal(hopper_oracle.words(found, kind), slices()[name])
