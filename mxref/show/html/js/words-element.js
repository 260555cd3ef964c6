// The steps from a number to its element code, in words: those of mxref.explain, to the letter.

const step = (name, text, clauses = []) => ({ step: name, text, clauses });

const CLASS_WORDS = { finite: "finite", zero: "zero", inf: "infinity", nan: "NaN" };
const classText = (number) => `${CLASS_WORDS[number.cls]}, sign ${number.sign ? "-" : "+"}`;

// A number on its way into an element: { number, fmt, policy, X, source, random, inBlock }.
function passageOf(passage) {
    const { fmt, policy, X, source } = passage;
    const read = readNumber(passage.number, fmt, policy, source);
    const narrow = policy.scaled_intermediate;
    const exact = div(read.magnitude, X);
    const quotient = narrow === "exact" ? exact : roundMagnitude(exact, narrow);
    const isBeyond = narrow !== "exact" && less(IEEE[narrow].max, quotient);
    const draw = drawFor(fmt, policy, passage.random);
    return { ...passage, read, exact, quotient, isBeyond, draw };
}

const roundSteps = ({ read, policy, draw }, steps) =>
    ratio(roundToInteger(steps, read.sign, policy.rounding, draw));

function elementSteps(passage, code) {
    const { fmt, policy, read, X } = passage;
    const result = decodeElement(code, fmt, OCP);
    const pack = step("pack", packedText(code, fmt), [fmt.clause]);
    const steps = [step("classify", classText(passage.number)), ...readSteps(passage)];
    if (read.cls === "nan") return [...steps, nanStep(fmt, policy, result), pack];
    if (read.cls === "inf") return [...steps, infStep(fmt, policy, result), pack];
    if (read.cls === "finite") {
        steps.push(scaleStep(div(valueOf(read), X), X, passage.inBlock));
        if (policy.scaled_intermediate !== "exact") steps.push(narrowStep(passage));
        if (passage.isBeyond) return [...steps, infStep(fmt, policy, result), pack];
        if (!isZero(passage.quotient)) steps.push(...roundingSteps(passage, result));
    }
    if (read.sign && result.cls === "zero" && !fmt.isFixed) {
        const kept = result.sign ? "keeps its sign" : "loses its sign";
        steps.push(
            step("zero", `negative zero ${kept} (neg_zero=${policy.neg_zero})`, ["OP-NEG-ZERO"]),
        );
    }
    return [...steps, pack];
}

// What an encoder changes in its input before it looks at it.
function readSteps({ number, policy, source }) {
    const steps = [];
    let given = number;
    if (policy.input_subnormal === "flush") {
        const read = flushed(given, source);
        if (read.cls !== given.cls) {
            const text = `subnormal in ${source}, zero here: input_subnormal=flush`;
            steps.push(step("read", text, ["OP-ELEM-SUBNORMAL"]));
            given = read;
        }
    }
    if (policy.relu === "on" && given.sign) {
        const text = given.cls === "nan" ? "a NaN loses its sign" : "what is negative becomes +0";
        steps.push(step("relu", `${text}: relu=on`, ["OP-ELEM-SUBNORMAL"]));
    } else if (policy.neg_zero === "drop-input" && given.cls === "zero" && given.sign) {
        const text = "a zero that comes in loses its sign (neg_zero=drop-input)";
        steps.push(step("zero", text, ["OP-NEG-ZERO"]));
    }
    return steps;
}

function narrowStep({ policy, read, exact, quotient, isBeyond }) {
    const value = read.sign ? neg(quotient) : quotient;
    let how = equal(quotient, exact) ? "exact" : `rounded once already, to ${decimal(value)}`;
    if (isBeyond) how = "beyond its range, an infinity";
    const text = `V / X as a ${policy.scaled_intermediate}: ${how}`;
    return step("narrow", text, ["MX-1.0/6.3/elements", "OP-SCALED-INTERMEDIATE"]);
}

function nanStep(fmt, policy, result) {
    const [choice, clauses] = fmt.hasNan
        ? [`nan_payload=${policy.nan_payload}`, ["OFP8-1.0/nan", "OP-NAN-PAYLOAD"]]
        : [`nan_element=${policy.nan_element}`, ["MX-1.0/5.3/nan-source", "OP-NAN-ELEMENT"]];
    return step("special", `NaN becomes ${numberText(result)} (${choice})`, clauses);
}

