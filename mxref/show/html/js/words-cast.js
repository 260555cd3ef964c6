// The steps from one number to E8M0, as a scalar cast, in words: those of mxref.explain.

function castSteps(number, policy, scaleCode) {
    const clauses = ["OP-E8M0-CAST"];
    const pack = step("pack", scaleText(scaleCode), [E8M0.clause]);
    const steps = [step("classify", classText(number))];
    if (number.sign && (number.cls === "finite" || number.cls === "inf")) {
        const text = `E8M0 has no sign: e8m0_negative=${policy.e8m0_negative}`;
        steps.push(step("sign", text, clauses));
        if (policy.e8m0_negative === "nan") return [...steps, pack];
    }
    if (number.cls !== "finite") {
        const text = {
            zero: `E8M0 has no zero: e8m0_zero=${policy.e8m0_zero}`,
            inf: `E8M0 has no infinity: e8m0_inf=${policy.e8m0_inf}`,
            nan: "NaN stays NaN",
        }[number.cls];
        return [...steps, step("special", text, clauses), pack];
    }
    const magnitude = castMagnitude(number, policy);
    if (policy.e8m0_subnormal === "bits" && less(number.magnitude, LEAST_NORMAL)) {
        const text =
            "a float32 subnormal, its fields read as a normal number's: e8m0_subnormal=bits";
        steps.push(step("subnormal", text, clauses));
    }
    const E = floorLog2(magnitude);
    const m = div(magnitude, pow2(E));
    const exponent = castExponent(magnitude, policy);
    steps.push(step("align", `m * 2^E, m = ${decimal(m)}, E = ${E}`));
    const where = {
        down: "takes E, whatever m is",
        up: "takes E + 1 where m > 1",
        nearest: "takes E + 1 where m >= 1.5",
        "nearest-even": "takes E + 1 where m > 1.5, or m = 1.5 and the code of E is odd",
    }[policy.e8m0_rounding];
    const text = `e8m0_rounding=${policy.e8m0_rounding} ${where}: 2^${exponent}`;
    steps.push(step("round", text, clauses));
    if (exponent < E8M0.emin) {
        const choice = `e8m0_underflow=${policy.e8m0_underflow}`;
        steps.push(
            step("underflow", `below 2^${E8M0.emin}, the smallest scale: ${choice}`, clauses),
        );
    }
    if (exponent > E8M0.emax) {
        const choice = `e8m0_overflow=${policy.e8m0_overflow}`;
        steps.push(step("overflow", `above 2^${E8M0.emax}: ${choice}`, clauses));
    }
    return [...steps, pack];
}
