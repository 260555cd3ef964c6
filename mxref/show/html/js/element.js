// One element: what its code stands for, and which code a number gets.
// The same steps as mxref/exact/element.py and codes.py, in the same order.

for (const fmt of Object.values(ELEMENTS)) {
    fmt.isFixed = fmt.kind === "fixed";
    fmt.signMask = 1 << (fmt.bits - 1);
    fmt.count = 1 << fmt.bits;
    fmt.isFp8 = !fmt.isFixed && fmt.bits === 8;
    fmt.emin = 1 - fmt.bias;
    fmt.minSubnormal = pow2(fmt.emin - fmt.mantissaBits);
    fmt.minNormal = fmt.isFixed ? null : pow2(fmt.emin);
    fmt.hasNan = fmt.nans.length > 0;
    const specials = fmt.inf === null ? fmt.nans : [...fmt.nans, fmt.inf];
    fmt.maxMagnitude = fmt.signMask - 1;
    while (specials.includes(fmt.maxMagnitude)) fmt.maxMagnitude -= 1;
    fmt.emax = fmt.isFixed ? 0 : (fmt.maxMagnitude >> fmt.mantissaBits) - fmt.bias;
    fmt.max = decodeElement(fmt.maxMagnitude, fmt, OCP).magnitude;
}

function decodeElement(code, fmt, policy) {
    if (fmt.isFixed) {
        const integer = code >= fmt.signMask ? code - fmt.count : code;
        return finite(mul(ratio(integer), fmt.minSubnormal)); // MX-1.0/5.3/int8
    }
    const sign = code >= fmt.signMask ? 1 : 0;
    const magnitudeCode = code & (fmt.signMask - 1);
    if (fmt.nans.includes(magnitudeCode)) {
        return nan(sign, (magnitudeCode >> (fmt.mantissaBits - 2)) & 1);
    }
    if (magnitudeCode === fmt.inf) return inf(sign);
    const mantissa = magnitudeCode & ((1 << fmt.mantissaBits) - 1);
    const exponent = magnitudeCode >> fmt.mantissaBits;
    const magnitude = valueOfFields(exponent, mantissa, fmt.mantissaBits, fmt.bias);
    if (isZero(magnitude)) return zero(sign);
    if (policy.decode_subnormal === "flush-element" && isSubnormal(magnitude, fmt))
        return zero(sign);
    return { sign, cls: "finite", magnitude, payload: 0 };
}

const isSubnormal = (magnitude, fmt) =>
    !fmt.isFixed && magnitude.n > 0n && less(magnitude, fmt.minNormal);

// What an encoder takes its input for: OP-ELEM-SUBNORMAL, OP-INF-ELEMENT, OP-NEG-ZERO.
function readNumber(number, fmt, policy, source) {
    if (policy.input_subnormal === "flush") number = flushed(number, source);
    if (policy.inf_element === "raise" && number.cls === "inf" && !fmt.isFp8) {
        throw new Refusal(
            `An infinity cannot be encoded in ${fmt.name}, which has none, and the policy refuses it ` +
                "(inf_element=raise). Choose inf_element=clamp, or remove the infinity.",
        );
    }
    if (policy.relu === "on") {
        if (number.cls === "nan") return nan(0, number.payload);
        if (number.sign === 1) return zero(0);
    }
    return policy.neg_zero === "drop-input" && number.cls === "zero" ? zero(0) : number;
}

// An input that a policy does not want: the words are for the reader.
class Refusal extends Error {}

function largestMagnitude(sign, fmt, policy) {
    const reachesMin = fmt.isFixed && sign === 1 && policy.int8_min === "used";
    return reachesMin ? add(fmt.max, fmt.minSubnormal) : fmt.max;
}

