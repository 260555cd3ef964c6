// Numbers as people type them: decimals, inf, nan, -0, bit patterns, "bfloat16:0x3fa6".

const NUMBER = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?$/;
const SPECIAL = /^([+-]?)(?:(inf|infinity)|(nan))$/i;
const FAR = 400; // decimal exponents beyond this are infinity or zero in every source format
const HOW =
    "Write a decimal such as 1.3, inf, nan, or the bits of a float32 such as 0x3fa66666; " +
    "bfloat16:0x3fa6 and float16:1.3 name another type.";

// A mistake of the reader's: the message is shown beside the input.
class Mistake extends Error {}

// One number: { number, source, bits, text }; text where the decimal had to be rounded.
function readText(text, type = "float32") {
    const at = text.lastIndexOf(":");
    const source = at >= 0 ? text.slice(0, at).trim().toLowerCase() : type;
    const body = text.slice(at + 1).trim();
    if (!Object.hasOwn(IEEE, source)) {
        throw new Mistake(
            `“${text}”: “${source}” is not one of ${Object.keys(IEEE).join(", ")}. ${HOW}`,
        );
    }
    const fmt = IEEE[source];
    if (/^0x[0-9a-f]+$/i.test(body)) {
        const digits = fmt.bits / 4;
        if (body.length - 2 !== digits) {
            throw new Mistake(
                `“${text}”: the bits of a ${source} are ${digits} hexadecimal digits, got ` +
                    `${body.length - 2}. ${HOW}`,
            );
        }
        const bits = BigInt(body);
        return { number: fromBits(bits, source), source, bits, text: null };
    }
    let number;
    let isExact = true;
    const special = SPECIAL.exec(body);
    if (special) {
        number = (special[2] ? inf : nan)(special[1] === "-" ? 1 : 0);
    } else if (NUMBER.test(body)) {
        number = readDecimal(body);
        isExact = number.cls === "finite" || /^[^eE1-9]*(?:[eE].*)?$/.test(body);
    } else {
        throw new Mistake(`“${text}” is no number. ${HOW}`);
    }
    const bits = toBits(number, source, { ...OCP, decode_nan: "signed" });
    const rounded = fromBits(bits, source);
    isExact &&= numberString(rounded) === numberString(number);
    return { number: rounded, source, bits, text: isExact ? null : body };
}

function readDecimal(body) {
    const sign = body.startsWith("-") ? 1 : 0;
    const [significand, power = "0"] = body.replace(/^[+-]/, "").toLowerCase().split("e");
    const [whole, fraction = ""] = significand.split(".");
    const digits = (whole + fraction).replace(/^0+/, "");
    if (digits === "") return zero(sign);
    // Far exponents are cut off before anything of that size is written out.
    const exponent = Math.max(-9999999, Math.min(9999999, Number(power))) - fraction.length;
    const first = digits.length - 1 + exponent;
    if (first > FAR) return inf(sign);
    if (first < -FAR) return zero(sign);
    const n = BigInt(digits) * (sign ? -1n : 1n);
    const tens = 10n ** BigInt(Math.abs(exponent));
    return finite(exponent >= 0 ? ratio(n * tens) : ratio(n, tens), sign);
}

// A pasted list: separated by commas, semicolons or white space, in brackets or not.
const splitList = (text) => text.split(/[\s,;()[\]{}]+/).filter((word) => word !== "");

const patternText = ({ source, bits }) =>
    `${source} 0x${bits.toString(16).padStart(IEEE[source].bits / 4, "0")}`;

// With bits in front: float32 0x3fa66666 = ...
function givenText(given) {
    const value =
        given.number.cls === "finite" ? joined(valueOf(given.number)) : numberString(given.number);
    return given.source === null ? value : `${patternText(given)} = ${value}`;
}

// As it was typed, where that is short; else at most a dozen characters.
const briefGiven = ({ text, number }) =>
    text !== null && text.length <= 12 ? text : brief(number);

// The number given by itself, without bits: elements that pad a block.
const exactly = (number) => ({ number, source: null, bits: null, text: null });
