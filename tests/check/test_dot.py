"""Dot products judged: right ones in any order, faults written anew over numpy and fractions."""

import json
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import mxref
from mxref.check.dot import dot, matmul
from mxref.check.dot._drive import drive_dot
from mxref.check.target import TargetError
from mxref.faults.dots import dot_models
from mxref.formats import block_format
from mxref.policy import get_policy

PAIRS = (
    ("mxfp4", "mxfp4"),
    ("mxfp8_e4m3", "mxfp8_e4m3"),
    ("mxfp8_e5m2", "mxfp8_e5m2"),
    ("mxint8", "mxint8"),
    ("mxfp6_e2m3", "mxfp6_e3m2"),
    ("mxfp8_e4m3", "mxfp4"),
)
SHAPES = {  # exponent bits, mantissa bits, bias
    "mxfp4": (2, 1, 1),
    "mxfp6_e2m3": (2, 3, 1),
    "mxfp6_e3m2": (3, 2, 3),
    "mxfp8_e4m3": (4, 3, 7),
    "mxfp8_e5m2": (5, 2, 15),
}


# --- an implementation of my own --------------------------------------------------------------


def values(fmt):
    """The table of a format, from the widths of its fields."""
    if fmt == "mxint8":
        return np.arange(256).astype(np.uint8).view(np.int8) / 64.0
    e_bits, m_bits, bias = SHAPES[fmt]
    table = []
    for code in range(1 << (1 + e_bits + m_bits)):
        sign = -1.0 if code >> (e_bits + m_bits) else 1.0
        e, m = code >> m_bits & ((1 << e_bits) - 1), code & ((1 << m_bits) - 1)
        if e == (1 << e_bits) - 1 and fmt == "mxfp8_e5m2":
            table.append(sign * np.inf if m == 0 else np.nan)
        elif code & 0x7F == 0x7F and fmt == "mxfp8_e4m3":
            table.append(np.nan)
        else:
            table.append(sign * (m / 2**m_bits + (e > 0)) * 2.0 ** (max(e, 1) - bias))
    return np.array(table)


def scale_values(codes):
    found = 2.0 ** (codes.astype(int) - 127)
    return np.where(codes == 255, np.nan, found)


class Case:
    """Random operands with finite elements."""

    def __init__(self, pair, n=48, blocks=4, seed=0, spread=4, specials=False):
        rng = np.random.default_rng(seed)
        self.pair, self.k = pair, blocks * 32
        tables = [values(fmt) for fmt in pair]
        pools = [np.flatnonzero(np.isfinite(t)) for t in tables]
        self.codes = [rng.choice(p, (n, self.k)).astype(np.uint8) for p in pools]
        self.scales = [
            rng.integers(127 - spread, 128 + spread, (n, blocks)).astype(np.uint8) for _ in pair
        ]
        if specials:
            self.scales[0][::7, 0] = 255
            self.scales[1][::5, -1] = 0
        self.tables = tables

    def elements(self, tables=None):
        return [t[c] for t, c in zip(tables or self.tables, self.codes, strict=True)]

    def terms(self, factor=None, tables=None):
        """Products under their scales; exact in float64."""
        x, y = self.elements(tables)
        f = (
            scale_values(self.scales[0]) * scale_values(self.scales[1])
            if factor is None
            else factor
        )
        return x * y * np.repeat(np.broadcast_to(f, self.scales[0].shape), 32, axis=1)

    def check(self, d, **options):
        a, b = self.pair
        (sa, sb), (ca, cb) = self.scales, self.codes
        return dot(ca, sa, cb, sb, np.asarray(d, np.float32), a, b, **options)


def round32(value):
    """A fraction to float32, nearest even, without any float on the way."""
    if value == 0:
        return np.float32(0)
    size = abs(value)
    exponent = size.numerator.bit_length() - size.denominator.bit_length()
    exponent -= Fraction(2) ** exponent > size
    step = Fraction(2) ** (max(exponent, -126) - 23)
    kept = round(size / step) * step  # round() of a fraction takes ties to even
    if kept >= 2**128:
        return np.float32(np.inf if value > 0 else -np.inf)
    return np.float32(float(kept if value > 0 else -kept))


