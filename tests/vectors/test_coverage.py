"""What the set promises to contain, counted without the code that built it."""

import itertools
from collections import Counter
from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest

from mxref.vectors import Verdict

ELEMENTS = {
    "e4m3": ml_dtypes.float8_e4m3fn,
    "e5m2": ml_dtypes.float8_e5m2,
    "e3m2": ml_dtypes.float6_e3m2fn,
    "e2m3": ml_dtypes.float6_e2m3fn,
    "e2m1": ml_dtypes.float4_e2m1fn,
}
BLOCKS = {
    "mxfp8_e4m3": "e4m3",
    "mxfp8_e5m2": "e5m2",
    "mxfp6_e3m2": "e3m2",
    "mxfp6_e2m3": "e2m3",
    "mxfp4": "e2m1",
    "mxint8": "int8",
}
WIDTH = {"e4m3": 8, "e5m2": 8, "e3m2": 6, "e2m3": 6, "e2m1": 4, "int8": 8, "e8m0": 8}
TYPES = {"float32": np.uint32, "bfloat16": np.uint16, "float16": np.uint16}
DTYPES = {"float32": np.float32, "bfloat16": ml_dtypes.bfloat16, "float16": np.float16}


def magnitudes(name):
    """Finite magnitudes of an element format, by ml_dtypes (INT8 by hand)."""
    if name == "int8":
        return [Fraction(i, 64) for i in range(128)]
    codes = np.arange(1 << (WIDTH[name] - 1), dtype=np.uint8)
    values = codes.view(ELEMENTS[name]).astype(np.float64)
    return sorted(Fraction(float(v)) for v in values if np.isfinite(v))


def floats(inputs):
    bits = np.array(inputs.bits, TYPES[inputs.type])
    return bits.view(DTYPES[inputs.type])


def f32(value):
    return int(np.float32(float(value)).view(np.uint32))


@pytest.mark.parametrize("name", WIDTH)
def test_decode_has_every_code(files, name):
    cases = files["decode", name].cases
    assert [case.inputs.bits[0] for case in cases] == list(range(1 << WIDTH[name]))


@pytest.mark.parametrize("source", TYPES)
@pytest.mark.parametrize("name", [*ELEMENTS, "int8"])
def test_encode_has_every_value_and_every_midpoint(files, name, source):
    inputs = (c.inputs for c in files["encode", name].cases)
    asked = {i.bits[0] for i in inputs if i.type == source}
    values = magnitudes(name)
    sign = 1 << (31 if source == "float32" else 15)
    steps = list(itertools.pairwise(values))
    last = 2 * values[-1] - values[-2]
    middles = [(low + high) / 2 for low, high in [*steps, (values[-1], last)]]

    def bits_of(value):
        number = np.array(float(value)).astype(DTYPES[source])
        assert float(number) == value
        return int(number.view(TYPES[source]))

    for value in values:
        assert {bits_of(value), bits_of(value) | sign} <= asked
    for middle in middles:
        for ulps in (-1, 0, 1):
            assert {bits_of(middle) + ulps, (bits_of(middle) + ulps) | sign} <= asked


@pytest.mark.parametrize("source", TYPES)
@pytest.mark.parametrize("name", WIDTH)
def test_encode_has_the_specials(files, name, source):
    asked = {c.inputs.bits[0] for c in files["encode", name].cases if c.inputs.type == source}
    infinity = {"float32": 0x7F800000, "bfloat16": 0x7F80, "float16": 0x7C00}[source]
    quiet = {"float32": 1 << 22, "bfloat16": 1 << 6, "float16": 1 << 9}[source]
    signalling, least_normal = infinity | 1, quiet << 1
    largest, least = infinity - 1, 1
    wanted = {0, infinity, infinity | quiet, signalling, largest, least, least_normal}
    sign = 1 << (31 if source == "float32" else 15)
    assert wanted | {bits | sign for bits in wanted} <= asked


def test_encode_to_e8m0_has_every_power_and_binade(files):
    asked = {c.inputs.bits[0] for c in files["encode", "e8m0"].cases if c.inputs.type == "float32"}
    for field in range(1, 255):
        power, middle = field << 23, field << 23 | 1 << 22
        assert {power - 1, power, power + 1, middle - 1, middle, middle + 1} <= asked
    assert 1 << 22 in asked  # 2**-127, a float32 subnormal


