// The shared scale: which one a block gets, what its code stands for, and a cast to it.
// As mxref/exact/selection.py, search.py, scale.py and block.py.

for (const block of Object.values(BLOCKS)) block.element = ELEMENTS[block.element];
E8M0.maxCode = E8M0.nan - 1;
E8M0.emin = -E8M0.bias;
E8M0.emax = E8M0.maxCode - E8M0.bias;

const BEYOND = pow2(128); // what the exponent field of Inf and NaN says, read as a number's
const STRONGEST = ["raise", "nan-scale", "flush-block", "saturate", "exponent-field", "ignore"];

const decodeScale = (code) => (code === E8M0.nan ? nan(0) : finite(pow2(code - E8M0.bias)));

// { code, flushes }: the scale code, and whether every element is +0.
const selected = (code, flushes = false) => ({ code, flushes });

function selectScale(numbers, fmt, policy, { source = "float32", random = 0 } = {}) {
    if (SEARCHES.has(policy.scale_rule) && isStochastic(policy.rounding)) {
        throw new Refusal(
            `scale_rule=${policy.scale_rule} tries scales out, which rounding=${policy.rounding} would ` +
                "make a matter of chance. Choose another rounding.",
        );
    }
    if (policy.input_subnormal === "flush") numbers = numbers.map((n) => flushed(n, source));
    const choice = strongestChoice(numbers, policy);
    const forced = forcedScale(choice);
    if (forced !== null) return forced;
    let amax = BEYOND;
    if (choice !== "exponent-field") {
        amax = numbers
            .filter((n) => n.cls === "finite")
            .reduce((most, n) => (less(most, n.magnitude) ? n.magnitude : most), ZERO);
    }
    if (!isZero(amax)) {
        const held = heldAmax(amax, policy);
        if (held.code !== undefined) return held;
        const found = isZero(held) ? null : scaleOfAmax(held, numbers, fmt, policy, source, random);
        if (found !== null) return found;
    }
    return scaleOfZeros(fmt, policy, source, random);
}

// OP-SCALE-NONFINITE: what the NaNs and infinities of a block do to its scale.
function strongestChoice(numbers, policy) {
    const found = ["ignore"];
    for (const [cls, what, field] of [
        ["nan", "a NaN", "scale_nan"],
        ["inf", "an infinity", "scale_inf"],
    ]) {
        if (!numbers.some((n) => n.cls === cls)) continue;
        if (policy[field] === "raise") {
            throw new Refusal(
                `The block holds ${what}, and the policy refuses it (${field}=raise). Remove it, or ` +
                    `choose ${field}=nan-scale or ignore.`,
            );
        }
        found.push(policy[field]);
    }
    return STRONGEST.find((choice) => found.includes(choice));
}

function forcedScale(choice) {
    if (choice === "nan-scale") return selected(E8M0.nan);
    if (choice === "flush-block") return selected(0, true);
    return choice === "saturate" ? selected(E8M0.maxCode) : null;
}

// Amax in the type that holds it, or the scale of a block whose amax that type cannot hold.
function heldAmax(amax, policy) {
    const type = typeOfAmax(policy.scale_rule, policy);
    if (type === null) return amax;
    const rounded = roundMagnitude(amax, type);
    if (!less(IEEE[type].max, rounded)) return rounded;
    if (policy.scale_inf === "exponent-field") return BEYOND;
    return forcedScale(policy.scale_inf) ?? rounded;
}

function scaleOfAmax(amax, numbers, fmt, policy, source, random) {
    const rule = policy.scale_rule;
    const v = ruleOperand(amax, fmt.element, rule, policy);
    if (isZero(v)) return null;
    const found = scaleInRange(ruleExponent(v, fmt.element, rule, policy, random), policy);
    if (!SEARCHES.has(rule) || found.code === E8M0.nan || found.flushes) return found;
    return selected(bestCode(found.code, numbers, fmt, policy, source));
}

// OP-SCALE-RANGE.
function scaleInRange(exponent, policy) {
    if (policy.scale_above === "clamp-125") exponent = Math.min(exponent, 125);
    const wrapped = (((exponent + E8M0.bias) % 256) + 256) % 256;
    if (exponent > E8M0.emax) {
        return selected({ nan: E8M0.nan, wrap: wrapped }[policy.scale_above] ?? E8M0.maxCode);
    }
    if (exponent < E8M0.emin) {
        if (policy.scale_below === "wrap") return selected(wrapped);
        return selected(0, policy.scale_below === "flush-block");
    }
    return selected(exponent + E8M0.bias);
}