def exactly(terms):
    out = []
    for row in terms:
        special = row[~np.isfinite(row)]
        out.append(
            np.float32(special.sum())
            if len(special)
            else round32(sum((Fraction(float(t)) for t in row), Fraction(0)))
        )
    return np.array(out, np.float32)


def one_by_one(terms):
    total = np.zeros(len(terms), np.float32)
    with np.errstate(all="ignore"):
        for k in range(terms.shape[1]):
            total = total + terms[:, k].astype(np.float32)
    return total


def in_pairs(terms):
    parts = list(terms.T.astype(np.float32))
    while len(parts) > 1:
        parts = [sum(parts[i : i + 2][1:], parts[i]) for i in range(0, len(parts), 2)]
    return parts[0] + np.float32(0)


def aligned(terms, width, group, keep):
    """Groups cut to a width below their largest leading bit, over integers; then to `keep` bits."""
    out = []
    for row in terms:
        total = Fraction(0)
        for start in range(0, len(row), group):
            part = [Fraction(float(t)) for t in row[start : start + group]] + [total]
            top = max(abs(t) for t in part)
            if not top:
                continue
            unit = Fraction(2) ** (int(np.floor(np.log2(float(top)))) - width)
            total = sum(int(t / unit) for t in part) * unit  # int() truncates
            if total:
                last = Fraction(2) ** (int(np.floor(np.log2(abs(float(total))))) - keep)
                total = int(total / last) * last
        out.append(float(total))
    return np.array(out, np.float32)


SUMS = {"exact": exactly, "one by one": one_by_one}


def first(report):
    return report.findings[0].id, report.findings[0].residual


# --- right ones -------------------------------------------------------------------------------


@pytest.mark.parametrize("pair", PAIRS)
def test_the_exact_sum_conforms(pair):
    case = Case(pair, specials=True)
    for claim in (None, "exact"):
        report = case.check(exactly(case.terms()), accumulate=claim)
        assert report.verdict == "conforms", str(report)
        assert report.ok
        assert report.mismatches.elements == 0


@settings(max_examples=40, deadline=None)
@example(("mxint8", "mxint8"), 4, 120, "order", 2)  # NaN from Inf - Inf on the way
@given(
    st.sampled_from(PAIRS),
    st.integers(0, 2**32 - 1),
    st.sampled_from([0, 3, 20, 60, 120]),
    st.sampled_from(["exact", "order", "pairs", "blocks", "float64", "lanes", "aligned"]),
    st.integers(1, 5),
)
def test_a_right_sum_in_any_order_is_never_a_defect(pair, seed, spread, how, blocks):
    case = Case(pair, 24, blocks, seed, spread)
    terms, rng = case.terms(), np.random.default_rng(seed)
    with np.errstate(all="ignore"):
        d = {
            "exact": lambda: exactly(terms),
            "order": lambda: one_by_one(terms[:, rng.permutation(terms.shape[1])]),
            "pairs": lambda: in_pairs(terms),
            "blocks": lambda: one_by_one(
                np.stack([exactly(terms[:, i : i + 32]) for i in range(0, case.k, 32)], axis=1)
            ),
            "float64": lambda: terms.sum(1).astype(np.float32),
            "lanes": lambda: in_pairs(
                np.stack([one_by_one(terms[:, i::8]) for i in range(8)], axis=1)
            ),
            "aligned": lambda: aligned(terms, 25, 32, 23) if spread < 60 else exactly(terms),
        }[how]()
    report = case.check(d)
    assert report.verdict in {"conforms", "conforms-as"}, f"{how}\n{report}"
    assert report.ok
    if report.verdict == "conforms-as":
        assert report.inferred
        assert all(f.legal for f in report.findings)


