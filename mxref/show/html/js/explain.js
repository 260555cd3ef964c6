// A whole explanation, for one number or one block: what mxref.explain(...).to_dict() holds.

// The fields of one conversion, ready to be shown.
function explanation({ given, fmt, policy, steps, code, value, error, flags, block, scaleCode }) {
    const float32 = toBits(value, "float32", policy);
    const decoded = decodedStep({ code, value, float32, policy, block, scaleCode });
    return { given, fmt, policy, steps, code, value, error, flags, float32, decoded };
}

function explainCast(given, policy) {
    const code = encodeScale(given.number, policy);
    const steps = castSteps(given.number, policy, code);
    const common = { given, fmt: E8M0, policy, steps, code, flags: [] };
    return explanation({ ...common, value: decodeScale(code), error: null });
}

function explainElement(given, fmt, policy, { random = 0 } = {}) {
    const source = given.source ?? "float32";
    const passage = passageOf({ number: given.number, fmt, policy, X: ONE, source, random });
    const code = encodeElement(given.number, fmt, policy, { source, random });
    const value = decodeElement(code, fmt, policy);
    return explanation({
        given,
        fmt,
        policy,
        steps: elementSteps(passage, code),
        code,
        value,
        error: errorOf(given.number, value, fmt, ONE),
        flags: elementFlags(passage, code),
    });
}

// One element of a block whose scale is known.
function explainInBlock(given, code, { fmt, policy, scaleCode, flushes, source, random }) {
    const element = fmt.element;
    const isNan = scaleCode === E8M0.nan;
    const X = isNan ? ONE : pow2(scaleCode - E8M0.bias);
    const value = blockValue(scaleCode, code, fmt, policy);
    let steps;
    let flags = [];
    if (isNan) {
        const text = "the scale is NaN, so V / X is NaN and the code does not matter";
        const clauses = ["MX-1.0/5.1/nan-scale", "MX-1.0/4/scope"];
        steps = [step("scale", text, clauses), step("pack", packedText(code, element))];
        flags = ["nan"];
    } else if (flushes) {
        const text = "the block is flushed: every element is +0, whatever it was";
        const clauses = ["OP-SCALE-RANGE", "OP-SCALE-NONFINITE"];
        steps = [
            step("scale", text, clauses),
            step("pack", packedText(code, element), [element.clause]),
        ];
        flags = given.number.cls === "finite" ? ["to zero"] : [];
    } else {
        const passage = passageOf({
            number: given.number,
            fmt: element,
            policy,
            X,
            source,
            random,
            inBlock: true,
        });
        steps = elementSteps(passage, code);
        flags = elementFlags(passage, code);
    }
    const error = errorOf(given.number, value, element, X);
    return explanation({
        given,
        fmt: element,
        policy,
        steps,
        code,
        value,
        error,
        flags,
        block: fmt,
        scaleCode,
    });
}

// A block. What is missing is taken to be zero; `alone`: only one number was given.
function explainBlock(
    given,
    fmt,
    policy,
    { random = null, scaleRandom = 0, forcedCode = null } = {},
) {
    const alone = given.length === 1;
    const padding = Array.from({ length: fmt.blockSize - given.length }, () => exactly(zero(0)));
    const all = [...given, ...padding];
    const numbers = all.map((one) => one.number);
    const source = given.find((one) => one.source !== null)?.source ?? "float32";
    const draws = random === null ? null : numbers.map((_, i) => random[i] ?? 0);
    const made = quantizeBlock(numbers, fmt, policy, { source, random: draws, scaleRandom });
    if (forcedCode !== null) {
        made.codes = encodeWithScale(numbers, forcedCode, fmt, policy, { source, random: draws });
    }
    const scaleCode = forcedCode ?? made.scaleCode;
    const flushes = made.flushes && forcedCode === null;
    const shown = numbers.slice(0, given.length);
    const steps = scaleSteps({
        numbers: shown,
        fmt,
        policy,
        source,
        random: scaleRandom,
        scaleCode: made.scaleCode,
    });
    const shared = { fmt, policy, scaleCode, flushes, source };
    const elements = all.map((one, i) =>
        explainInBlock(one, made.codes[i], { ...shared, random: draws === null ? 0 : draws[i] }),
    );
    // Where a NaN or an infinity decides, or all are zero, no element is the amax.
    const isDecided = steps.some((one) => one.step === "amax" && one.text.includes("|V["));
    const amax = isDecided ? amaxIndex(numbers) : null;
    const ruleCode = made.scaleCode;
    return {
        fmt,
        policy,
        steps,
        scaleCode,
        ruleCode,
        flushes,
        elements,
        amax,
        alone,
        count: given.length,
    };
}

// The step from code to value, which ends every explanation.
function decodedStep({ code, value, float32, policy, block, scaleCode }) {
    let text = `${numberText(value)}, float32 ${hex(float32, 32)}`;
    const isNan = block && scaleCode === E8M0.nan;
    const clauses = !block
        ? []
        : isNan
          ? ["MX-1.0/5.1/nan-scale"]
          : [isReal(value) ? "MX-1.0/5.1/value" : "MX-1.0/5.1/special-elements"];
    if (value.cls !== "finite") return step("decoded", text, clauses);
    if (block) {
        const P = valueOf(decodeElement(code, block.element, OCP));
        text = `X * P = 2^${scaleCode - E8M0.bias} * ${decimal(P)} = ${text}`;
    }
    if (less(IEEE.float32.max, value.magnitude)) {
        return step("decoded", `${text} (decode_overflow=${policy.decode_overflow})`, clauses);
    }
    const isFlushed = (float32 & 0x7fffffffn) === 0n;
    if (isFlushed) text += ` (decode_subnormal=${policy.decode_subnormal})`;
    return step("decoded", text, clauses);
}

// The same as mxref.explain(...).to_dict(), for whoever compares.
function explanationDict(one) {
    const error = one.error && {
        absolute: fractionText(one.error.absolute),
        ulp: fractionText(one.error.ulp),
        in_ulp: fractionText(one.error.inUlp),
        relative: one.error.relative && fractionText(one.error.relative),
    };
    return {
        given: { value: numberString(one.given.number), text: one.given.text },
        steps: one.steps,
        code: one.code,
        value: numberString(one.value),
        float32: hex(one.float32, 32),
        error,
        flags: one.flags,
    };
}

const blockDict = (block) => ({
    alone: block.alone,
    steps: block.steps,
    scale_code: block.scaleCode,
    amax: block.amax,
    elements: block.elements.slice(0, block.count).map(explanationDict),
});
