// The bits of float32, float64, float16 and bfloat16, to and from exact numbers.

for (const fmt of Object.values(IEEE)) {
    fmt.bits = 1 + fmt.exponentBits + fmt.mantissaBits;
    fmt.bias = (1 << (fmt.exponentBits - 1)) - 1;
    fmt.special = (1 << fmt.exponentBits) - 1;
    fmt.emin = 1 - fmt.bias;
    fmt.max = valueOfFields(
        fmt.special - 1,
        (1n << BigInt(fmt.mantissaBits)) - 1n,
        fmt.mantissaBits,
        fmt.bias,
    );
}

// Round to the mantissa of a format, to nearest even, without an upper bound.
function roundMagnitude(magnitude, name) {
    const step = quantumOf(magnitude, IEEE[name].mantissaBits, IEEE[name].emin);
    return mul(ratio(roundToInteger(div(magnitude, step), 0, "nearest-even")), step);
}

// A zero of the same sign for a number that is subnormal in its type (OP-ELEM-SUBNORMAL).
function flushed(number, source) {
    const isSubnormal = number.cls === "finite" && less(number.magnitude, pow2(IEEE[source].emin));
    return isSubnormal ? zero(number.sign) : number;
}

// The number that a bit pattern, a BigInt, stands for.
function fromBits(pattern, source) {
    const fmt = IEEE[source];
    const m = BigInt(fmt.mantissaBits);
    const mantissa = pattern & ((1n << m) - 1n);
    const exponent = Number((pattern >> m) & BigInt(fmt.special));
    const sign = Number(pattern >> BigInt(fmt.bits - 1));
    if (exponent === fmt.special) {
        return mantissa === 0n ? inf(sign) : nan(sign, Number((mantissa >> (m - 2n)) & 1n));
    }
    const magnitude = valueOfFields(exponent, mantissa, fmt.mantissaBits, fmt.bias);
    return isZero(magnitude) ? zero(sign) : { sign, cls: "finite", magnitude, payload: 0 };
}

// The bit pattern of a number, rounded to nearest even. OP-DECODE-OVERFLOW, OP-DECODE-NAN.
function toBits(number, dest, policy) {
    const fmt = IEEE[dest];
    const m = BigInt(fmt.mantissaBits);
    const join = (sign, exponent, mantissa) =>
        (((BigInt(sign) << BigInt(fmt.exponentBits)) + BigInt(exponent)) << m) + mantissa;
    if (number.cls === "nan") {
        return join(policy.decode_nan === "signed" ? number.sign : 0, fmt.special, 1n << (m - 1n));
    }
    if (number.cls === "inf") return join(number.sign, fmt.special, 0n);
    let rounded = roundMagnitude(number.magnitude, dest);
    if (less(fmt.max, rounded)) {
        if (policy.decode_overflow === "inf") return join(number.sign, fmt.special, 0n);
        rounded = fmt.max;
    }
    const flushes = policy.decode_subnormal === "flush-result" && dest === "float32";
    if (flushes && less(rounded, pow2(fmt.emin))) return join(number.sign, 0, 0n);
    return join(number.sign, ...fieldsOf(rounded, fmt.mantissaBits, fmt.bias));
}
