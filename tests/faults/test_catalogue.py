import numpy as np
import pytest

from mxref import arrays
from mxref.faults import (
    FAULTS,
    REASONS,
    Encoder,
    Selector,
    alignment_models,
    block_models,
    block_stats,
    cast_models,
    compose,
    decode_models,
    element_models,
    end_models,
    implementations,
    layout_models,
    scale_models,
    stochastic_models,
)
from mxref.faults.bdr import FAULTS as BDR_FAULTS
from mxref.faults.bdr_decode import DECODE_FAULTS
from mxref.faults.decode import Decoder, element_table, scale_table
from mxref.faults.dots import dot_models
from mxref.faults.tensors import tensor_models
from mxref.formats import BLOCK_FORMATS, ELEMENT_FORMATS
from mxref.policy import OPEN_POINT_OF, Policy

ASKED_FOR = ["E1", "E2", "E7", "E12", "E13", "E19", "S1", "S2", "S5", "S10", "D1", "D9", "L1"]


# Of the corpus, with S17 and G9 to G11 besides.
GROUPS = {"S": 24, "E": 27, "D": 20, "L": 9, "G": 11, "R": 3}
STAGES = {"scale", "element", "decode", "layout", "gemm", "stochastic"}


def every_model():
    yield from (*BDR_FAULTS, *DECODE_FAULTS)
    for fmt in BLOCK_FORMATS.values():
        yield from element_models(fmt.element)
        yield from alignment_models(fmt.element)
        yield from stochastic_models(fmt.element, Policy(rounding="stochastic-a"))
        yield from scale_models(fmt)
        yield from block_models(Policy())
        yield from decode_models(fmt.element)
        yield from layout_models(fmt)
        yield from implementations("decode", fmt.element, Policy())
        yield from tensor_models("quantize_tensor", fmt, Policy())
        yield from tensor_models("dequantize_tensor", fmt, Policy())
        yield from dot_models(fmt, fmt)
    yield from dot_models(BLOCK_FORMATS["mxfp4"], BLOCK_FORMATS["mxfp8_e4m3"])
    yield from decode_models(None)
    yield from (*cast_models(), *end_models())


def test_the_texts_are_those_of_the_corpus_and_four_of_our_own():
    ids = {f"{group}{i}" for group, count in GROUPS.items() for i in range(1, count + 1)}
    assert set(FAULTS) == ids


def test_every_fault_has_a_model_or_a_reason_and_every_model_a_text():
    modelled = {model.id for model in every_model()}
    assert modelled <= set(FAULTS)
    without = {fault for fault, *_ in REASONS} - modelled
    assert set(FAULTS) - modelled == without
    assert set(ASKED_FOR) <= modelled


@pytest.mark.parametrize("fault", FAULTS.values(), ids=lambda f: f.id)
def test_texts(fault):
    for text in (fault.title, fault.effect, fault.stimulus, fault.repair):
        assert text
        assert text.endswith(".")
        assert "  " not in text
    assert all(url.startswith("https://") for url in fault.seen_in)
    assert fault.stage in STAGES
    Policy().replace(**fault.legal_change)
    assert set(fault.legal_change) <= set(OPEN_POINT_OF)


def stimulus(fmt):
    element = fmt.element
    values = element_table(element)
    values = np.unique(np.abs(values[np.isfinite(values)]))
    middles = (values[1:] + values[:-1]) / 2
    near = middles * (1 + 2.0**-9), middles * (1 + 2.0**-11 + 2.0**-13), middles * (1 + 2.0**-22)
    beyond = values[-1] * np.array([1.02, 1.036, 1.05, 1.08, 1.5, 1e6])
    x = np.concatenate([values, middles, *near, beyond, [0.75 * values[1], np.inf, np.nan, 0]])
    return np.concatenate([x, -x]).astype(np.float32)


@pytest.mark.parametrize("name", BLOCK_FORMATS)
def test_every_element_model_differs_somewhere(name):
    fmt = BLOCK_FORMATS[name]
    x = stimulus(fmt)
    directed = [Policy(), Policy(fp8_overflow="overflow")]
    directed += [Policy(rounding="toward-zero", fp8_overflow="overflow")]
    for model in element_models(fmt.element):
        differs = [
            (model.encoder(fmt.element, p).encode(x) != Encoder(fmt.element, p).encode(x)).any()
            for p in directed
        ]
        assert any(differs), (model.id, model.detail)