// OP-SCALE-ZERO-BLOCK.
function scaleOfZeros(fmt, policy, source, random) {
    switch (policy.scale_zero_block) {
        case "min":
            return selected(0);
        case "one":
            return selected(E8M0.bias);
        case "minus-emax":
            return selected(E8M0.bias - fmt.element.emax);
        case "nan":
            return selected(E8M0.nan);
        default: {
            // min-normal: 2^-126 stands for amax
            const held = heldAmax(LEAST_NORMAL, policy);
            if (held.code !== undefined || isZero(held)) return selected(0);
            return scaleOfAmax(held, [], fmt, policy, source, random) ?? selected(0);
        }
    }
}

// The rules that search: of FLOOR's code and its neighbours the one with the least error.
function bestCode(floorCode, numbers, fmt, policy, source) {
    let best = null;
    for (const code of [floorCode, floorCode + 1, floorCode - 1]) {
        if (code < 0 || code > E8M0.maxCode) continue;
        const error = errorUnder(code, numbers, fmt, policy, source);
        const isBetter =
            best === null || (error !== null && (best.error === null || less(error, best.error)));
        if (isBetter) best = { code, error };
    }
    return best.code;
}

// The error of a block under a scale code; null if a finite number does not stay finite.
function errorUnder(scaleCode, numbers, fmt, policy, source) {
    const X = pow2(scaleCode - E8M0.bias);
    let total = ZERO;
    for (const number of numbers) {
        if (number.cls !== "finite") continue;
        const P = decodeElement(
            encodeElement(number, fmt.element, policy, { X, source }),
            fmt.element,
            OCP,
        );
        if (!isReal(P)) return null;
        const difference = absolute(sub(valueOf(number), mul(X, valueOf(P))));
        total = add(total, policy.scale_rule === "mse" ? mul(difference, difference) : difference);
    }
    return total;
}

// A cast of one number to E8M0 (OP-E8M0-CAST).
function encodeScale(number, policy) {
    if (number.cls === "nan") return E8M0.nan;
    if (number.cls === "zero") return policy.e8m0_zero === "min" ? 0 : E8M0.nan;
    if (number.sign === 1 && policy.e8m0_negative === "nan") return E8M0.nan;
    if (number.cls === "inf") return policy.e8m0_inf === "saturate" ? E8M0.maxCode : E8M0.nan;
    const exponent = castExponent(castMagnitude(number, policy), policy);
    if (exponent > E8M0.emax) return policy.e8m0_overflow === "saturate" ? E8M0.maxCode : E8M0.nan;
    if (exponent < E8M0.emin) return policy.e8m0_underflow === "min" ? 0 : E8M0.nan;
    return exponent + E8M0.bias;
}

const castMagnitude = ({ magnitude }, policy) =>
    policy.e8m0_subnormal === "bits" && less(magnitude, LEAST_NORMAL)
        ? asFloat32Bits(magnitude)
        : magnitude;

function castExponent(magnitude, policy) {
    const E = floorLog2(magnitude);
    switch (policy.e8m0_rounding) {
        case "down":
            return E;
        case "up":
            return ceilLog2(magnitude);
        case "nearest":
            return less(magnitude, mul(pow2(E), ratio(3, 2))) ? E : E + 1;
        default:
            return nearestEvenExponent(magnitude);
    }
}

// { scaleCode, flushes, codes } of a block.
function quantizeBlock(
    numbers,
    fmt,
    policy,
    { source = "float32", random = null, scaleRandom = 0 } = {},
) {
    if (policy.nan_element === "raise" || policy.inf_element === "raise") {
        numbers.filter((n) => !isReal(n)).forEach((n) => encodeElement(n, fmt.element, policy));
    }
    const { code, flushes } = selectScale(numbers, fmt, policy, { source, random: scaleRandom });
    const codes = flushes
        ? numbers.map(() => 0)
        : encodeWithScale(numbers, code, fmt, policy, { source, random });
    return { scaleCode: code, flushes, codes };
}

function encodeWithScale(
    numbers,
    scaleCode,
    fmt,
    policy,
    { source = "float32", random = null } = {},
) {
    if (scaleCode === E8M0.nan) {
        const code = encodeElement(nan(0), fmt.element, policy);
        return numbers.map(() => code);
    }
    const X = pow2(scaleCode - E8M0.bias);
    return numbers.map((n, i) =>
        encodeElement(n, fmt.element, policy, {
            X,
            source,
            random: random === null ? 0 : random[i],
        }),
    );
}

// X * P (MX-1.0/5.1/value), NaN under a NaN scale (MX-1.0/5.1/nan-scale).
function blockValue(scaleCode, code, fmt, policy) {
    const P = decodeElement(code, fmt.element, policy);
    if (scaleCode === E8M0.nan) return nan(P.sign);
    return isReal(P) ? finite(mul(pow2(scaleCode - E8M0.bias), valueOf(P)), P.sign) : P;
}
