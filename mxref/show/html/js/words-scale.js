// The steps from a block to its scale code, and from a number to E8M0, in words:
// those of mxref.explain, to the letter.

const DECIDING = ["raise", "nan-scale", "flush-block", "saturate"];

// The place of the first largest finite magnitude; null if there is none but zero.
function amaxIndex(numbers) {
    let place = null;
    numbers.forEach((n, i) => {
        if (n.cls !== "finite") return;
        if (place === null || less(numbers[place].magnitude, n.magnitude)) place = i;
    });
    return place;
}

function countedText(numbers) {
    const words = { finite: "finite", zero: "zero", inf: "infinite", nan: "NaN" };
    const parts = Object.entries(words)
        .map(([cls, word]) => [numbers.filter((n) => n.cls === cls).length, word])
        .filter(([count]) => count > 0)
        .map(([count, word]) => `${count} ${word}`);
    return `${numbers.length} number${numbers.length === 1 ? "" : "s"}: ${parts.join(", ")}`;
}

// block: { numbers, fmt, policy, source, random, scaleCode }
function scaleSteps(block) {
    const { fmt, policy, source } = block;
    let { numbers } = block;
    const pack = step("scale", scaleText(block.scaleCode), [E8M0.clause]);
    const steps = [step("classify", countedText(numbers))];
    if (policy.input_subnormal === "flush") {
        const read = numbers.map((n) => flushed(n, source));
        const count = read.filter((n, i) => n.cls !== numbers[i].cls).length;
        if (count) {
            const text = `${count} subnormal in ${source}, zero here: input_subnormal=flush`;
            steps.push(step("read", text, ["OP-ELEM-SUBNORMAL"]));
        }
        numbers = read;
    }
    block = { ...block, numbers, pack, rule: policy.scale_rule, element: fmt.element };
    const [special, strongest] = specialSteps(numbers, policy);
    steps.push(...special);
    if (DECIDING.includes(strongest)) return [...steps, pack];
    if (strongest === "exponent-field") {
        const text = "the exponent field of NaN or infinity, read as a number's: amax = 2^128";
        return [
            ...steps,
            step("amax", text, ["OP-SCALE-NONFINITE"]),
            ...stepsOfAmax(BEYOND, null, block),
        ];
    }
    const place = amaxIndex(numbers);
    if (place === null) return [...steps, ...stepsOfZeros("no finite number but zero", block)];
    return [...steps, ...stepsOfAmax(numbers[place].magnitude, place, block)];
}

function specialSteps(numbers, policy) {
    const steps = [];
    const found = ["ignore"];
    for (const [cls, what, field] of [
        ["nan", "NaN", "scale_nan"],
        ["inf", "infinity", "scale_inf"],
    ]) {
        if (!numbers.some((n) => n.cls === cls)) continue;
        const choice = policy[field];
        const zeros = choice === "flush-block" ? ", every element is +0" : "";
        const text = `the block holds ${what}: ${field}=${choice}${zeros}`;
        steps.push(step("special", text, ["OP-SCALE-NONFINITE"]));
        found.push(choice);
    }
    return [steps, STRONGEST.find((choice) => found.includes(choice))];
}

function stepsOfZeros(what, block) {
    const choice = block.policy.scale_zero_block;
    const text = `${what}: scale_zero_block=${choice}`;
    const clauses = ["OP-SCALE-ZERO-BLOCK"];
    if (choice !== "min-normal") return [step("amax", text, clauses), block.pack];
    return [
        step("amax", `${text}, so 2^-126 stands for amax`, clauses),
        ...stepsOfAmax(LEAST_NORMAL, null, block, true),
    ];
}