function infStep(fmt, policy, result) {
    const what = `infinity becomes ${numberText(result)}`;
    if (!fmt.isFp8) {
        return step("special", `${what} (inf_element=${policy.inf_element})`, ["OP-INF-ELEMENT"]);
    }
    const rule = result.cls === "finite" ? "sat" : "ovf";
    const clauses = [`OFP8-1.0/inf-${rule}`, "OP-FP8-OVERFLOW"];
    return step("special", `${what} (fp8_overflow=${policy.fp8_overflow})`, clauses);
}

function scaleStep(scaled, X, inBlock) {
    if (!inBlock) return step("scale", `${decimal(scaled)}, not scaled`);
    const text = `V / X = ${decimal(scaled)}, with X = 2^${floorLog2(X)}`;
    return step("scale", text, ["MX-1.0/6.3/elements", "OP-SCALED-INTERMEDIATE"]);
}

// What lies below the last kept bit: guard, round and sticky.
function tailBits(beyond) {
    const [guard, rest] = divmod(2n * beyond.n, beyond.d);
    const [round, sticky] = divmod(2n * rest, beyond.d);
    return [Number(guard), Number(round), sticky > 0n ? 1 : 0];
}

function roundingSteps(passage, result) {
    const { fmt, policy, read, quotient, draw } = passage;
    const quantum = elementQuantum(quotient, fmt);
    const steps = div(quotient, quantum);
    const whole = ratio(floor(steps));
    const beyond = sub(steps, whole);
    const rounded = roundSteps(passage, steps);
    const signed = (value) => (read.sign ? neg(value) : value);
    const grid = (count, at) =>
        binary(signed(mul(count, at)), fmt.mantissaBits, floorLog2(at) + fmt.mantissaBits);

    const written = grid(whole, quantum);
    const cut = written.indexOf("*") < 0 ? written.length : written.indexOf("*");
    const [guard, round, sticky] = tailBits(beyond);
    const bits = `${written.slice(0, cut)} | ${guard} | ${round} | ${sticky} ${written.slice(cut)}`;
    const align = step("align", `${bits.trimEnd()}   kept | guard | round | sticky`);

    const value = mul(rounded, quantum);
    const above = elementQuantum(value, fmt);
    const target = `${grid(ratio(floor(div(value, above))), above)} = ${decimal(signed(value))}`;
    let carry = equal(above, quantum) ? "" : ", a carry into the next binade";
    const isLeastNormal =
        !fmt.isFixed && less(quotient, fmt.minNormal) && equal(value, fmt.minNormal);
    if (isLeastNormal) carry = ", the smallest normal";
    let text = `exact: ${target}`;
    if (!isZero(beyond)) {
        const way = less(whole, rounded) ? "up" : "down";
        const why =
            draw === null ? besideHalf(beyond) : stochasticText(policy.rounding, beyond, draw);
        text = `${why}: ${policy.rounding} goes ${way} to ${target}${carry}`;
    }
    const clauses = [roundingClause(fmt, policy), "OP-ELEM-ROUNDING"];
    if (draw !== null) clauses.push("OP-ELEM-STOCHASTIC");
    if (isZero(rounded)) {
        text += ", underflow";
        clauses.unshift(fmt.isFp8 ? "OFP8-1.0/underflow" : "MX-1.0/6.3/underflow");
    }
    const found = [align, step("round", text, clauses)];
    if (isSubnormal(value, fmt) && policy.element_subnormal === "flush") {
        const flush = `${decimal(value)} is subnormal, and zero here: element_subnormal=flush`;
        return [...found, step("flush", flush, ["MX-1.0/5.3/subnormals", "OP-ELEM-SUBNORMAL"])];
    }
    return [...found, overflowStep(value, read.sign, fmt, policy, result)];
}

