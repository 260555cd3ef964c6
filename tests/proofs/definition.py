"""Where codes begin, in exact fractions: what the proofs hold the lane programs to.

Nothing here is taken from the programs, their parameters or ``mxref.exact``: each rule is one
inequality, written from its text in ``mxref._choices``. A scale rule is "the scale is 2^e or more
exactly where amax is that large"; an element rounding is "the code is m + 1 or more exactly where
the magnitude is that large". The least input word that satisfies the inequality is then searched
by bisection, with the value of a word as a fraction.
"""

import bisect
import functools
import itertools
import struct
from dataclasses import dataclass
from fractions import Fraction

from mxref.formats import Kind

ANY = "the least number above 0"
"""In the place of a start: every magnitude but 0 lies beyond."""


@dataclass(frozen=True)
class Float:
    """A float type, by its fields."""

    name: str
    width: int
    mantissa_bits: int

    @property
    def bias(self):
        return (1 << (self.width - 2 - self.mantissa_bits)) - 1

    @property
    def infinity(self):
        """The word of infinity; those of finite magnitudes lie below."""
        return (2 * self.bias + 1) << self.mantissa_bits

    def value(self, word):
        """The number that the word of a magnitude stands for; infinity as the next power of two."""
        field, fraction = divmod(word, 1 << self.mantissa_bits)
        if field:
            fraction += 1 << self.mantissa_bits
        return fraction * pow2(max(field, 1) - self.bias - self.mantissa_bits)


SOURCES = {
    f.name: f
    for f in (
        Float("float64", 64, 52),
        Float("float32", 32, 23),
        Float("bfloat16", 16, 7),
        Float("float16", 16, 10),
    )
}


@functools.cache
def pow2(exponent):
    return Fraction(2) ** exponent


def first_word(source, holds, *hints):
    """The least word of a magnitude of which something holds that goes on holding above it.

    Where it holds of no finite number, the word of infinity. `hints` are where it may begin.
    """
    for hint in hints:
        is_inside = 0 < hint < source.infinity
        if is_inside and holds(source.value(hint)) and not holds(source.value(hint - 1)):
            return hint
    low, high = -1, source.infinity
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(source.value(middle)) else (middle, high)
    return high


# --- scales ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Bound:
    """All numbers from `value` on, itself among them or not."""

    value: Fraction
    inclusive: bool

    def holds(self, number):
        return number > self.value or (self.inclusive and number == self.value)


def largest_two(element):
    """The two largest values of an element format."""
    step = pow2(element.emax - element.mantissa_bits)
    return element.max - step, element.max


def exponent_bound(rule, element, exponent, random=None):
    """Which numbers give a scale of 2^exponent or more, exponents unbounded (OP-SCALE-RULE).

    A bound on amax; for RCEIL on amax / max; for NEAREST_LOG on the square of amax. `random` is
    the pair (R, N) of STOCHASTIC.
    """
    aligned = pow2(exponent + element.emax)  # to which FLOOR gives exactly this scale
    smaller = pow2(exponent - 1)  # the next smaller scale
    step = aligned / pow2(1 + element.mantissa_bits)  # below `aligned`, at the element's width
    match str(rule):
        case "floor":  # 2^exponent * 2^emax <= amax
            return Bound(aligned, inclusive=True)
        case "ceil":  # the next smaller power of two is too small
            return Bound(aligned / 2, inclusive=False)
        case "rceil":  # the next smaller scale is too small: amax / X > max
            return Bound(smaller, inclusive=False)
        case "even":  # amax rounds up to the power of two
            return Bound(aligned - step / 2, inclusive=True)
        case "even-down":
            return Bound(aligned - step / 2, inclusive=False)
        case "tosa":  # at the next smaller scale amax rounds beyond max
            second, largest = element_values(element)[element.max_magnitude - 1 :][:2]
            stays = element.max_magnitude % 2 == 0  # a tie goes to the even code
            return Bound(smaller * (largest + (largest - second) / 2), inclusive=not stays)
        case "nearest-log":  # exponent + emax <= log2 amax + 1/2, of the squares
            return Bound(aligned * aligned / 2, inclusive=True)
        case "plus-one":  # one more than FLOOR
            return Bound(aligned / 2, inclusive=True)
        case "p3109":  # beyond the middle of two powers of two, no emax; a tie to the even code
            return Bound(smaller * Fraction(3, 2), inclusive=(exponent + 127) % 2 == 0)
        case "stochastic":  # floor((m - 1) * 2^N) + R >= 2^N, m the significand of amax
            draw, bits = random
            return Bound(aligned / 2 * (2 - Fraction(draw, 1 << bits)), inclusive=True)
    raise AssertionError(rule)


