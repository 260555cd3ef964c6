"""Matrix products in the vector set: stimuli, verdicts, labels, and what the recheck notices."""

import itertools
import json
import math
import re
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mxref
import mxref.matmul
from mxref.formats import block_format
from mxref.policy import get_policy
from mxref.vectors import VectorError, load
from mxref.vectors.driver import planes
from mxref.vectors.export import export_files
from mxref.vectors.gemm import MATMUL, MATMUL_PAIRS, models, second
from mxref.vectors.gemm.expect import exact_text, expect_matmul
from mxref.vectors.gemm.faulty import faulty_products
from mxref.vectors.gemm.operands import by_value, matrices
from mxref.vectors.hexfile import hex_text
from mxref.vectors.model import Verdict, vector_file_text
from mxref.vectors.operations import Output
from mxref.vectors.plan import build, jobs
from mxref.vectors.recheck import expectation_problems

OCP = get_policy("ocp")
NAMES = ["-".join(fmt.name for fmt in pair) for pair in MATMUL_PAIRS]
FP4 = (block_format("mxfp4"),) * 2
SETTLED = {"integers", "scaled", "places", "ragged", "subnormals", "specials", "cancelling"}

every_pair = pytest.mark.parametrize("pair", MATMUL_PAIRS, ids=NAMES)


def stimuli(pair, *names):
    for group in MATMUL:
        if not names or group.name in names:
            for inputs, detail in group.stimuli(pair):
                yield group.name, detail, inputs


def stand_in(name, run, **changes):
    """A model out of a function of the exact values of all products: [M, N][k]."""

    def computed(operands):
        a, b = ((operands.a_codes, operands.a_scales, operands.a_format),
                (operands.b_codes, operands.b_scales, operands.b_format))  # fmt: skip
        rows, columns = [list(terms(*side)) for side in (a, b)]
        return np.array(
            [[run([x * y for x, y in zip(r, c, strict=True)]) for c in columns] for r in rows],
            np.float32,
        )

    fields = {"text": "", "dtype": "float32", **changes}
    return mxref.matmul.Accumulator(name=name, run=computed, **fields)


