// Numbers as text, exactly as mxref writes them: a decimal that is not exact starts with "~".

// The limits of mxref/show/_text.py; the browser test compares the texts of both.
// A decimal is exact up to so many digits, else rounded to so many; the longest p/q; the most
// binary digits in front of the point.
const TEXT = { exact: 17, rounded: 9, ratio: 40, whole: 16 };

// The digits of |value| without trailing zeros, and the decimal exponent of the first one;
// null where the expansion does not end.
function exactDigits(value) {
    let { d } = value;
    let fives = 0;
    const twos = bitLength(d & -d) - 1;
    d >>= BigInt(twos);
    for (; d % 5n === 0n; fives += 1) d /= 5n;
    if (d !== 1n) return null;
    const places = Math.max(twos, fives);
    const n = abs(value.n) * 2n ** BigInt(places - twos) * 5n ** BigInt(places - fives);
    const text = `${n}`;
    return { digits: text.replace(/0+$/, "") || "0", exponent: text.length - 1 - places };
}

// |value| to so many significant digits, ties to even.
function roundedDigits(value, count) {
    const { n, d } = absolute(value);
    let exponent = `${n}`.length - `${d}`.length;
    const tens = (e) => (e >= 0 ? ratio(10n ** BigInt(e)) : ratio(1n, 10n ** BigInt(-e)));
    if (less({ n, d }, tens(exponent))) exponent -= 1;
    const scaled = mul(ratio(n, d), tens(count - 1 - exponent));
    let text = `${roundToInteger(scaled, 0, "nearest-even")}`;
    if (text.length > count) {
        text = text.slice(0, count);
        exponent += 1;
    }
    return { digits: text.replace(/0+$/, ""), exponent };
}

// A decimal: exact if `digits` suffice, else "~" and `rounded` digits.
function decimal(value, digits = TEXT.exact, rounded = TEXT.rounded) {
    if (isZero(value)) return "0";
    const exact = exactDigits(value);
    const isExact = exact !== null && exact.digits.length <= digits;
    const found = isExact ? exact : roundedDigits(value, rounded);
    return (isExact ? "" : "~") + (value.n < 0n ? "-" : "") + plain(found);
}

// As Python writes a float: an exponent only where digits would be lost.
function plain({ digits, exponent }) {
    if (exponent > -5 && exponent < 16) {
        if (exponent < 0) return `0.${"0".repeat(-exponent - 1)}${digits}`;
        const whole = digits.slice(0, exponent + 1).padEnd(exponent + 1, "0");
        const rest = digits.slice(exponent + 1);
        return rest ? `${whole}.${rest}` : whole;
    }
    const rest = digits.slice(1);
    const size = `${Math.abs(exponent)}`.padStart(2, "0");
    return `${digits[0]}${rest ? `.${rest}` : ""}e${exponent < 0 ? "-" : "+"}${size}`;
}

// +m*2^e with an odd m; one that is not dyadic as p/q.
function powers(value) {
    if (isZero(value)) return "0";
    if (value.d & (value.d - 1n)) return fractionText(value);
    const n = abs(value.n);
    const twos = bitLength(n & -n) - 1;
    const odd = n >> BigInt(twos);
    return `${value.n < 0n ? "-" : "+"}${odd > 1n ? `${odd}*` : ""}2^${twos - bitLength(value.d) + 1}`;
}

// p/q, m*2^e and a decimal, each only where it adds something.
function joined(value) {
    const written = fractionText(value);
    const forms = written.length <= TEXT.ratio + 2 ? [written] : [];
    for (const form of [powers(value), decimal(value)]) if (!forms.includes(form)) forms.push(form);
    return forms.join(" = ");
}

// +0b1.001*2^e, with a given exponent and number of bits.
function binary(value, mantissaBits, exponent) {
    const steps = div(absolute(value), pow2(exponent - mantissaBits));
    const digits = steps.n.toString(2).padStart(mantissaBits + 1, "0");
    const cut = digits.length - mantissaBits;
    if (cut > TEXT.whole) return powers(value);
    return `${value.n < 0n ? "-" : "+"}0b${digits.slice(0, cut)}.${digits.slice(cut)}*2^${exponent}`;
}

// Short enough for a cell: as a decimal if that fits, else m*2^e; always exact.
function short(value, width = 11) {
    const text = decimal(value);
    if (!text.startsWith("~") && text.length <= width) return text;
    return powers(value).replace(/^\+/, "");
}

const signedText = (value, rounded = 6) => {
    const text = decimal(absolute(value), 9, rounded);
    const mark = text.startsWith("~") ? "~" : "";
    return `${mark}${value.n < 0n ? "-" : "+"}${text.slice(mark.length)}`;
};

const numberText = (number) =>
    number.cls === "finite" ? decimal(valueOf(number)) : numberString(number);

// At most a dozen characters, with "~" where it is not exact.
const brief = (number) =>
    number.cls === "finite" ? decimal(valueOf(number), 9, 6) : numberString(number);

const hex = (code, bits) => `0x${code.toString(16).padStart(Math.ceil(bits / 4), "0")}`;

// Name and bits of each field of a code, the most significant first.
function bitFields(code, fmt) {
    const text = code.toString(2).padStart(fmt.bits, "0");
    const widths = fmt.isScale
        ? [["exponent", fmt.bits]]
        : fmt.isFixed
          ? [
                ["sign", 1],
                ["integer", 1],
                ["fraction", fmt.mantissaBits],
            ]
          : [
                ["sign", 1],
                ["exponent", fmt.exponentBits],
                ["mantissa", fmt.mantissaBits],
            ];
    let start = 0;
    return widths.map(([name, width]) => [name, text.slice(start, (start += width))]);
}

// A code as its fields and in hexadecimal: 0 | 01 | 1 = 0x3.
const packedText = (code, fmt) =>
    `${bitFields(code, fmt)
        .map(([, bits]) => bits)
        .join(" | ")} = ${hex(code, fmt.bits)}`;

function scaleText(code) {
    if (code === E8M0.nan) return `${hex(code, 8)} = NaN`;
    return `${hex(code, 8)} = 2^${code - E8M0.bias} = ${decimal(pow2(code - E8M0.bias))}`;
}