ACCUMULATORS = {
    "float32-sequential": one_by_one,
    "float32-pairwise": in_pairs,
    "ocp-fp32": lambda t: one_by_one(
        np.stack([exactly(t[:, i : i + 32]) for i in range(0, t.shape[1], 32)], axis=1)
    ),
    "nv-hopper-fp8": lambda t: aligned(t, 13, 32, 13),
}


@pytest.mark.parametrize("name", ACCUMULATORS)
def test_an_accumulator_is_named(name):
    case = Case(("mxfp8_e4m3", "mxfp8_e4m3"), 64, 8, spread=6)
    if name.startswith("nv"):  # the instruction takes no scales
        case.scales = [np.full_like(scales, 127) for scales in case.scales]
    d = ACCUMULATORS[name](normal_terms(case) if name.startswith("nv") else case.terms())
    report = case.check(d)
    assert report.verdict == "conforms-as", str(report)
    assert report.inferred[0].name == name
    assert first(report) == ("G5", 0)
    assert case.check(d, accumulate=name).verdict == "conforms"
    claimed = case.check(d, accumulate="exact")
    assert (claimed.verdict, first(claimed)) == ("defect", ("G5", 0))
    assert not claimed.ok
    with pytest.raises(ValueError, match="unknown accumulation"):
        case.check(d, accumulate="exakt")


def normal_terms(case):
    """Products whose leading bit is where the stored exponents say: mantissas of zero."""
    case.codes = [
        np.where((c & 0x78) == 0, c | 0x38, c & 0xF8).astype(np.uint8) for c in case.codes
    ]
    return case.terms()


@pytest.mark.parametrize("width", [11, 19, 22])
def test_the_width_of_an_accumulator_is_found(width):
    case = Case(("mxfp8_e5m2", "mxfp8_e4m3"), 64, 4, spread=3)
    report = case.check(aligned(case.terms(), width, case.k, 23))
    assert report.verdict == "conforms-as", str(report)
    assert f"{width} fractional bits" in report.inferred[0].found


def test_another_output_is_a_legal_choice():
    import ml_dtypes

    case = Case(("mxfp8_e4m3", "mxfp8_e4m3"))
    d = exactly(case.terms()).astype(ml_dtypes.bfloat16).astype(np.float32)
    report = case.check(d)
    assert (report.verdict, first(report)) == ("conforms-as", ("OP-DOT-OUTPUT", 0)), str(report)
    claimed = case.check(d, accumulate="exact")
    assert (claimed.verdict, first(claimed)) == ("defect", ("G14", 0))


def test_an_accumulator_of_bfloat16_is_a_defect():
    import ml_dtypes

    case = Case(("mxfp8_e4m3", "mxfp8_e4m3"))
    total = np.zeros(48, ml_dtypes.bfloat16)
    for column in case.terms().T:
        total = (total.astype(np.float32) + column.astype(np.float32)).astype(ml_dtypes.bfloat16)
    report = case.check(total.astype(np.float32))
    assert (report.verdict, first(report)) == ("defect", ("G5", 0)), str(report)


# --- faults -----------------------------------------------------------------------------------


def rolled(scales):
    return np.roll(scales, 1, axis=1)


FACTORS = {
    "G1 none": lambda a, _: 0 * a + 1,
    "G1 a": lambda _, b: b,
    "G1 b": lambda a, _: a,
    "G3 first": lambda a, b: a[:, :1] * b[:, :1] + 0 * a,
    "G3 twice": lambda a, b: (a * b) ** 2,
    "G3 squared a": lambda a, _: a * a,
    "G3 inverse": lambda a, b: 1 / (a * b),
    "G3 shifted": lambda a, b: rolled(a) * rolled(b),
    "G8 zero": lambda a, _: 0 * a,
}


@pytest.mark.parametrize(
    ("pair", "total"), [(PAIRS[1], "one by one"), (PAIRS[3], "exact"), (PAIRS[4], "exact")]
)
@pytest.mark.parametrize("name", FACTORS)
def test_a_wrong_scale_is_named_first_with_nothing_left(name, pair, total):
    case = Case(pair, 32, 3)
    factor = FACTORS[name](*map(scale_values, case.scales))
    report = case.check(SUMS[total](case.terms(factor)))
    assert report.verdict == "defect", str(report)
    assert first(report) == (name[:2], 0)
    assert report.findings[0].witness is not None


