// The rules by which the largest magnitude of a block selects the exponent of its scale.
// As mxref/exact/rules.py and logarithm.py.

const LEAST_NORMAL = pow2(-126);
const SEARCHES = new Set(["mse", "mae"]);
const TAKE_LOG2 = new Set(["floor", "ceil", "rceil", "nearest-log", "plus-one"]);

const takesFloat32Log2 = (rule, policy) => policy.scale_log2 === "float32" && TAKE_LOG2.has(rule);

function roundToFloat32(value) {
    const magnitude = roundMagnitude(absolute(value), "float32");
    return value.n < 0n ? neg(magnitude) : magnitude;
}

// log2 of a positive number as a correctly rounded float32. The bits of the logarithm come from
// squaring over and over; both ends of an interval are carried along, and the work is repeated
// with more digits until both ends round alike.
function log2Float32(value) {
    const E = floorLog2(value);
    const m = div(value, pow2(E));
    if (equal(m, ONE)) return ratio(E);
    for (let bits = 96; ; bits *= 2) {
        const [low, high] = log2Interval(m, bits);
        const [a, b] = [add(ratio(E), low), add(ratio(E), high)].map(roundToFloat32);
        if (equal(a, b)) return a;
    }
}

// An interval around log2 of m, for 1 < m < 2.
function log2Interval(m, bits) {
    const point = BigInt(2 * bits + 16); // digits behind the binary point
    const two = 2n << point;
    let low = (m.n << point) / m.d;
    let high = low + 1n;
    let found = 0n;
    let count = 0;
    while (count < bits) {
        low = (low * low) >> point;
        high = ((high * high) >> point) + 1n;
        if (low >= two) {
            found = 2n * found + 1n;
            low >>= 1n;
            high = (high >> 1n) + 1n;
        } else if (high < two) {
            found *= 2n;
        } else {
            break; // the digits do not decide
        }
        count += 1;
    }
    const step = pow2(-count);
    return [mul(ratio(found), step), mul(ratio(found + 1n), step)];
}

// The float format in which amax is held before a rule looks at it, or null.
function typeOfAmax(rule, policy) {
    if (policy.scale_amax !== "source") return policy.scale_amax;
    const divides = rule === "rceil" && policy.scale_quotient !== "exact";
    return divides || takesFloat32Log2(rule, policy) ? "float32" : null;
}

// What the fields of a float32 subnormal say if one takes it for a normal number.
const asFloat32Bits = (subnormal) => mul(pow2(-127), add(ONE, div(subnormal, LEAST_NORMAL)));

// The number that a rule takes the exponent of; zero if it counts as zero.
function ruleOperand(amax, fmt, rule, policy) {
    const v = rule === "rceil" ? quotientOf(amax, fmt, policy) : amax;
    if (isZero(v) || !less(v, LEAST_NORMAL)) return v;
    switch (policy.scale_subnormal) {
        case "true":
            return v;
        case "bits":
            return takesFloat32Log2(rule, policy) ? v : asFloat32Bits(v);
        default: // flush
            return ZERO;
    }
}

function quotientOf(amax, fmt, policy) {
    switch (policy.scale_quotient) {
        case "exact": {
            const exact = div(amax, fmt.max);
            return takesFloat32Log2("rceil", policy) ? roundToFloat32(exact) : exact;
        }
        case "float32":
            return roundToFloat32(div(amax, fmt.max));
        default: // reciprocal
            return roundToFloat32(mul(amax, roundToFloat32(div(ONE, fmt.max))));
    }
}

// The exponent that a rule gives for its operand v > 0, without bounds.
function ruleExponent(v, fmt, rule, policy, random = 0) {
    const { emax } = fmt;
    if (takesFloat32Log2(rule, policy)) return exponentFromLog2(v, emax, rule);
    const E = floorLog2(v);
    switch (rule) {
        case "floor":
        case "mse":
        case "mae":
            return E - emax;
        case "ceil":
            return ceilLog2(v) - emax;
        case "rceil":
            return ceilLog2(v);
        case "even":
        case "even-down": {
            const ties = rule === "even" ? "nearest-away" : "nearest-down";
            const step = pow2(E - fmt.mantissaBits);
            return floorLog2(mul(ratio(roundToInteger(div(v, step), 0, ties)), step)) - emax;
        }
        case "tosa":
            return tosaExponent(v, fmt);
        case "nearest-log":
            return Math.floor(floorLog2(mul(ratio(2), mul(v, v))) / 2) - emax;
        case "plus-one":
            return E - emax + 1;
        case "p3109":
            return nearestEvenExponent(v);
        case "stochastic": {
            const draw = { value: random, bits: Number(policy.stochastic_bits) };
            const fraction = sub(div(v, pow2(E)), ONE);
            return E - emax + Number(roundToInteger(fraction, 0, "stochastic-a", draw));
        }
        default:
            throw new Error(`unknown scale rule ${rule}`);
    }
}

function exponentFromLog2(v, emax, rule) {
    const log2 = log2Float32(v);
    if (rule === "ceil") return Number(ceil(log2)) - emax;
    if (rule === "rceil") return Number(ceil(log2));
    if (rule === "nearest-log") return Number(floor(roundToFloat32(add(log2, HALF)))) - emax;
    return Number(floor(log2)) - emax + (rule === "plus-one" ? 1 : 0);
}

// The least X at which amax / X does not round beyond the largest value.
function tosaExponent(amax, fmt) {
    for (let exponent = floorLog2(amax) - fmt.emax; ; exponent += 1) {
        const scaled = div(amax, pow2(exponent));
        const step = elementQuantum(scaled, fmt);
        const rounded = mul(ratio(roundToInteger(div(scaled, step), 0, "nearest-even")), step);
        if (!less(fmt.max, rounded)) return exponent;
    }
}

// The nearest power of two; a tie goes to the even code.
function nearestEvenExponent(value) {
    const E = floorLog2(value);
    const side = compare(value, mul(pow2(E), ratio(3, 2)));
    const isOdd = Math.abs(E + E8M0.bias) % 2 === 1;
    return E + (side > 0 || (side === 0 && isOdd) ? 1 : 0);
}