// OFP8-1.0/nan, OP-NAN-PAYLOAD; MX-1.0/5.3/nan-source, OP-NAN-ELEMENT.
function codeOfNan(number, fmt, policy) {
    const { sign } = number;
    if (fmt.hasNan) {
        const canonical = Math.max(...fmt.nans);
        const top = 1 << (fmt.mantissaBits - 1);
        const quiet = Math.min(...fmt.nans.filter((m) => m & top));
        return {
            canonical,
            negative: fmt.signMask + canonical,
            signed: sign * fmt.signMask + canonical,
            "quiet-signed": sign * fmt.signMask + quiet,
            payload: sign * fmt.signMask + (quiet | number.payload),
        }[policy.nan_payload];
    }
    switch (policy.nan_element) {
        case "pos-max":
            return packElement(0, fmt.max, fmt, policy);
        case "signed-max":
            return packElement(sign, largestMagnitude(sign, fmt, policy), fmt, policy);
        case "zero":
            return packElement(0, ZERO, fmt, policy);
        case "flipped-zero":
            return packElement(1 - sign, ZERO, fmt, policy);
        default:
            throw new Refusal(
                `A NaN cannot be encoded in ${fmt.name}, which has none, and the policy refuses it ` +
                    "(nan_element=raise). Choose another nan_element, or remove the NaN.",
            );
    }
}

function codeOfOverflow(number, fmt, policy) {
    if (saturates(number, fmt, policy)) {
        return packElement(number.sign, largestMagnitude(number.sign, fmt, policy), fmt, policy);
    }
    if (fmt.inf === null) return codeOfNan(nan(number.sign), fmt, policy);
    return number.sign * fmt.signMask + fmt.inf;
}

// OP-FP8-OVERFLOW; FP6, FP4 and INT8 clamp (MX-1.0/6.3/clamp).
function saturates(number, fmt, policy) {
    if (!fmt.isFp8) return true;
    const isFinite = number.cls === "finite";
    const inward = number.sign === 0 ? "down" : "up";
    const pointsInward = policy.rounding === "toward-zero" || policy.rounding === inward;
    switch (policy.fp8_overflow) {
        case "saturate":
            return true;
        case "overflow":
            return isFinite && (pointsInward || policy.rounding === "to-odd");
        case "propagate":
            return isFinite || fmt.inf === null;
        default: // sat-none
            return fmt.inf === null || (isFinite && pointsInward);
    }
}

function packElement(sign, magnitude, fmt, policy) {
    if (fmt.isFixed) {
        const integer = Number(div(magnitude, fmt.minSubnormal).n);
        return (sign ? fmt.count - integer : integer) % fmt.count; // two's complement; one zero
    }
    if (isZero(magnitude) && policy.neg_zero === "drop") sign = 0;
    const [exponent, mantissa] = fieldsOf(magnitude, fmt.mantissaBits, fmt.bias);
    return sign * fmt.signMask + (exponent << fmt.mantissaBits) + Number(mantissa);
}

const elementQuantum = (magnitude, fmt) =>
    fmt.isFixed ? pow2(-fmt.mantissaBits) : quantumOf(magnitude, fmt.mantissaBits, fmt.emin);

// How many random bits one rounding takes (OP-ELEM-STOCHASTIC).
function randomBits(fmt, policy) {
    if (policy.stochastic === "per-element") return Number(policy.stochastic_bits);
    return policy.stochastic === "ptx-x4" && fmt.bits > 4 ? 16 : 8;
}

const drawFor = (fmt, policy, random) =>
    isStochastic(policy.rounding) ? { value: random ?? 0, bits: randomBits(fmt, policy) } : null;

// The code of a number divided by the scale X of its block.
function encodeElement(number, fmt, policy, { X = ONE, source = "float32", random = 0 } = {}) {
    number = readNumber(number, fmt, policy, source); // CLASSIFY
    if (number.cls === "nan") return codeOfNan(number, fmt, policy);
    if (number.cls === "inf") return codeOfOverflow(number, fmt, policy);
    let scaled = div(number.magnitude, X); // SCALE: OP-SCALED-INTERMEDIATE
    const narrow = policy.scaled_intermediate;
    if (narrow !== "exact") {
        scaled = roundMagnitude(scaled, narrow);
        if (less(IEEE[narrow].max, scaled)) return codeOfOverflow(inf(number.sign), fmt, policy);
    }
    const step = elementQuantum(scaled, fmt); // ALIGN
    const draw = drawFor(fmt, policy, random);
    const steps = roundToInteger(div(scaled, step), number.sign, policy.rounding, draw); // ROUND
    let rounded = mul(ratio(steps), step);
    if (policy.element_subnormal === "flush" && isSubnormal(rounded, fmt)) rounded = ZERO;
    if (less(largestMagnitude(number.sign, fmt, policy), rounded)) {
        return codeOfOverflow(number, fmt, policy); // OVERFLOW: OFP8-1.0/order
    }
    return packElement(number.sign, rounded, fmt, policy); // PACK
}