// The steps from the largest magnitude on.
function stepsOfAmax(amax, place, block, standsForZeros = false) {
    const { policy, rule, element, pack } = block;
    const steps = place === null ? [] : [amaxStep(amax, place)];
    const zeros = (what) =>
        standsForZeros
            ? [...steps, step("amax", `${what} too, and the least scale is left`), pack]
            : [...steps, ...stepsOfZeros(what, block)];

    const type = typeOfAmax(rule, policy);
    if (type !== null) {
        const held = amax;
        amax = roundMagnitude(amax, type);
        const isForLog2 = policy.scale_amax === "source" && policy.scale_log2 === "float32";
        const clauses = [isForLog2 ? "OP-SCALE-LOG2" : "OP-SCALE-QUOTIENT"];
        const note = equal(held, amax) ? "the same" : decimal(amax);
        steps.push(step("held", `amax as a ${type}: ${note}`, clauses));
        if (less(IEEE[type].max, amax)) {
            const text = `beyond ${type}, so that amax is an infinity: scale_inf=${policy.scale_inf}`;
            steps.push(step("special", text, ["OP-SCALE-NONFINITE"]));
            if (DECIDING.includes(policy.scale_inf)) return [...steps, pack];
            if (policy.scale_inf === "exponent-field") amax = BEYOND;
        }
        if (isZero(amax)) return zeros("amax rounds to zero");
    }
    const plainly = { ...policy, scale_subnormal: "true" };
    const divided = ruleOperand(amax, element, rule, plainly);
    const exact = rule === "rceil" ? div(amax, element.max) : amax;
    const inFloat32 = policy.scale_quotient !== "exact" || policy.scale_log2 === "float32";
    if (rule === "rceil" && inFloat32) {
        steps.push(quotientStep(amax, divided, block));
        if (isZero(divided)) return zeros("the quotient counts as zero");
    }
    const v = ruleOperand(amax, element, rule, policy);
    if (!equal(v, divided)) {
        const reading = isZero(v)
            ? "it counts as zero"
            : "its fields are read as a normal number's";
        const text = `${decimal(divided)} is below 2^-126: ${reading}`;
        const clauses = ["OP-SCALE-SUBNORMAL"];
        steps.push(
            step("subnormal", `${text} (scale_subnormal=${policy.scale_subnormal})`, clauses),
        );
        if (isZero(v)) return zeros("what the rule looks at counts as zero");
    }
    // An exact quotient need not be formed: RCEIL then compares m with the largest element.
    const looksAtAmax = rule === "rceil" && equal(v, exact);
    const exponent = ruleExponent(v, element, rule, policy, block.random);
    const [ruleStep, inRange] = ruleSteps(looksAtAmax ? amax : v, exponent, block, !looksAtAmax);
    steps.push(ruleStep, ...reachSteps(amax, exponent, block, equal(v, exact)), inRange);
    steps.push(...searchSteps(exponent, block));
    return [...steps, pack];
}

function amaxStep(amax, place) {
    const E = floorLog2(amax);
    const m = div(amax, pow2(E));
    const text = `amax = |V[${place}]| = ${decimal(amax)} = m * 2^E, m = ${decimal(m)}, E = ${E}`;
    return step("amax", text, ["MX-1.0/6.3/scale"]);
}

function quotientStep(amax, quotient, { element, policy }) {
    const largest = element.max;
    let how = `${decimal(amax)} / ${decimal(largest)}`;
    if (policy.scale_quotient === "reciprocal") {
        const inverse = decimal(roundMagnitude(div(ONE, largest), "float32"));
        how = `${decimal(amax)} * ${inverse}, the float32 nearest to 1 / ${decimal(largest)}`;
    }
    const text = `amax / max = ${how}, in float32: ${decimal(quotient)}`;
    return step("quotient", text, ["OP-SCALE-QUOTIENT"]);
}

