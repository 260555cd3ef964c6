"""Whole operations of the fault models: right where they should be, wrong where they say."""

from functools import lru_cache

import numpy as np
import pytest

from mxref import arrays
from mxref.faults import FAULTS, correct, implementations, reason_for
from mxref.faults.element import element_models
from mxref.faults.equivalent import REASONS
from mxref.faults.implementations import is_hidden
from mxref.faults.probes import normal_form, probe
from mxref.formats import BLOCK_FORMATS, ELEMENT_FORMATS, SCALE_FORMATS, ElementFormat
from mxref.policy import Policy, get_policy

FORMATS = {**ELEMENT_FORMATS, **SCALE_FORMATS, **BLOCK_FORMATS}


ROUNDINGS = ("nearest-away", "nearest-down", "toward-zero", "up", "down", "to-odd")


def files():
    """What the vector set holds of these operations."""
    for name, fmt in ELEMENT_FORMATS.items():
        yield "encode", name, "ocp"
        yield "decode", name, "ocp"
        if fmt.is_fp8:
            yield "encode", name, "ocp:fp8_overflow=overflow"
            yield "encode", name, "ocp:rounding=toward-zero,fp8_overflow=overflow"
        yield "encode", name, "ocp:relu=on"
        for rounding in ROUNDINGS:
            yield "encode", name, f"ocp:rounding={rounding}"
        for mode in "abc":
            yield "encode", name, f"ocp:rounding=stochastic-{mode}"
    for name in SCALE_FORMATS:
        yield "encode", name, "ocp"
        yield "decode", name, "ocp"
    for name in BLOCK_FORMATS:
        yield "quantize", name, "ocp"
        yield "quantize", name, "ocp:scale_rule=rceil"
        yield "quantize", name, "ocp:scale_rule=even"
        yield "dequantize", name, "ocp"


FILES = pytest.mark.parametrize(("operation", "name", "policy"), list(files()))


def by_kernels(operation, fmt, policy):
    match operation:
        case "encode":
            return lambda x, random: arrays.encode(x, fmt, policy, random=random)
        case "decode":
            return lambda codes: arrays.decode(codes, fmt, policy)
        case "dequantize":
            return lambda scales, codes: arrays.dequantize(codes, scales[:, None], fmt, -1, policy)

    def quantize(x):
        found = arrays.quantize(x, fmt, policy=policy)
        return found.scales[:, 0], found.codes

    return quantize


def bits(array):
    return array.view(np.uint32) if array.dtype == np.float32 else array


def same_bits(one, other):
    for a, b in zip(map(bits, one), map(bits, other), strict=True):
        np.testing.assert_array_equal(a, b)


@FILES
def test_the_correct_model_gives_the_bits_of_the_kernels(operation, name, policy):
    fmt, chosen = FORMATS[name], get_policy(policy)
    ours, theirs = correct(operation, fmt, chosen), by_kernels(operation, fmt, chosen)
    for arguments in probe(operation, fmt, chosen):
        one, other = ours(*arguments), theirs(*arguments)
        pair = isinstance(one, tuple)
        same_bits(one if pair else (one,), other if pair else (other,))


@lru_cache(maxsize=2)
def expected(operation, name, policy):
    """Arguments and right results in normal form."""
    fmt, chosen = FORMATS[name], get_policy(policy)
    right = correct(operation, fmt, chosen)
    calls = list(probe(operation, fmt, chosen))
    return [(a, normal_form(operation, fmt, a, right(*a))) for a in calls]


def differs(model, operation, name, policy):
    for arguments, want in expected(operation, name, policy):
        got = normal_form(operation, FORMATS[name], arguments, model.subject(*arguments))
        if any((a != b).any() for a, b in zip(got, want, strict=True)):
            return True
    return False


@FILES
def test_every_fault_differs_or_has_a_reason_not_to(operation, name, policy):
    models = implementations(operation, FORMATS[name], get_policy(policy))
    assert len({(model.id, model.detail) for model in models}) == len(models)
    for model in models:
        assert model.id in FAULTS
        reason = reason_for(model.id, model.detail, operation, name)
        shown = differs(model, operation, name, policy)
        assert shown != bool(reason), (model.id, model.detail, reason)