FLUSHED = 0x100
"""Added to the scale code of a block that becomes zeros."""

INFINITE = {"nan-scale": 0xFF, "saturate": 0xFE, "flush-block": FLUSHED}
ZERO_CODES = {"min": 0x00, "one": 0x7F, "nan": 0xFF}


def seen_by_rule(policy, element, source):
    """The number that a rule takes an exponent of, as a function of amax; 0 counts as zero."""
    narrow = [SOURCES[policy.scale_amax]] if policy.scale_amax != "source" else []
    divides = policy.scale_rule == "rceil"
    if divides and policy.scale_quotient != "exact":
        narrow.append(SOURCES["float32"])
    least_normal = source.value(1 << source.mantissa_bits)

    def seen(amax):
        if policy.input_subnormal == "flush" and amax < least_normal:
            return Fraction(0)
        for grid in narrow:
            amax = nearest_in(amax, grid)
            if amax >= pow2(grid.bias + 1):
                return None  # beyond the range of the type: an infinity
        if divides:
            single = SOURCES["float32"]
            match str(policy.scale_quotient):
                case "exact":
                    amax = amax / element.max
                case "float32":
                    amax = nearest_in(amax / element.max, single)
                case _:
                    amax = nearest_in(amax * nearest_in(1 / element.max, single), single)
        if 0 < amax < pow2(-126):
            match str(policy.scale_subnormal):
                case "bits":  # exponent -127, significand 1 + x / 2^-126
                    return pow2(-127) * (1 + amax / pow2(-126))
                case "flush":
                    return Fraction(0)
        return amax

    return seen


def scale_ladder(policy, element, source, random=None):
    """Where scale codes begin, and which: for every finite amax that is not 0.

    Returns
    -------
    starts : list of int, the words of amax
    codes : list of int
    """
    seen = seen_by_rule(policy, element, source)
    squares = policy.scale_rule == "nearest-log"
    lowest = source.value(1)
    exponents = range(-126, 130)  # at least 2^-126 is code 1; 2^128 and more is out of range
    if "wrap" in (policy.scale_below, policy.scale_above) or policy.scale_below == "flush-block":
        beyond = 0 if policy.scale_rule == "p3109" else element.emax  # P3109 knows no emax
        exponents = range(floor_log2(lowest) - element.emax - 2, source.bias + 4 - beyond)
    cuts, hint = [], 0
    for exponent in exponents:
        bound = exponent_bound(policy.scale_rule, element, exponent, random)

        def holds(amax, bound=bound):
            number = seen(amax)
            return number is None or bound.holds(number * number if squares else number)

        hint = first_word(source, holds, hint)
        cuts.append(hint)
        hint += 1 << source.mantissa_bits
    nonzero = first_word(source, lambda amax: seen(amax) != 0)
    infinite = first_word(source, lambda amax: seen(amax) is None)

    def code(word):
        if word < nonzero:
            return ZERO_CODES[policy.scale_zero_block]
        if word >= infinite:
            return INFINITE[policy.scale_inf]
        return in_range(exponents[0] - 1 + bisect.bisect_right(cuts, word), policy)

    starts = sorted({0, nonzero, infinite, *cuts} - {source.infinity})
    return starts, [code(word) for word in starts]


def scale_cut(rule, element, source, exponent):
    """The least amax, as a word, to which a rule gives a scale of 2^exponent or more."""
    bound = exponent_bound(rule, element, exponent)
    transform = {"nearest-log": lambda amax: amax * amax, "rceil": lambda amax: amax / element.max}
    seen = transform.get(rule, lambda amax: amax)
    return first_word(source, lambda amax: bound.holds(seen(amax)))