// The steps rule and exponent; v is the quotient where it was `divided`, else amax.
function ruleSteps(v, exponent, block, divided) {
    const { rule, policy, element } = block;
    const E = floorLog2(v);
    const m = div(v, pow2(E));
    const hasEmax = rule !== "p3109" && !(rule === "rceil" && divided);
    const emax = hasEmax ? element.emax : 0;
    const clauses = [
        rule === "floor" ? "MX-1.0/6.3/scale" : "MX-1.0/6.3/other-recipes",
        "OP-SCALE-RULE",
    ];
    const adds = exponent - (E - emax);
    let text;
    if (takesFloat32Log2(rule, policy)) {
        text = `${rule} of log2 in float32, ${decimal(log2Float32(v))} (scale_log2=float32)`;
        text += `, gives ${E + adds}`;
        clauses.push("OP-SCALE-LOG2");
    } else if (rule === "stochastic") {
        const draw = { value: block.random, bits: Number(policy.stochastic_bits) };
        text = `${stochasticText("stochastic-a", sub(m, ONE), draw)}: ${E + adds}`;
    } else if (rule === "rceil" && divided) {
        text = `rceil takes the least power of two from ${decimal(m)} * 2^${E} up: 2^${exponent}`;
    } else {
        text = ruleText(rule, element, m, adds);
    }
    let total = `${E}${adds ? ` ${adds < 0 ? "-" : "+"} ${Math.abs(adds)}` : ""}`;
    if (hasEmax) total += ` - emax ${element.emax}`;
    if (adds || hasEmax) total += ` = ${exponent}`;
    return [step("rule", text, clauses), rangeStep(total, exponent, policy)];
}

function ruleText(rule, fmt, m, adds) {
    let condition;
    switch (rule) {
        case "floor":
            return "floor takes E, whatever m is";
        case "mse":
        case "mae":
            return `${rule} begins with floor: E, whatever m is`;
        case "plus-one":
            return "plus-one takes E + 1, whatever m is";
        case "nearest-log":
            condition = "m > sqrt(2)";
            break;
        case "p3109":
            condition = "m > 1.5, or m = 1.5 and the code of E is odd";
            break;
        default: {
            const [at, inclusive] = threshold(rule, fmt);
            condition = `m ${inclusive ? ">=" : ">"} ${decimal(at)}`;
        }
    }
    const verdict = adds ? "it is" : "it is not";
    return `${rule} takes E + 1 where ${condition}; m = ${decimal(m)}: ${verdict}`;
}

// The candidates of a rule that searches, with their errors.
function searchSteps(exponent, { rule, policy, numbers, fmt, source }) {
    if (!SEARCHES.has(rule)) return [];
    const isAbove = exponent > E8M0.emax && !policy.scale_above.startsWith("clamp");
    const isBelow = exponent < E8M0.emin && policy.scale_below !== "clamp";
    if (isAbove || isBelow) return [];
    const limit = policy.scale_above === "clamp-125" ? 125 : E8M0.emax;
    const code = Math.min(Math.max(exponent, E8M0.emin), limit) + E8M0.bias;
    const what = rule === "mse" ? "sum of squared errors" : "sum of absolute errors";
    const parts = [code, code + 1, code - 1]
        .filter((candidate) => candidate >= 0 && candidate <= E8M0.maxCode)
        .map((candidate) => {
            const error = errorUnder(candidate, numbers, fmt, policy, source);
            return `${hex(candidate, 8)}: ${error === null ? "unbounded" : decimal(error)}`;
        });
    return [
        step("search", `${what}, the first of the least: ${parts.join(", ")}`, ["OP-SCALE-RULE"]),
    ];
}

function rangeStep(total, exponent, policy) {
    let text;
    if (exponent < E8M0.emin) {
        const zeros = policy.scale_below === "flush-block" ? ", every element is +0" : "";
        text = `${total}, below ${E8M0.emin}: scale_below=${policy.scale_below}${zeros}`;
    } else if (exponent > 125 && policy.scale_above === "clamp-125") {
        text = `${total}, above 125: scale_above=clamp-125`;
    } else if (exponent > E8M0.emax) {
        text = `${total}, above ${E8M0.emax}: scale_above=${policy.scale_above}`;
    } else {
        return step("exponent", `${total}, within ${E8M0.emin} to ${E8M0.emax}`);
    }
    return step("exponent", text, ["OP-SCALE-RANGE"]);
}
