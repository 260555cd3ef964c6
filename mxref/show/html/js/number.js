// What codes stand for, and the few notions that all binary formats share.
// A number is { sign, cls, magnitude, payload }; cls is "zero", "finite", "inf" or "nan".

const finite = (value, signOfZero = 0) =>
    isZero(value)
        ? zero(signOfZero)
        : { sign: value.n < 0n ? 1 : 0, cls: "finite", magnitude: absolute(value), payload: 0 };
const zero = (sign) => ({ sign, cls: "zero", magnitude: ZERO, payload: 0 });
const inf = (sign) => ({ sign, cls: "inf", magnitude: ZERO, payload: 0 });
const nan = (sign, payload = 0) => ({ sign, cls: "nan", magnitude: ZERO, payload });

const valueOf = (number) => (number.sign ? neg(number.magnitude) : number.magnitude);
const isReal = (number) => number.cls === "zero" || number.cls === "finite";

// A fraction, or -0, inf, nan and the like.
function numberString(number) {
    const text =
        number.cls === "finite"
            ? fractionText(number.magnitude)
            : number.cls === "zero"
              ? "0"
              : number.cls;
    return number.sign ? `-${text}` : text;
}

const isStochastic = (rounding) => rounding.startsWith("stochastic-");

// Round a magnitude to an integer. MX-1.0/6.3/rounding, OFP8-1.0/rounding; OP-ELEM-ROUNDING.
// `draw` is { value: R, bits: N } where the mode is stochastic (OP-ELEM-STOCHASTIC).
function roundToInteger(magnitude, sign, rounding, draw = null) {
    const [below, rest] = divmod(magnitude.n, magnitude.d);
    if (rest === 0n) return below; // every mode returns what is exact
    const half = compare({ n: 2n * rest, d: 1n }, { n: magnitude.d, d: 1n });
    const isOdd = (below & 1n) === 1n;
    let goesUp;
    switch (rounding) {
        case "nearest-even":
            goesUp = half > 0 || (half === 0 && isOdd);
            break;
        case "nearest-away":
            goesUp = half >= 0;
            break;
        case "nearest-down":
            goesUp = half > 0;
            break;
        case "toward-zero":
            goesUp = false;
            break;
        case "up":
            goesUp = sign === 0;
            break;
        case "down":
            goesUp = sign === 1;
            break;
        case "to-odd":
            goesUp = !isOdd;
            break;
        default:
            goesUp = goesUpAtRandom(ratio(rest, magnitude.d), rounding, draw);
    }
    return goesUp ? below + 1n : below;
}

function goesUpAtRandom(beyond, rounding, draw) {
    if (draw === null) throw new Error(`${rounding} needs random bits`);
    const limit = 1n << BigInt(draw.bits);
    const R = BigInt(draw.value);
    switch (rounding) {
        case "stochastic-a":
            return floor(mul(beyond, ratio(limit))) + R >= limit;
        case "stochastic-b":
            return floor(mul(beyond, ratio(2n * limit))) + 2n * R + 1n >= 2n * limit;
        case "stochastic-c":
            return roundToInteger(mul(beyond, ratio(limit)), 0, "nearest-even") + R >= limit;
        default:
            throw new Error(`unknown rounding ${rounding}`);
    }
}

// The distance of neighbouring values around a magnitude, without an upper bound.
function quantumOf(magnitude, mantissaBits, emin) {
    const exponent = less(magnitude, pow2(emin)) ? emin : floorLog2(magnitude);
    return pow2(exponent - mantissaBits);
}

// The magnitude that an exponent field and a mantissa field stand for (OFP8-1.0/value).
function valueOfFields(exponent, mantissa, mantissaBits, bias) {
    const fraction = ratio(BigInt(mantissa), 1n << BigInt(mantissaBits));
    return exponent === 0
        ? mul(pow2(1 - bias), fraction)
        : mul(pow2(exponent - bias), add(ONE, fraction));
}

// The inverse of valueOfFields, for a magnitude that lies on the grid.
function fieldsOf(magnitude, mantissaBits, bias) {
    let exponent = 0;
    let fraction = div(magnitude, pow2(1 - bias));
    if (!less(magnitude, pow2(1 - bias))) {
        const unbiased = floorLog2(magnitude);
        exponent = unbiased + bias;
        fraction = sub(div(magnitude, pow2(unbiased)), ONE);
    }
    const mantissa = mul(fraction, pow2(mantissaBits));
    if (mantissa.d !== 1n) throw new Error("more mantissa bits than the format has: round first");
    return [exponent, mantissa.n];
}