def terms(codes, scales, fmt):
    values = {code: value for value, code in by_value(fmt.element).items()}
    for line, own in zip(codes.tolist(), scales.tolist(), strict=True):
        yield [values[code] * Fraction(2) ** (own[i // 32] - 127) for i, code in enumerate(line)]


def sequential(products):
    total = np.float32(0)
    for product in products:
        total = np.float32(total + np.float32(float(product)))
    return total


def cut(width):
    """Each product added to an accumulator that keeps so many bits below its leading one."""

    def run(products):
        total = 0.0
        for product in filter(None, map(float, products)):
            unit = math.ldexp(1, math.frexp(max(abs(total), abs(product)))[1] - 1 - width)
            total = (math.trunc(total / unit) + math.trunc(product / unit)) * unit
        return total

    return run


@pytest.fixture
def known(monkeypatch):
    """Put models in the place of mxref's own; returns a function that takes them."""

    def put(*found):
        monkeypatch.setattr(mxref.matmul, "accumulators", lambda: {m.name: m for m in found})

    put()
    return put


@pytest.fixture
def small_file(known, monkeypatch):
    """A file of a few groups, and one model beside the exact sum."""
    known(stand_in("float32-sequential", sequential))
    kept = tuple(g for g in MATMUL if g.name in ("specials", "ragged", "widths", "ties"))
    monkeypatch.setattr("mxref.vectors.plan.MATMUL", kept)
    (job,) = (j for j in jobs() if j.path == "matmul/mxfp4-mxfp4.ocp.json")
    return build(job)


# --- what is asked ---------------------------------------------------------------------------


@every_pair
def test_no_group_is_empty_and_nothing_is_asked_twice(pair):
    found = [(name, inputs) for name, _, inputs in stimuli(pair)]
    assert {name for name, _ in found} == {group.name for group in MATMUL}
    assert len({inputs for _, inputs in found}) == len(found)


@every_pair
def test_both_operands_are_rows_along_k(pair):
    for _, _, inputs in stimuli(pair):
        m, n, k = inputs.shape
        blocks = -(-k // 32)
        shapes = [part.shape for part in planes(inputs)]
        assert shapes == [(m, blocks), (m, k), (n, blocks), (n, k)]


@every_pair
@pytest.mark.usefixtures("known")
def test_verdicts_and_a_second_computation_bit_for_bit(pair):
    for name, detail, inputs in stimuli(pair):
        found = expect_matmul(pair, OCP, inputs)
        assert second.exact_texts(pair, inputs) == found.exact, (name, detail)
        bits = second.matmul(pair, *planes(inputs)).view(np.uint32).ravel()
        assert tuple(bits.tolist()) == found.members[0].out.bits, (name, detail)
        verdict = found.verdict
        if name == "ragged":
            assert verdict is Verdict.ONE_OF, detail
        elif name in SETTLED:
            assert verdict is Verdict.MUST, (name, detail)
        elif name in ("widths", "orders", "ties", "range"):
            assert verdict is Verdict.OPEN, (name, detail)


@given(order=st.permutations(range(96)), place=st.integers(0, 39))
def test_float32_in_any_order_gives_what_must_be(order, place):
    pair = MATMUL_PAIRS[3]
    (inputs,) = (i for _, _, i in stimuli(pair, "cancelling"))
    m, n, _ = inputs.shape
    scales_a, codes_a, scales_b, codes_b = planes(inputs)
    row, column = divmod(place % (m * n), n)
    (x,) = terms(codes_a[row : row + 1], scales_a[row : row + 1], pair[0])
    (y,) = terms(codes_b[column : column + 1], scales_b[column : column + 1], pair[1])
    got = sequential([x[i] * y[i] for i in order])
    want = second.matmul(pair, *planes(inputs))[row, column]
    assert got == want


def test_exact_integers_fit_narrow_accumulators():
    """So that what a machine of 14 bits gets wrong there is no matter of width."""
    for pair in MATMUL_PAIRS:
        if pair[0].name == "mxint8":
            continue
        for _, _, inputs in stimuli(pair, "integers"):
            for text in second.exact_texts(pair, inputs):
                assert abs(float.fromhex(text)) < 2**13
                assert float.fromhex(text).is_integer()


@every_pair
def test_the_engine_gives_what_is_expected(pair):
    """What users call, on every case: exact sums, over another route than either computation."""
    for name, detail, inputs in stimuli(pair):
        scales_a, codes_a, scales_b, codes_b = planes(inputs)
        a = mxref.MXArray(codes_a, scales_a, pair[0], axis=1)
        b = mxref.MXArray(codes_b.T, scales_b.T, pair[1], axis=0)
        got = mxref.matmul(a, b).view(np.uint32)
        assert np.array_equal(got, second.matmul(pair, *planes(inputs)).view(np.uint32)), (
            name,
            detail,
        )


# --- exact values ----------------------------------------------------------------------------


def test_exact_values_are_odd_integers_times_powers_of_two():
    pair = MATMUL_PAIRS[4]
    shown = set()
    for _, _, inputs in stimuli(pair, "specials", "spread", "widths"):
        for text in second.exact_texts(pair, inputs):
            shown.add(text)
            match = re.fullmatch(r"-?0x([0-9a-f]+)p[+-]\d+", text)
            assert text in ("nan", "inf", "-inf", "0x0p+0") or int(match[1], 16) % 2 == 1
    assert {"nan", "inf", "-inf"} <= shown


@given(st.floats(width=64, allow_nan=False, allow_infinity=False, min_value=2.0**-280))
def test_the_second_rounding_is_that_of_the_processor(value):
    numerator, denominator = value.as_integer_ratio()
    total = numerator * 2**286 // denominator
    if Fraction(total, 2**286) != value:
        return
    with np.errstate(over="ignore", under="ignore"):
        want = np.float32(value).view(np.uint32)
    assert second.to_float32(total) == want
    assert second.to_float32(-total) == want | 1 << 31


# --- labels ----------------------------------------------------------------------------------


def widths_case(pair=FP4):
    ((_, _, inputs),) = stimuli(pair, "widths")
    return inputs


def test_each_model_is_named_once_and_equal_results_share_a_member(known):
    known(
        stand_in("float32-sequential", sequential),
        stand_in("nv-narrow", cut(13)),
        stand_in("amd-narrow", cut(13)),
    )
    found = expect_matmul(FP4, OCP, widths_case())
    labels = [[when["accumulate"] for when in member.when] for member in found.members]
    assert labels == [["exact"], ["float32-sequential"], ["nv-narrow", "amd-narrow"]]


def test_models_that_have_no_say_are_left_out(known):
    known(
        stand_in("nv-half", sequential, dtype="float16"),
        stand_in("nv-illegal", sequential, is_legal=False),
        stand_in("nv-choosy", sequential, refuses=lambda _: "E4M3 only"),
        stand_in("float32-lanes-2", sequential),  # one order of a hundred
    )
    (member,) = expect_matmul(FP4, OCP, widths_case()).members
    assert member.when == ({"accumulate": "exact"},)


def test_every_width_has_results_of_its_own(known):
    found = [stand_in(f"nv-{width}", cut(width)) for width in (10, 13, 22, 23, 25, 35)]
    known(*found)
    exact = Output(())
    members = models.labelled(FP4, widths_case(), exact)
    assert len(members) == len(found) + 1


def test_the_order_of_blocks_shows(known):
    ((_, _, inputs),) = stimuli(FP4, "orders")
    known(
        stand_in("nv-forth", sequential),
        stand_in("nv-back", lambda products: sequential(products[::-1])),
        stand_in("nv-halves", lambda p: np.float32(sequential(p[:64]) + sequential(p[64:]))),
        stand_in("nv-odd", lambda p: np.float32(sequential(p[::2]) + sequential(p[1::2]))),
    )
    assert len(expect_matmul(FP4, OCP, inputs).members) == 5


def test_a_nan_is_a_nan_whatever_its_pattern(known):
    nan = np.array([0x7FFFFFFF], np.uint32).view(np.float32)[0]
    known(stand_in("nv-nan", lambda _: nan))
    assert dict(models.outcomes(FP4, widths_case()))["nv-nan"].bits[0] == 0x7FC00000


# --- files -----------------------------------------------------------------------------------


def test_a_file_comes_back_as_it_was(small_file, tmp_path):
    path = tmp_path / "file.json"
    path.write_text(vector_file_text(small_file), "ascii")
    assert load(path) == small_file


def damaged(file, change, tmp_path):
    path = tmp_path / "file.json"
    text = vector_file_text(file)
    assert change(text) != text
    path.write_text(change(text), "ascii")
    with pytest.raises(VectorError) as error:
        load(path)
    return str(error.value)


def test_what_does_not_fit_is_refused(small_file, tmp_path):
    def less_exact(text):
        return re.sub(r'"exact":\["[^"]*",', '"exact":[', text, count=1)

    def other_label(text):
        return text.replace('{"accumulate":"exact"}', '{"rounding":"up"}', 1)

    def bad_exact(text):
        return re.sub(r'"exact":\["[^"]*"', '"exact":["1.5"', text, count=1)

    assert "exact values expected" in damaged(small_file, less_exact, tmp_path)
    assert "name accumulate, got rounding" in damaged(small_file, other_label, tmp_path)
    assert "does not match" in damaged(small_file, bad_exact, tmp_path)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"shape": (2, 3)}, "rows, columns and k"),
        ({"shape": (2, 3, 65)}, "2 rows of 65 elements take 6 and 130"),
        ({"bits": (0x10,) * 128}, "is no code of e2m1"),
        ({"scales": (127,)}, "a has 1 scales and 128 codes"),
    ],
)
def test_matrices_that_do_not_fit_their_shape_are_refused(small_file, change, text, tmp_path):
    # The id is computed from the inputs: a file of wrong inputs, not an edited one.
    from mxref.vectors.model import case_id

    case = next(c for c in small_file.cases if c.inputs.shape == (2, 3, 64))
    inputs = replace(case.inputs, **change)
    identity = case_id("matmul", small_file.format, "ocp", inputs)
    wrong = replace(small_file, cases=(replace(case, inputs=inputs, id=identity),))
    path = tmp_path / "file.json"
    path.write_text(vector_file_text(wrong), "ascii")
    with pytest.raises(VectorError, match=re.escape(text)):
        load(path)