@pytest.mark.parametrize("name", BLOCK_FORMATS)
def test_legal_models_are_the_policies_they_name(name):
    fmt = BLOCK_FORMATS[name]
    x = stimulus(fmt)
    for model in element_models(fmt.element):
        if model.legal_change:
            ours = model.encoder(fmt.element, Policy()).encode(x)
            theirs = arrays.encode(x, fmt.element, Policy().replace(**model.legal_change))
            np.testing.assert_array_equal(ours, theirs, err_msg=f"{model.id} {model.detail}")
    rng = np.random.default_rng(0)
    blocks = (rng.uniform(1, 2, (500, 32)) * 2.0 ** rng.integers(-9, 9, (500, 1))).astype(
        np.float32
    )
    blocks[::7, 3] = np.nan
    for model in scale_models(fmt):
        if model.legal_change:
            ours = model.selector(fmt, Policy()).select(block_stats(blocks))
            policy = Policy().replace(**model.legal_change)
            theirs = arrays.quantize(blocks, fmt, policy=policy).scales[:, 0]
            np.testing.assert_array_equal(ours, theirs, err_msg=f"{model.id} {model.detail}")


def test_step_positions_of_the_scale_rules():
    """Table 3.1 of the corpus: where the code steps as amax sweeps a binade."""
    m = np.linspace(1, 2, 1 << 12, endpoint=False)
    stats = block_stats(m[:, None])
    positions = {
        ("S1", "mxfp4"): (1.5, -1),
        ("S1", "mxfp8_e4m3"): (1.75, -1),
        ("S2", "mxfp4"): (1.125, -1),
        ("S2", "mxfp8_e4m3"): (1.3125, -1),
        ("S3", "mxfp4"): (1.0607, -1),
        ("S3", "mxfp8_e4m3"): (1.2374, -1),
    }
    for (fault_id, name), (edge, below) in positions.items():
        fmt = BLOCK_FORMATS[name].with_block_size(1)
        model = next(model for model in scale_models(fmt) if model.id == fault_id)
        right = Selector(fmt, Policy()).select(stats).astype(int)
        offset = model.selector(fmt, Policy()).select(stats) - right
        assert set(offset) == {below, 0}
        assert abs(m[offset == 0].min() - edge) < 2.0**-11


def test_stacked_faults_act_together():
    e2m1 = ELEMENT_FORMATS["e2m1"]
    models = {model.id: model for model in element_models(e2m1) if model.id in {"E2", "E12"}}
    both = compose(models.values())(e2m1, Policy()).encode(np.array([4.0, 1.49, 0.99]))
    assert both.tolist() == [7, 2, 1]


def test_witnesses_of_the_corpus():
    """Inputs and outputs reported in the field."""

    def encoded(fmt, fault_id, x, detail=""):
        element = ELEMENT_FORMATS[fmt]
        model = next(
            m for m in element_models(element) if m.id == fault_id and m.detail.startswith(detail)
        )
        return int(model.encoder(element, Policy()).encode(np.float32([x]))[0])

    assert encoded("e2m1", "E1", -1.25) == 0xB  # aiter 974
    assert encoded("e2m1", "E1", 0.25) == 0x1
    assert encoded("e2m1", "E10", 0.25000006) == 0x0  # tt-metal 51975
    assert encoded("e4m3", "E12", 256.0) == 0x7E  # sglang 37140
    assert encoded("e4m3", "E21", 1.31640625) == 0x3A  # Microfloats 25: 1.25
    assert encoded("e4m3", "E15", 448.0, "416") == 0x7D  # cubecl 1472
    values = Decoder(ELEMENT_FORMATS["e2m1"], Policy())
    assert values.decode(np.array([1]), np.array([127]))[0] == 0.5
    d1 = next(m for m in decode_models(ELEMENT_FORMATS["e2m1"]) if m.id == "D1")
    table = d1.decoder(ELEMENT_FORMATS["e2m1"], Policy()).elements()
    assert table[[0, 1, 8, 9]].tolist() == [0.5, 0.75, -0.5, -0.75]  # tilelang 2704


def test_tables_are_those_of_the_kernels():
    for fmt in ELEMENT_FORMATS.values():
        codes = np.arange(fmt.code_count, dtype=np.uint8)
        np.testing.assert_array_equal(element_table(fmt), arrays.decode(codes, fmt))
    codes = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(scale_table(), arrays.decode(codes, "e8m0"))


@pytest.mark.parametrize("name", BLOCK_FORMATS)
def test_every_decode_model_differs_somewhere(name):
    fmt = BLOCK_FORMATS[name].element
    codes, scales = np.arange(fmt.code_count)[None, :], np.arange(256)[:, None]
    right = Decoder(fmt, Policy()).decode(codes, scales).view(np.uint32)
    for model in decode_models(fmt):
        wrong = model.decoder(fmt, Policy()).decode(codes, scales).view(np.uint32)
        assert (wrong != right).any(), (model.id, model.detail)


def test_layouts_are_permutations_that_undo_themselves():
    blocks = np.arange(64, dtype=np.uint8).reshape(2, 32)
    for model in layout_models(BLOCK_FORMATS["mxfp4"]):
        assert not np.array_equal(model.apply(blocks), blocks)
        np.testing.assert_array_equal(model.undo(model.apply(blocks)), blocks)