def test_scale_codes_at_the_ends():
    case = Case(("mxfp4", "mxfp4"))
    case.scales[0][::3, 1], case.scales[1][::3, 1] = 0, 254
    factor = scale_values(case.scales[0]) * scale_values(case.scales[1])
    zero = case.check(exactly(case.terms(np.where(case.scales[0] == 0, 0.0, factor))))
    assert (zero.verdict, first(zero)) == ("defect", ("D9", 0)), str(zero)
    case.scales[0][::3, 1] = 255
    factor = scale_values(np.minimum(case.scales[0], 254)) * scale_values(case.scales[1])
    factor[::3, 1] = 2.0**128 * 2.0**127
    number = case.check(exactly(case.terms(factor)))
    assert (number.verdict, first(number)) == ("defect", ("D10", 0)), str(number)


@pytest.mark.parametrize("total", SUMS)
@pytest.mark.parametrize("what", ["block", "part", "all", "poison"])
def test_padding_that_takes_part(what, total):
    case = Case(("mxfp8_e4m3", "mxfp8_e4m3"), blocks=3)
    case.scales[0][::2, 2] = 255 if what == "poison" else 130
    k = 40
    counted = {"block": 64, "part": 32, "all": 96, "poison": 40}[what]
    terms = case.terms()[:, :counted]
    d = SUMS[total](np.where(np.isnan(terms), 0.0, terms))
    if what == "poison":
        d[::2] = np.nan
    report = case.check(d, k=k)
    name = "G15" if what == "part" else "G4"  # less than K, or more
    assert (report.verdict, first(report)) == ("defect", (name, 0)), str(report)
    right = SUMS[total](case.terms()[:, :k])
    assert case.check(right, k=k).ok


def test_operands_of_two_widths():
    case = Case(("mxfp6_e2m3", "mxfp6_e3m2"))
    swapped = [case.tables[1], case.tables[0]]
    report = case.check(exactly(case.terms(tables=swapped)))
    assert (report.verdict, first(report)) == ("defect", ("G6", 0)), str(report)
    report = case.check(one_by_one(case.terms(tables=[case.tables[0], case.tables[0]])))
    assert (report.verdict, first(report)) == ("defect", ("G6", 0)), str(report)


@pytest.mark.parametrize("lane", [0, 17, 31])
def test_a_lane_that_is_left_out(lane):
    case = Case(("mxint8", "mxint8"))
    terms = case.terms()
    terms[:, lane::32] = 0
    report = case.check(exactly(terms))
    assert (report.verdict, first(report)) == ("defect", ("G9", 0)), str(report)
    assert f"lane {lane}" in report.findings[0].detail


def test_signs_and_subnormals():
    case = Case(("mxfp8_e5m2", "mxfp8_e4m3"))
    report = case.check(exactly(np.abs(case.terms())))
    assert (report.verdict, first(report)) == ("defect", ("G10", 0)), str(report)
    flushed = [np.where(np.abs(t) < 2.0**least, 0.0, t) for t, least in zip(
        case.tables, (-14, -6), strict=True)]  # fmt: skip
    small = Case(("mxfp8_e5m2", "mxfp8_e4m3"))
    small.codes = [c & m for c, m in zip(small.codes, (0x87, 0x8F), strict=True)]
    report = small.check(exactly(small.terms(tables=flushed)))
    assert (report.verdict, first(report)) == ("defect", ("D8", 0)), str(report)


def test_two_faults_at_once():
    case = Case(("mxfp8_e4m3", "mxfp8_e4m3"))
    terms = case.terms(factor=scale_values(case.scales[1]))
    terms[:, 5::32] = 0
    report = case.check(exactly(terms))
    assert report.verdict == "defect", str(report)
    assert {f.id for f in report.findings} == {"G1", "G9"}