def test_the_twin_says_which_models_give_a_member(small_file):
    text = hex_text(small_file)
    case = next(c for c in small_file.cases if c.verdict is Verdict.OPEN)
    assert f"// {case.id} 0 exact" in text
    assert re.search(rf"^// {case.id} 1 float32-sequential$", text, re.MULTILINE)


def test_an_export_says_it_too(small_file):
    description = json.loads(export_files(small_file, to="npy")["matmul_mxfp4_mxfp4_ocp.npy.json"])
    case = next(c for c in small_file.cases if c.verdict is Verdict.OPEN)
    assert description["accumulate"][case.id] == [["exact"], ["float32-sequential"]]
    assert set(description["accumulate"]) == {
        c.id for c in small_file.cases if c.verdict is Verdict.OPEN
    }


# --- what the recheck notices ----------------------------------------------------------------


def changed(file, number, **fields):
    cases = list(file.cases)
    cases[number] = replace(cases[number], **fields)
    return replace(file, cases=tuple(cases))


def test_a_good_file_has_no_problem(small_file):
    assert list(expectation_problems(small_file)) == []


def test_every_wrong_expectation_is_told(small_file):
    def problems(number, **fields):
        return " ".join(expectation_problems(changed(small_file, number, **fields)))

    place = next(i for i, c in enumerate(small_file.cases) if c.verdict is Verdict.OPEN)
    case = small_file.cases[place]
    first, other = case.members[0], case.members[1]
    assert "exact value at place 0" in problems(place, exact=("0x1p+0", *case.exact[1:]))
    bits = (first.out.bits[0] ^ 1, *first.out.bits[1:])
    assert "a sum over integers gives" in problems(
        place, members=(replace(first, out=Output(bits)), other)
    )
    bits = (other.out.bits[0] ^ 1, *other.out.bits[1:])
    found = problems(place, members=(first, replace(other, out=Output(bits))))
    assert "float32-sequential gives another result" in found
    assert "another result where it is computed over integers" in found
    assert "float32-sequential is missing" in problems(place, members=(first,))
    unknown = replace(other, when=(*other.when, {"accumulate": "nv-nothing"}))
    assert "nv-nothing is that of no model" in problems(place, members=(first, unknown))
    twice = replace(other, when=(*other.when, {"accumulate": "exact"}))
    assert "two members are labelled with exact" in problems(place, members=(first, twice))
    assert "first member is not labelled" in problems(place, members=(other, first))
    settled = next(i for i, c in enumerate(small_file.cases) if c.verdict is Verdict.MUST)
    own = replace(small_file.cases[settled].members[0], when=({"accumulate": "exact"},))
    assert "has no label" in problems(settled, members=(own,))


