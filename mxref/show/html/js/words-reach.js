// Where a scale rule steps: which amax lead to the same scale, and how far the next step is;
// in the words of mxref.explain.

const NEAR_STEPS = 32n; // steps of the input's type that are worth counting
const ROOT_BITS = 200; // of an approximation of the square root of two
const TWO_BINADES = 2 << 23; // float32 bit patterns

// Where a rule steps: the significand of amax, and whether that one itself is beyond.
function threshold(rule, fmt) {
    const full = pow2(fmt.emax);
    switch (rule) {
        case "ceil":
            return [ONE, false];
        case "rceil":
            return [div(fmt.max, full), false];
        case "even":
        case "even-down":
            return [sub(ratio(2), pow2(-fmt.mantissaBits - 1)), rule === "even"];
        case "tosa":
            return [div(upperMidpoint(fmt.maxMagnitude, fmt), full), fmt.maxMagnitude % 2 === 1];
        default:
            return [null, false];
    }
}

// The amax that a rule gives an exponent, by its definition; null if others take part.
function reachOf(rule, fmt, exponent) {
    const E = exponent + fmt.emax;
    const half = { lowClosed: true, highClosed: false, of: "" };
    switch (rule) {
        case "floor":
            return { ...half, low: pow2(E), high: pow2(E + 1) };
        case "plus-one":
            return { ...half, low: pow2(E - 1), high: pow2(E) };
        case "nearest-log":
            return { ...half, low: rootTimes(E - 1), high: rootTimes(E) };
        case "p3109": {
            const middle = mul(ratio(3, 2), pow2(exponent));
            const isEven = Math.abs(exponent + E8M0.bias) % 2 === 0;
            return {
                ...half,
                low: mul(middle, HALF),
                high: middle,
                lowClosed: isEven,
                highClosed: isEven,
            };
        }
        case "stochastic":
        case "mse":
        case "mae":
            return null;
        default: {
            const [at, inclusive] = threshold(rule, fmt);
            const high = mul(at, pow2(E));
            return {
                ...half,
                low: mul(high, HALF),
                high,
                lowClosed: inclusive,
                highClosed: !inclusive,
            };
        }
    }
}

// The square root of two times a power of two, far more exactly than anybody prints.
function rootTimes(exponent) {
    const square = 2n << BigInt(2 * ROOT_BITS);
    let root = 1n << BigInt(ROOT_BITS + 1);
    for (;;) {
        const next = (root + square / root) >> 1n;
        if (next >= root) break;
        root = next;
    }
    return mul(ratio(root, 1n << BigInt(ROOT_BITS)), pow2(exponent));
}

// The float32 amax that lead to the same exponent, by trying; null out of the range.
function searchedReach(amax, fmt, policy) {
    const bits = Number(toBits(finite(amax), "float32", OCP));
    const valueOfBits = (pattern) => fromBits(BigInt(pattern), "float32").magnitude;
    const [least, largest] = [0x00800000, 0x7f7fffff];
    if (!equal(valueOfBits(bits), amax) || bits < least || bits > largest) return null;
    const found = (pattern) => {
        const v = ruleOperand(valueOfBits(pattern), fmt, policy.scale_rule, policy);
        return isZero(v) ? null : ruleExponent(v, fmt, policy.scale_rule, policy);
    };
    const own = found(bits);
    const edge = (outside) => {
        let inside = bits;
        if (found(outside) === own) return outside;
        while (Math.abs(outside - inside) > 1) {
            const middle = Math.floor((inside + outside) / 2);
            if (found(middle) === own) inside = middle;
            else outside = middle;
        }
        return inside;
    };
    const low = valueOfBits(edge(Math.max(least, bits - TWO_BINADES)));
    const high = valueOfBits(edge(Math.min(largest, bits + TWO_BINADES)));
    return { low, high, lowClosed: true, highClosed: true, of: "float32" };
}

function endText9(value) {
    const text = decimal(value, 9, 9);
    if (!text.startsWith("~") || !text.includes("e")) return text;
    const exact = powers(value).replace(/^\+/, "");
    return exact.length <= "~1.23456789e-10".length ? exact : text;
}

function reachStep(amax, exponent, found, source) {
    const { low, high, lowClosed, highClosed, of } = found;
    const isLow = !less(sub(high, amax), sub(amax, low));
    const end = isLow ? low : high;
    const distance = absolute(sub(amax, end));
    const side = isLow ? "lower" : "upper";
    const percent = `${decimal(mul(div(distance, amax), ratio(100)), 6, 3)} %`;
    const where = isZero(distance)
        ? `amax lies on the ${side} end`
        : `the ${side} end is ${percent} away${countedSteps(amax, end, of || source)}`;
    const ends = `${endText9(low)}, ${endText9(high)}`;
    const interval = `${lowClosed ? "[" : "("}${ends}${highClosed ? "]" : ")"}${of ? ` of ${of}` : ""}`;
    const isScale = exponent >= E8M0.emin && exponent <= E8M0.emax;
    const what = isScale ? `2^${exponent} serves` : `exponent ${exponent} for`;
    return step("threshold", `${what} amax in ${interval}; ${where}`, ["OP-SCALE-RULE"]);
}

// How many numbers of the input's type further the end lies, where they are few.
function countedSteps(amax, end, source) {
    const unit = quantumOf(amax, IEEE[source].mantissaBits, IEEE[source].emin);
    const count = ceil(div(absolute(sub(end, amax)), unit));
    return count > NEAR_STEPS ? "" : `, ${count} step${count === 1n ? "" : "s"} of ${source}`;
}

// Where the rule steps next; not for rules that search.
function reachSteps(amax, exponent, { rule, policy, element, source }, isPlain) {
    if (rule === "stochastic") {
        const limit = 1n << BigInt(policy.stochastic_bits);
        const share = sub(div(amax, pow2(floorLog2(amax))), ONE);
        const least = limit - floor(mul(share, ratio(limit)));
        const text = least < limit ? `E + 1 from R = ${least} on` : "E whatever R is";
        return [step("threshold", text, ["OP-SCALE-RULE"])];
    }
    const divides = rule === "rceil" && policy.scale_quotient !== "exact";
    const isSearched = takesFloat32Log2(rule, policy) || divides;
    const found = isSearched
        ? searchedReach(amax, element, policy)
        : isPlain
          ? reachOf(rule, element, exponent)
          : null;
    return found === null ? [] : [reachStep(amax, exponent, found, source)];
}