def test_what_nobody_knows_is_unexplained():
    case = Case(("mxfp8_e4m3", "mxfp8_e4m3"))
    report = case.check(exactly(case.terms()) * np.float32(1.01))
    assert report.verdict == "unexplained", str(report)
    assert report.mismatches.elements > 40
    json.loads(report.to_json())


def test_results_of_a_narrower_type_are_said_to_be_that():
    import ml_dtypes

    case = Case(("mxfp8_e4m3", "mxfp8_e4m3"))
    wide = one_by_one(case.terms()[:, np.random.default_rng(0).permutation(case.k)])
    report = case.check(wide.astype(ml_dtypes.bfloat16).astype(np.float32))
    told = [note for note in report.notes if "bfloat16" in note]
    assert told or "bfloat16" in report.findings[0].detail, str(report)


@pytest.mark.parametrize("pair", [("mxfp4", "mxfp6_e2m3"), ("mxfp8_e5m2", "mxfp8_e5m2")])
def test_every_fault_of_the_catalogue_is_named(pair):
    """The catalogue's models are written apart from those of the check, over integers."""
    case = Case(pair, 42, 3, spread=5, specials=True)
    if pair[0] == "mxfp8_e5m2":
        case.codes[0][1::9, 3], case.codes[1][1::9, 3] = 0x7C, 0
        case.codes[0][2::9, 3:5], case.codes[1][2::9, 3:5] = 0x7C, (0x3C, 0xBC)
        case.codes[0][3::9, 3] = 0x7D
    case.codes[0][4::9, 8:], case.codes[1][4::9, 8:] = 1, 1
    case.scales[0][5::9], case.scales[1][5::9] = 250, 250
    case.scales[0][12::14], case.scales[1][12::14] = 200, 0
    case.scales[0][6::9], case.scales[1][6::9] = 10, 10
    case.codes[0][8::14, :32] = 0
    k = 75
    formats = tuple(block_format(f) for f in pair)
    seen = set()
    # The pair of two types has what only such a pair shows.
    models = [
        m for m in dot_models(*formats) if pair[0] == pair[1] or m.id[0] != "G" or m.id == "G6"
    ]
    for model in models:
        rows = zip(case.scales[0], case.codes[0], case.scales[1], case.codes[1], strict=True)
        d = np.array([model.subject(k, *row) for row in rows], np.float32)
        report = case.check(d, k=k)
        named = {f.id for f in report.findings}
        if report.verdict == "conforms":
            continue
        seen.add(model.id)
        assert report.verdict in {"defect", "conforms-as"}, f"{model.id} {model.detail}\n{report}"
        if model.legal_change and report.ok:
            continue  # another accumulator may have the same bits
        # What is left out of K is G4 in the catalogue, and not said to be padding here.
        expected = {model.id, "G15"} if model.id == "G4" else {model.id}
        assert expected & named, f"{model.id} {model.detail}\n{report}"
    assert {"D8", "D9", "D10"} <= seen
    assert pair[0] != pair[1] or {"G1", "G3", "G4", "G5", "G8", "G9", "G10", "G11"} <= seen


# --- matrices ---------------------------------------------------------------------------------