// How random bits decide by the share that lies beyond the lower neighbour.
function stochasticText(rounding, fraction, { value, bits }) {
    const mode = rounding.slice(-1);
    const R = BigInt(value);
    const N = BigInt(bits + (mode === "b" ? 1 : 0));
    const limit = 1n << N;
    const share = mul(fraction, ratio(limit));
    const kept = mode === "c" ? roundToInteger(share, 0, "nearest-even") : floor(share);
    const drawn = mode === "b" ? 2n * R + 1n : R;
    const sum = {
        a: `floor(v * 2^${N}) + R = ${kept} + ${drawn}`,
        b: `floor(v * 2^${N}) + (2 R + 1) = ${kept} + ${drawn}`,
        c: `v * 2^${N} to nearest, + R = ${kept} + ${drawn}`,
    }[mode];
    const sign = kept + drawn >= limit ? ">=" : "<";
    return `v = ${decimal(fraction)} of a step, N = ${bits}: ${sum} ${sign} ${limit}`;
}

function besideHalf(tail) {
    const side = compare(tail, HALF);
    return side === 0 ? "a tie" : side > 0 ? "above half" : "below half";
}

function roundingClause(fmt, policy) {
    const clause = fmt.isFp8 ? "OFP8-1.0/rounding" : "MX-1.0/6.3/rounding";
    return policy.rounding === "nearest-even" ? clause : `${clause}-other`;
}

function overflowStep(value, sign, fmt, policy, result) {
    const limit = largestMagnitude(sign, fmt, policy);
    const what = `magnitude ${decimal(value)}`;
    if (!less(limit, value)) {
        const clauses = fmt.isFp8 ? ["OFP8-1.0/in-range"] : [];
        return step("overflow", `no: ${what} is at most ${decimal(limit)}`, clauses);
    }
    const becomes = `yes: ${what} is more than ${decimal(limit)} and becomes ${numberText(result)}`;
    if (!fmt.isFp8) {
        const clause = fmt.isFixed ? "OP-INT8-MIN" : "MX-1.0/6.3/clamp-normal";
        return step("overflow", becomes, ["MX-1.0/6.3/clamp", clause]);
    }
    const rule = result.cls === "finite" ? "sat" : "ovf";
    const clauses = [`OFP8-1.0/overflow-${rule}`, "OP-FP8-OVERFLOW"];
    return step("overflow", `${becomes} (fp8_overflow=${policy.fp8_overflow})`, clauses);
}

// What is worth a second look: tie, overflow, to zero, subnormal, or the class.
function elementFlags(passage, code) {
    const { read, number, fmt, quotient } = passage;
    if (!isReal(read)) return [read.cls];
    if (read.cls === "zero") return number.cls === "finite" ? ["to zero"] : [];
    if (passage.isBeyond) return ["overflow"];
    if (isZero(quotient)) return ["to zero"];
    const quantum = elementQuantum(quotient, fmt);
    const steps = div(quotient, quantum);
    const rounded = mul(roundSteps(passage, steps), quantum);
    const found = steps.d === 2n ? ["tie"] : [];
    if (less(fmt.max, rounded)) found.push("overflow");
    else if (decodeElement(code, fmt, OCP).cls === "zero") found.push("to zero");
    else if (className(code, fmt) === "subnormal") found.push("subnormal");
    return found;
}

// Zero, subnormal, normal, fixed-point, Inf or NaN.
function className(code, fmt) {
    const number = fmt.isScale ? decodeScale(code) : decodeElement(code, fmt, OCP);
    if (number.cls !== "finite") return { zero: "zero", inf: "Inf", nan: "NaN" }[number.cls];
    if (fmt.isScale) return "normal";
    if (fmt.isFixed) return "fixed-point";
    return isSubnormal(number.magnitude, fmt) ? "subnormal" : "normal";
}

// How far the decoded value lies from the number given; null where either is no real number.
function errorOf(number, value, fmt, X) {
    if (!isReal(number) || !isReal(value)) return null;
    const reach = smaller(div(number.magnitude, X), fmt.max);
    const difference = sub(valueOf(value), valueOf(number));
    const ulp = mul(elementQuantum(reach, fmt), X);
    const relative = isZero(number.magnitude) ? null : div(difference, number.magnitude);
    return { absolute: difference, ulp, inUlp: div(difference, ulp), relative };
}

function errorText({ absolute: difference, ulp, inUlp, relative }) {
    if (isZero(difference)) return "none: the value is exact";
    const share = relative === null ? "" : `, ${signedText(mul(relative, ratio(100)), 3)} %`;
    return `${signedText(difference)} = ${signedText(inUlp)} ulp of ${decimal(ulp, 9, 6)}${share}`;
}