def in_range(exponent, policy):
    """The code of an exponent (OP-SCALE-RANGE)."""
    if exponent < -127:
        return {"clamp": 0, "flush-block": FLUSHED, "wrap": (exponent + 127) % 256}[
            policy.scale_below
        ]
    if policy.scale_above == "clamp-125":
        return min(exponent, 125) + 127
    if exponent > 127:
        return {"clamp": 0xFE, "nan": 0xFF, "wrap": (exponent + 127) % 256}[policy.scale_above]
    return exponent + 127


# --- casts to E8M0 ---------------------------------------------------------------------------


def cast_ladder(policy, source):
    """Where E8M0 codes begin, and which: for every finite number above 0 (OP-E8M0-CAST)."""

    def seen(number):
        is_misread = policy.e8m0_subnormal == "bits" and 0 < number < pow2(-126)
        return pow2(-127) * (1 + number / pow2(-126)) if is_misread else number

    def bound(exponent):
        """Which numbers go to 2^exponent or more."""
        smaller = pow2(exponent - 1)
        match str(policy.e8m0_rounding):
            case "down":
                return Bound(2 * smaller, inclusive=True)
            case "up":
                return Bound(smaller, inclusive=False)
            case "nearest":
                return Bound(smaller * Fraction(3, 2), inclusive=True)
            case _:  # a tie to the even code
                return Bound(smaller * Fraction(3, 2), inclusive=(exponent + 127) % 2 == 0)

    underflow = {"min": 0x00, "nan": 0xFF}[policy.e8m0_underflow]
    overflow = {"saturate": 0xFE, "nan": 0xFF}[policy.e8m0_overflow]
    starts, hint = [0], 0
    for exponent in range(-127, 129):
        reached = bound(exponent)
        hint = first_word(source, lambda x, b=reached: b.holds(seen(x)), hint)
        starts.append(hint)
        hint += 1 << source.mantissa_bits
    return starts, [underflow, *range(255), overflow]


# --- elements --------------------------------------------------------------------------------


def element_values(element):
    """The values of the magnitude codes, from 0 to the largest, and what the grid has beyond."""

    def value(code):
        if element.kind is Kind.FIXED:
            return Fraction(code, 1 << element.mantissa_bits)
        field, fraction = divmod(code, 1 << element.mantissa_bits)
        if field:
            fraction += 1 << element.mantissa_bits
        return fraction * pow2(max(field, 1) - element.bias - element.mantissa_bits)

    return [value(code) for code in range(element.max_magnitude + 2)]


def rounding_bound(below, above, code, rounding, negative):
    """Which magnitudes between two neighbours, the codes `code` and one more, go up."""
    middle = (below + above) / 2
    is_even = code % 2 == 0
    match str(rounding):
        case "nearest-even":
            return Bound(middle, inclusive=not is_even)
        case "nearest-away":
            return Bound(middle, inclusive=True)
        case "nearest-down":
            return Bound(middle, inclusive=False)
        case "toward-zero":
            return Bound(above, inclusive=True)
        case "up":
            return Bound(above, inclusive=True) if negative else Bound(below, inclusive=False)
        case "down":
            return Bound(below, inclusive=False) if negative else Bound(above, inclusive=True)
        case "to-odd":
            return Bound(below, inclusive=False) if is_even else Bound(above, inclusive=True)
    raise AssertionError(rounding)


def nearest_in(number, grid):
    """A number rounded to nearest even in a float type, gradual underflow included."""
    exponent = max(floor_log2(number), 1 - grid.bias) if number else 1 - grid.bias
    step = pow2(exponent - grid.mantissa_bits)
    return round(number / step) * step  # Python rounds a tie to even


def floor_log2(number):
    guess = number.numerator.bit_length() - number.denominator.bit_length()
    return guess - 1 if number < pow2(guess) else guess