# --- faults ----------------------------------------------------------------------------------


def test_the_faultless_product_under_every_fault_is_right():
    """Lifted to matrices, a dot product is the product that the definition has."""
    from mxref.faults.dots import correct_dot
    from mxref.vectors.gemm.faulty import _lifted

    for pair in (MATMUL_PAIRS[0], MATMUL_PAIRS[5]):
        product = _lifted(correct_dot(*pair))
        for name, detail, inputs in stimuli(pair, "scaled", "ragged", "specials"):
            want = second.matmul(pair, *planes(inputs))
            assert np.array_equal(product(*planes(inputs)), want, equal_nan=True), (name, detail)


def test_wrong_places_are_wrong():
    one, codes = (127, 128), list(by_value(FP4[0].element).values())
    rows = [(one, tuple(codes[(i + 3 * j) % 15] for i in range(40))) for j in range(5)]
    asked = planes(matrices(rows[:3], [((129, 126), codes) for _, codes in rows[1:]]))
    want = second.matmul(FP4, *asked)
    of_places = [m for m in faulty_products(FP4) if m.id in ("L4", "L5", "L8")]
    assert len(of_places) == 11
    same = [m.detail for m in of_places if np.array_equal(m.subject(*asked).ravel(), want.ravel())]
    # All rows of a have the same scales here, and so have those of b.
    assert same == ["scale of the next row of a", "scale of the next row of b"]


def test_exact_text_reads_back():
    for numerator, exponent in itertools.product((-12, 0, 1, 3 << 40), (-286, 0, 200)):
        from mxref.exact.number import Number

        value = Fraction(numerator) * Fraction(2) ** exponent
        text = exact_text(Number.finite(value))
        sign, digits, power = re.fullmatch(r"(-?)0x([0-9a-f]+)p([+-]\d+)", text).groups()
        read = int(digits, 16) * Fraction(2) ** int(power) * (-1 if sign else 1)
        assert read == value