@pytest.mark.parametrize("name", BLOCKS)
class TestQuantize:
    def blocks(self, files, name, group, source="float32"):
        cases = files["quantize", name].cases
        found = [c for c in cases if c.comment.startswith(group) and c.inputs.type == source]
        assert found, group
        return found

    def test_amax_lies_in_every_lane_with_either_sign(self, files, name):
        lanes = Counter()
        signs = set()
        for case in self.blocks(files, name, "amax-lane"):
            values = floats(case.inputs)
            lane = int(np.argmax(np.abs(values)))
            lanes[lane] += 1
            signs.add(bool(values[lane] < 0))
        assert sorted(lanes) == list(range(32))
        assert signs == {False, True}

    def test_every_threshold_of_the_scale_rules(self, files, name):
        element = BLOCKS[name]
        values = magnitudes(element)
        top = 2 ** int(np.log2(float(values[-1])))
        half_step = (values[-1] - values[-2]) / 2
        mantissa = {"e4m3": 3, "e5m2": 2, "e3m2": 2, "e2m3": 3, "e2m1": 1, "int8": 6}[element]
        thresholds = {
            1,
            values[-1] / top,
            2 - Fraction(1, 2 ** (mantissa + 1)),
            (values[-1] + half_step) / top,
        }
        wanted = {f32(t) + u for t in thresholds for u in (-1, 0, 1)}
        root = 0x3FB504F3  # the largest float32 below the square root of two
        wanted |= {root, root + 1, 0x3FFFFFFF}
        found = {
            max(b & 0x7FFFFFFF for b in case.inputs.bits)
            for case in self.blocks(files, name, "scale-thresholds")
        }
        assert wanted <= found

    def test_single_bit_significands(self, files, name):
        blocks = self.blocks(files, name, "single-bit")
        found = {max(b & 0x7FFFFFFF for b in c.inputs.bits) & 0x7FFFFF for c in blocks}
        assert found == {1 << bit for bit in range(23)}

    def test_range_ends(self, files, name):
        blocks = self.blocks(files, name, "range-ends")
        amaxes = {max(b & 0x7FFFFFFF for b in c.inputs.bits) for c in blocks}
        assert {1, 1 << 22, (1 << 23) - 1, 1 << 23, 0x7F7FFFFF} <= amaxes
        scales = {c.expected.scale for c in files["quantize", name].cases if c.expected}
        assert {0x00, 0x01, 0xFF} <= scales

    def test_every_element_value_and_midpoint_inside_blocks(self, files, name):
        element = BLOCKS[name]
        values = magnitudes(element)
        top = 2 ** int(np.log2(float(values[-1])))
        below = [v for v in values if v < 2 * top]
        codes, middles = set(), set()
        for group, into in (("element-codes", codes), ("element-midpoints", middles)):
            for case in self.blocks(files, name, group):
                unit = Fraction(2) ** (case.expected.scale - 127)
                into |= {Fraction(float(v)) / unit for v in floats(case.inputs)}
        assert {v for value in below for v in (value, -value)} <= codes
        ties = [(a + b) / 2 for a, b in itertools.pairwise(values)]
        assert {t for tie in ties[1:] for t in (tie, -tie)} | {ties[0]} <= middles

    def test_specials_in_every_lane(self, files, name):
        seen = set()
        for case in self.blocks(files, name, "nonfinite:"):
            values = floats(case.inputs)
            lane = int(np.flatnonzero(~np.isfinite(values))[0])
            seen.add((lane, "nan" if np.isnan(values[lane]) else float(values[lane])))
        assert {(lane, v) for lane in (0, 16, 31) for v in ("nan", np.inf, -np.inf)} <= seen
        assert {(lane, v) for lane in range(32) for v in ("nan", -np.inf)} <= seen

    def test_a_zero_of_either_sign_in_every_lane(self, files, name):
        seen = set()
        for case in self.blocks(files, name, "zero-lanes"):
            bits = case.inputs.bits
            seen |= {(lane, b) for lane, b in enumerate(bits) if b in {0, 1 << 31}}
        assert seen >= {(lane, zero) for lane in range(32) for zero in (0, 1 << 31)}

    def test_zero_blocks_of_every_type(self, files, name):
        for source in TYPES:
            patterns = {c.inputs.bits for c in self.blocks(files, name, "zero-blocks", source)}
            assert len(patterns) == 5


def test_most_of_the_set_obliges(files):
    """Open points are named, not hidden, and they are not the bulk."""
    products = ("dot", "matmul")
    conversions = [file for (operation, _), file in files.items() if operation not in products]
    verdicts = Counter(c.verdict for file in conversions for c in file.cases)
    assert verdicts[Verdict.MUST] > 0.8 * sum(verdicts.values())
    assert verdicts[Verdict.OPEN] < 100
    # Precision and order of a dot product are the implementation's, where they show.
    sums = Counter(c.verdict for (op, _), f in files.items() if op == "dot" for c in f.cases)
    assert sums[Verdict.MUST] > sums[Verdict.OPEN] > 0 == sums[Verdict.ONE_OF]
    # Of a product of matrices the length may be refused as well.
    sums = Counter(c.verdict for (op, _), f in files.items() if op == "matmul" for c in f.cases)
    assert sums[Verdict.MUST] > sums[Verdict.OPEN] > sums[Verdict.ONE_OF] > 0


def test_every_case_names_a_covergroup_of_its_file(files):
    for file in files.values():
        names = {group.name for group in file.covergroups}
        used = {case.comment.split(":")[0] for case in file.cases}
        assert used <= names
        # Later groups may add nothing in a format where an earlier one has all their inputs.
        assert all(group.reason and group.clauses for group in file.covergroups)
