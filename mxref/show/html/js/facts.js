// Facts about one code: neighbours, and the real numbers that become it under a rounding.

// Signed steps from zero along the values of a format; for a scale the unbiased exponent.
function placeOf(code, fmt) {
    if (fmt.isScale) return code - fmt.bias;
    if (fmt.isFixed) return code & fmt.signMask ? code - fmt.count : code;
    const magnitude = code & (fmt.signMask - 1);
    return code & fmt.signMask ? -magnitude : magnitude;
}

// The code of a finite value at a position, null where there is none.
function codeAt(place, fmt) {
    if (fmt.isScale) return place >= fmt.emin && place <= fmt.emax ? place + fmt.bias : null;
    if (fmt.isFixed) {
        const exists = place >= -fmt.signMask && place < fmt.signMask;
        return exists ? (place + fmt.count) % fmt.count : null;
    }
    if (Math.abs(place) > fmt.maxMagnitude) return null;
    return place < 0 ? -place + fmt.signMask : place;
}

const decodeAny = (code, fmt) => (fmt.isScale ? decodeScale(code) : decodeElement(code, fmt, OCP));

// The next finite value in a direction: { code, value, gap }, or null.
function neighbour(code, fmt, direction) {
    const other = codeAt(placeOf(code, fmt) + direction, fmt);
    if (other === null) return null;
    const value = valueOf(decodeAny(other, fmt));
    return { code: other, value, gap: absolute(sub(value, valueOf(decodeAny(code, fmt)))) };
}

// The magnitude of a place, also of the one beyond the largest, where exponents are unbounded.
function magnitudeAt(place, fmt) {
    if (place <= fmt.maxMagnitude) return decodeElement(place, fmt, OCP).magnitude;
    const more = ratio(place - fmt.maxMagnitude);
    return add(fmt.max, mul(more, elementQuantum(fmt.max, fmt)));
}

const upperMidpoint = (place, fmt) =>
    mul(HALF, add(magnitudeAt(place, fmt), magnitudeAt(place + 1, fmt)));

// The numbers V / X that round to a finite code, before overflow is dealt with:
// { low, high, lowClosed, highClosed }; null where the question has no such answer.
function roundingInterval(code, fmt, policy) {
    if (fmt.isScale) return castInterval(code, policy);
    const number = decodeElement(code, fmt, OCP);
    if (!isReal(number)) return null;
    const changesMore =
        policy.relu === "on" ||
        policy.element_subnormal === "flush" ||
        policy.scaled_intermediate !== "exact" ||
        isStochastic(policy.rounding);
    if (changesMore) return null;
    const place = Math.abs(placeOf(code, fmt));
    const reach = fmt.isFixed && policy.int8_min === "used" ? fmt.signMask : fmt.maxMagnitude;
    if (place > fmt.maxMagnitude && (place > reach || !number.sign)) return null;
    const interval = magnitudeInterval(place, number.sign, fmt, policy.rounding);
    if (place === 0) {
        // Zero: where the format has two, each takes its own side.
        if (!fmt.isFixed && policy.neg_zero === "drop") {
            if (number.sign) return null;
            return bothSides(magnitudeInterval(0, 1, fmt, policy.rounding), interval);
        }
        if (fmt.isFixed) return bothSides(magnitudeInterval(0, 1, fmt, policy.rounding), interval);
        interval.lowClosed = number.sign === 0;
    }
    return number.sign ? mirrored(interval) : interval;
}

const mirrored = ({ low, high, lowClosed, highClosed }) => ({
    low: neg(high),
    high: neg(low),
    lowClosed: highClosed,
    highClosed: lowClosed,
});

const bothSides = (below, above) => ({
    low: neg(below.high),
    high: above.high,
    lowClosed: below.highClosed,
    highClosed: above.highClosed,
});

// The magnitudes that round to a place, for a number with this sign.
function magnitudeInterval(place, sign, fmt, rounding) {
    const here = magnitudeAt(place, fmt);
    const isEven = place % 2 === 0;
    const lowest = { low: ZERO, lowClosed: true };
    const below = place ? { low: upperMidpoint(place - 1, fmt) } : lowest;
    const before = place ? { low: magnitudeAt(place - 1, fmt), lowClosed: false } : lowest;
    const high = upperMidpoint(place, fmt);
    const next = magnitudeAt(place + 1, fmt);
    const inward = { low: here, lowClosed: true, high: next, highClosed: false };
    const outward = { ...before, high: here, highClosed: true };
    switch (rounding) {
        case "nearest-even":
            return { lowClosed: isEven, ...below, high, highClosed: isEven };
        case "nearest-away":
            return { lowClosed: true, ...below, high, highClosed: false };
        case "nearest-down":
            return { lowClosed: false, ...below, high, highClosed: true };
        case "toward-zero":
            return inward;
        case "up":
            return sign ? inward : outward;
        case "down":
            return sign ? outward : inward;
        default: // to-odd
            if (isEven) return { low: here, lowClosed: true, high: here, highClosed: true };
            return { ...before, high: next, highClosed: false };
    }
}

// The numbers that a cast to E8M0 takes to a code, before its ends are dealt with.
function castInterval(code, policy) {
    if (code === E8M0.nan) return null;
    const here = pow2(code - E8M0.bias);
    const twice = mul(here, ratio(2));
    const middle = mul(here, ratio(3, 2));
    const lower = mul(here, ratio(3, 4));
    const isEven = code % 2 === 0;
    switch (policy.e8m0_rounding) {
        case "down":
            return { low: here, lowClosed: true, high: twice, highClosed: false };
        case "up":
            return { low: mul(here, HALF), lowClosed: false, high: here, highClosed: true };
        case "nearest":
            return { low: lower, lowClosed: true, high: middle, highClosed: false };
        default:
            return { low: lower, lowClosed: isEven, high: middle, highClosed: isEven };
    }
}

const intervalText = ({ low, high, lowClosed, highClosed }) =>
    `${lowClosed ? "[" : "("}${short(low)}, ${short(high)}${highClosed ? "]" : ")"}`;