@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("name", ELEMENT_FORMATS)
def test_a_fault_is_hidden_by_a_rounding_if_it_never_differs(name, rounding):
    fmt = ELEMENT_FORMATS[name]
    policy = get_policy(f"ocp:rounding={rounding}")
    right = correct("encode", fmt, policy)
    for model in element_models(fmt):
        wrong = model.encoder(fmt, policy).encode
        same = all((wrong(x) == right(x)).all() for x, *_ in probe("encode", fmt, policy))
        if is_hidden(model, fmt, rounding):
            assert same, (model.id, model.detail)


@FILES
def test_what_is_legal_is_what_the_policy_does(operation, name, policy):
    fmt, chosen = FORMATS[name], get_policy(policy)
    for model in implementations(operation, fmt, chosen):
        if model.legal_change:
            asked_for = chosen.replace(**model.legal_change)
            assert asked_for != chosen
            legal = correct(operation, fmt, asked_for)
            # Each call with blocks has something of everything, so that a third of them will do.
            calls = list(probe(operation, fmt, asked_for))
            for arguments in calls[:: 3 if operation == "quantize" else 1]:
                got = normal_form(operation, fmt, arguments, model.subject(*arguments))
                want = normal_form(operation, fmt, arguments, legal(*arguments))
                for a, b in zip(got, want, strict=True):
                    np.testing.assert_array_equal(a, b, err_msg=f"{model.id} {model.detail}")


def test_every_fault_of_a_stage_shows_or_has_a_reason_in_every_format():
    asked = {
        "encode": [f"E{i}" for i in range(1, 25)],
        "quantize": [f"{group}{i}" for group, n in (("S", 18), ("E", 25)) for i in range(1, n)],
        "decode": [f"D{i}" for i in range(1, 18)],
        "dequantize": [f"D{i}" for i in range(1, 18)],
    }
    found = {}
    for operation, name, policy in files():
        models = implementations(operation, FORMATS[name], get_policy(policy))
        found.setdefault((operation, name), set()).update(model.id for model in models)
    for (operation, name), ids in found.items():
        for fault in asked[operation] if name not in SCALE_FORMATS else []:
            assert fault in ids or reason_for(fault, "", operation, name), (operation, name, fault)


def test_reasons_are_sentences_about_faults_that_exist():
    for (fault, _, operation, name), reason in REASONS.items():
        assert fault in FAULTS
        assert operation == "*" or name == "*" or name in FORMATS
        assert len(reason) > 15


def test_fp8_has_no_choice_of_negative_zero():
    for name, fmt in FORMATS.items():
        if isinstance(fmt, ElementFormat):
            models = implementations("encode", fmt, Policy())
            legal = [m.legal_change for m in models if (m.id, m.detail) == ("E19", "every -0")]
            has_choice = name not in ("e4m3", "e5m2")
            assert legal == ([{"neg_zero": "drop"} if has_choice else {}] * (name != "int8"))


@pytest.mark.parametrize("name", BLOCK_FORMATS)
def test_the_rule_of_a_policy_is_no_fault_of_it_and_floor_is_one_elsewhere(name):
    for rule in ("rceil", "even"):
        models = implementations("quantize", BLOCK_FORMATS[name], Policy(scale_rule=rule))
        details = {m.detail for m in models if m.id == "S10"}
        assert rule not in details
        assert "floor" in details


def test_what_is_no_operation_is_refused():
    with pytest.raises(ValueError, match="give encode, decode"):
        correct("dot", ELEMENT_FORMATS["e4m3"], Policy())
    with pytest.raises(ValueError, match="give a format that it takes"):
        implementations("quantize", ELEMENT_FORMATS["e4m3"], Policy())
    with pytest.raises(ValueError, match="no probes"):
        list(probe("dot", ELEMENT_FORMATS["e4m3"], Policy()))