def operands(fmt="mxfp8_e4m3", m=16, n=16, k=128, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((m, k)) * 2.0 ** rng.integers(-4, 4, (m, k // 32)).repeat(32, 1)
    y = rng.standard_normal((k, n)) * 2.0 ** rng.integers(-4, 4, (k // 32, n)).repeat(32, 0)
    a = mxref.quantize(x.astype(np.float32), fmt)
    return a, mxref.quantize(y.astype(np.float32), fmt, axis=0)


def product(a, b):
    return (a.dequantize().astype(float) @ b.dequantize().astype(float)).astype(np.float32)


@pytest.mark.parametrize("fmt", ["mxfp4", "mxfp8_e4m3", "mxfp8_e5m2", "mxint8", "mxfp6_e3m2"])
def test_a_matrix_product(fmt):
    a, b = operands(fmt, 24, 40)
    assert matmul(a, b, product(a, b)).verdict == "conforms"
    assert matmul(a, b, a.dequantize() @ b.dequantize()).ok


def test_a_matrix_read_the_wrong_way():
    a, b = operands()
    transposed = matmul(a, b, product(a, b).T)
    assert (transposed.verdict, first(transposed)) == ("defect", ("L8", 0)), str(transposed)
    turned = np.ascontiguousarray(b.scales.T).reshape(b.scales.shape)
    other = mxref.MXArray(b.codes, turned, b.format, axis=0)
    report = matmul(a, b, product(a, other))
    assert (report.verdict, first(report)) == ("defect", ("L3", 0)), str(report)
    square = operands(m=128)[0]
    wrong = mxref.MXArray(square.codes.T, square.scales, square.format)
    report = matmul(square, b, product(wrong, b))
    assert (report.verdict, first(report)) == ("defect", ("L8", 0)), str(report)


def test_matrices_that_do_not_fit():
    a, b = operands(m=8)
    d = product(a, b)
    with pytest.raises(ValueError, match=r"transposed\?"):
        matmul(a, b, d.T)
    with pytest.raises(TypeError, match="float32"):
        matmul(a, b, d.astype(np.int32))
    with pytest.raises(ValueError, match="axis"):
        matmul(a, a, d)
    with pytest.raises(TypeError, match="MXArray"):
        matmul(a, d, d)
    with pytest.raises(ValueError, match="blocks of"):
        matmul(a, mxref.quantize(np.ones((128, 16), np.float32), "mxfp4", 0, block_size=16), d)


def test_rows_that_do_not_fit():
    case = Case(("mxfp4", "mxfp4"))
    d = exactly(case.terms())
    (sa, sb), (ca, cb) = case.scales, case.codes
    with pytest.raises(ValueError, match="need"):
        dot(ca, sa[:, :1], cb, sb, d, "mxfp4")
    with pytest.raises(ValueError, match="d has shape"):
        dot(ca, sa, cb, sb, d[:3], "mxfp4")
    with pytest.raises(ValueError, match="k is 500"):
        dot(ca, sa, cb, sb, d, "mxfp4", k=500)
    with pytest.raises(ValueError, match="codes_a and scales_a exchanged"):
        dot(sa, ca, cb, sb, d, "mxfp4")
    with pytest.raises(ValueError, match="codes_b and scales_b exchanged"):
        dot(ca, sa, sb, cb, d, "mxfp4")
    with pytest.raises(ValueError, match="range"):
        dot(ca + 16, sa, cb, sb, d, "mxfp4")
    assert dot(ca[:0], sa[:0], cb[:0], sb[:0], d[:0], "mxfp4").verdict == "not-testable"


# --- driven -----------------------------------------------------------------------------------


def kernel(pair, total, factor=None, count=None):
    """A kernel of my own for the driver, as it is called."""

    def run(codes_a, scales_a, codes_b, scales_b):
        case = Case.__new__(Case)
        case.pair, case.tables = pair, [values(fmt) for fmt in pair]
        k = codes_a.shape[1]
        case.codes = [np.pad(c, ((0, 0), (0, -k % 32))) for c in (codes_a, codes_b)]
        case.scales = [scales_a, scales_b]
        with np.errstate(all="ignore"):
            f = None if factor is None else factor(*map(scale_values, case.scales))
            terms = case.terms(f)
            return total(terms if count is None else terms[:, : count(k)])

    return run


def vectorised(width, group, keep):
    """`aligned` for the sizes that a driver uses: the same steps in float64."""

    def total(terms):
        bad = ~np.isfinite(terms)
        settled = np.where(bad, terms, 0.0).sum(1)
        terms = np.where(bad, 0.0, terms)
        running = np.zeros(len(terms))
        for start in range(0, terms.shape[1], group):
            part = np.concatenate([terms[:, start : start + group], running[:, None]], axis=1)
            top = np.frexp(np.abs(part).max(1))[1] - 1
            units = np.trunc(np.ldexp(part, (width - top)[:, None])).sum(1)
            value = np.ldexp(units, top - width)
            last = np.maximum(np.frexp(value)[1] - 1, -126) - keep
            running = np.ldexp(np.trunc(np.ldexp(value, -last)), last)
        return np.where(settled != 0, settled, running).astype(np.float32)

    return total


def driven(pair, fn, **options):
    return drive_dot(fn, *map(block_format, pair), **options)


@pytest.mark.parametrize("pair", [PAIRS[0], PAIRS[2], PAIRS[5]])
def test_right_kernels_pass(pair):
    report = driven(pair, kernel(pair, one_by_one))
    assert report.verdict == "conforms-as", str(report)
    assert report.inferred[0].name == "float32-sequential"
    wide = driven(pair, kernel(pair, lambda t: t.sum(1).astype(np.float32)))
    assert wide.ok, str(wide)
    claimed = driven(pair, kernel(pair, one_by_one), asked=get_policy("ocp"))
    assert claimed.verdict == "defect"


def test_an_exact_kernel_conforms():
    pair = PAIRS[0]
    report = driven(pair, kernel(pair, exactly), asked=get_policy("ocp"), level="smoke")
    assert report.verdict == "conforms", str(report)


@pytest.mark.parametrize(("width", "keep", "group"), [(13, 13, 32), (25, 23, 32), (24, 23, 8)])
def test_the_width_is_measured(width, keep, group):
    pair = ("mxfp8_e4m3", "mxfp8_e4m3")
    report = driven(pair, kernel(pair, vectorised(width, group, keep)))
    assert report.ok, str(report)
    assert f"{width} fractional bits" in report.inferred[0].found
    widths = next(i for i in report.inferred if i.what == "alignment width")
    assert f"{width} at distance 1" in widths.found


@pytest.mark.parametrize(
    ("fault", "options"),
    [
        ("G1", {"factor": FACTORS["G1 none"]}),
        ("G1", {"factor": FACTORS["G1 a"]}),
        ("G3", {"factor": FACTORS["G3 first"]}),
        ("G3", {"factor": FACTORS["G3 twice"]}),
        ("G8", {"factor": FACTORS["G8 zero"]}),
        ("G15", {"count": lambda k: k // 32 * 32}),
        ("G15", {"count": lambda k: k // 64 * 64 if k > 64 else k}),
    ],
)
def test_a_driven_fault_is_named(fault, options):
    pair = ("mxfp8_e4m3", "mxfp4")
    report = driven(pair, kernel(pair, one_by_one, **options))
    assert (report.verdict, first(report)) == ("defect", (fault, 0)), str(report)


def test_padding_that_is_nan():
    pair = PAIRS[0]
    right = kernel(pair, one_by_one)

    def run(codes_a, *others):
        d = right(codes_a, *others)
        return d if codes_a.shape[1] % 32 == 0 else np.full_like(d, np.nan)

    report = driven(pair, run)
    assert (report.verdict, first(report)) == ("defect", ("G4", 0)), str(report)


def test_broken_kernels():
    pair = PAIRS[0]
    right, rng = kernel(pair, one_by_one), np.random.default_rng(0)
    with pytest.raises(TargetError, match="dtype"):
        driven(pair, lambda *x: right(*x).astype(np.float64))
    with pytest.raises(TargetError, match="diagonal"):
        driven(pair, lambda *x: np.tile(right(*x), (48, 1)))
    with pytest.raises(TargetError, match="dtype"):
        driven(pair, lambda *_: None)
    report = driven(pair, lambda *x: right(*x) + rng.integers(0, 2, 48).astype(np.float32))
    assert report.trouble is not None
    assert report.trouble.kind == "nondeterministic"
    assert report.verdict == "unexplained"

    def refuses(codes_a, *others):
        if codes_a.shape[1] % 32:
            raise TargetError("K is no multiple of 32", "raised")
        return right(codes_a, *others)

    partly = driven(pair, refuses)
    assert partly.ok
    assert any("no multiple" in gap.needs for gap in partly.gaps)