def element_starts(element, rounding, negative, *, through=None):
    """For each magnitude code from 1 to one beyond the largest: where it begins.

    In words of float64, or `ANY` where every number above 0 lies beyond. `through` is a narrower
    float type to which values are rounded first.
    """
    starts = []
    values = element_values(element)
    for code, (below, above) in enumerate(itertools.pairwise(values)):
        bound = rounding_bound(below, above, code, rounding, negative)
        if through is None and bound == Bound(Fraction(0), inclusive=False):
            starts.append(ANY)
            continue

        def holds(v, bound=bound):
            return bound.holds(v if through is None else nearest_in(v, through))

        near = struct.unpack("<q", struct.pack("<d", bound.value))[0]
        starts.append(first_word(SOURCES["float64"], holds, near, near + 1))
    return starts


def signed_code(element, policy, magnitude_code, negative):
    """The code of a result; a negative zero keeps its sign unless the policy drops it."""
    if element.kind is Kind.FIXED:
        return (-magnitude_code if negative else magnitude_code) & 0xFF
    if magnitude_code == 0 and policy.neg_zero == "drop":
        negative = False
    return magnitude_code | (element.sign_mask if negative else 0)


def largest_code(element, policy, negative):
    """The magnitude code of the largest finite value of a sign (OP-INT8-MIN)."""
    is_wider = element.kind is Kind.FIXED and negative and policy.int8_min == "used"
    return element.max_magnitude + is_wider


def nan_code(element, policy, negative, second=0):
    """The code of a NaN; `second` is the bit below the quiet bit of its mantissa."""
    if element.is_fp8:
        sign = {"canonical": 0, "negative": 0x80}.get(policy.nan_payload, 0x80 * negative)
        if not element.has_inf:  # E4M3 has one NaN
            return sign | 0x7F
        return sign | {"quiet-signed": 0x7E, "payload": 0x7E | second}.get(policy.nan_payload, 0x7F)
    match str(policy.nan_element):
        case "signed-max":
            largest = largest_code(element, policy, negative)
            return signed_code(element, policy, largest, negative)
        case "zero":
            return 0
        case "flipped-zero":
            return signed_code(element, policy, 0, not negative)
        case _:
            return element.max_magnitude


def beyond_code(element, policy, negative, *, is_infinity):
    """The code of an infinity, or of a number that rounds beyond the largest value."""
    saturated = signed_code(element, policy, largest_code(element, policy, negative), negative)
    mode = str(policy.fp8_overflow)
    if not element.is_fp8 or mode == "saturate":
        return saturated
    inward = {"toward-zero"} | ({"up"} if negative else {"down"})
    if mode == "overflow":
        inward.add("to-odd")
    if not is_infinity and (mode == "propagate" or policy.rounding in inward):
        return saturated
    if element.has_inf:
        return 0x7C | (0x80 if negative else 0)
    return nan_code(element, policy, negative) if mode == "overflow" else saturated


def element_ladder(element, policy, negative):
    """Where codes begin, and which: for the scaled magnitude of every finite number but 0.

    Returns
    -------
    starts : list of int, words of float64; the first is not looked at
    codes : list of int
    """
    through = None
    if policy.scaled_intermediate != "exact":
        through = SOURCES[policy.scaled_intermediate]
    starts = element_starts(element, policy.rounding, negative, through=through)
    largest = largest_code(element, policy, negative)
    if largest > element.max_magnitude:  # one code more, at -2
        below, above = Fraction(2), 2 + element.min_subnormal
        bound = rounding_bound(below, above, largest, policy.rounding, negative)
        seen = (lambda v: v) if through is None else (lambda v: nearest_in(v, through))
        starts.append(first_word(SOURCES["float64"], lambda v: bound.holds(seen(v))))
    sizes = list(range(largest + 1))
    if element.kind is Kind.FLOAT and policy.element_subnormal == "flush":
        sizes = [m if m >= 1 << element.mantissa_bits else 0 for m in sizes]
    codes = [signed_code(element, policy, m, negative) for m in sizes]
    codes.append(beyond_code(element, policy, negative, is_infinity=False))
    if starts[0] == ANY:
        codes = codes[1:]
    else:
        starts = [0, *starts]
    if through is not None:
        limit = pow2(through.bias + 1)
        over = first_word(SOURCES["float64"], lambda v: nearest_in(v, through) >= limit)
        kept = bisect.bisect_left(starts, over)
        starts = [*starts[:kept], over]
        codes = [*codes[:kept], beyond_code(element, policy, negative, is_infinity=True)]
    return starts, codes
