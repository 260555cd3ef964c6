// A code as bits that can be clicked, and the facts about it.

// A group of bits. `onCode(code)` is called with the code that the reader makes.
function bitsView(code, fmt, { prefix, label, className = "", onCode }) {
    let place = fmt.bits;
    const top = fmt.bits - 1;
    const fields = bitFields(code, fmt).map(([name, bits]) => {
        const buttons = [...bits].map((bit) => {
            place -= 1;
            const at = place;
            return make(
                "button",
                {
                    type: "button",
                    class: "bit",
                    "data-key": `${prefix}${at}`,
                    "data-bit": `${at}`,
                    tabindex: at === (bitFocus[prefix] ?? top) ? "0" : "-1",
                    "aria-pressed": bit === "1" ? "true" : "false",
                    "aria-label": `${name} bit ${at}: ${bit}`,
                    title: `${name}, bit ${at}: ${bitMeaning(name, at, fmt)}`,
                    onclick: () => onCode(code ^ (1 << at)),
                    onfocus: () => (bitFocus[prefix] = at),
                },
                bit,
            );
        });
        return make(
            "div",
            { class: `bit-field ${className || name}` },
            make("div", {}, ...buttons),
            make("span", {}, fieldText(name, bits, fmt)),
        );
    });
    return make(
        "div",
        {
            class: "bits",
            role: "group",
            "aria-label": label,
            onkeydown: (event) => bitKeys(event, code, fmt, prefix, onCode),
        },
        ...fields,
    );
}

const bitFocus = {};

// Left and right walk along the bits, up and down step to the next value.
function bitKeys(event, code, fmt, prefix, onCode) {
    const at = Number(event.target.dataset.bit);
    const moves = { ArrowLeft: 1, ArrowRight: -1 };
    if (event.key in moves) {
        const next = Math.min(fmt.bits - 1, Math.max(0, at + moves[event.key]));
        const buttons = event.currentTarget.querySelectorAll(".bit");
        buttons.forEach(
            (button) => (button.tabIndex = Number(button.dataset.bit) === next ? 0 : -1),
        );
        event.currentTarget.querySelector(`[data-bit="${next}"]`).focus();
    } else if (event.key === "ArrowUp" || event.key === "ArrowDown") {
        onCode(stepCode(code, fmt, event.key === "ArrowUp" ? 1 : -1));
    } else {
        return;
    }
    event.preventDefault();
}

// The code of the next value up or down; from Inf or NaN back to the nearest end.
function stepCode(code, fmt, direction) {
    if (!isReal(decodeAny(code, fmt))) {
        if (fmt.isScale) return direction < 0 ? fmt.maxCode : code;
        const side = code & fmt.signMask;
        return (side ? 1 : -1) === direction ? fmt.maxMagnitude + side : code;
    }
    return codeAt(placeOf(code, fmt) + direction, fmt) ?? code;
}

function bitMeaning(name, at, fmt) {
    if (name === "sign") return fmt.isFixed ? "counts -2" : "1 is minus";
    if (name === "integer") return "counts 1";
    if (name === "fraction") return `counts 2^${at - fmt.mantissaBits}`;
    if (name === "mantissa") return `counts 2^${at - fmt.mantissaBits} of the leading one`;
    return `counts ${1 << (fmt.isScale ? at : at - fmt.mantissaBits)}, less the bias ${fmt.bias}`;
}

function fieldText(name, bits, fmt) {
    const value = parseInt(bits, 2);
    if (name === "exponent" && fmt.isScale) {
        return value === fmt.nan
            ? `exponent ${value}: NaN`
            : `exponent ${value} - ${fmt.bias} = ${value - fmt.bias}`;
    }
    const isSpecial = fmt.inf !== null && value === fmt.inf >> fmt.mantissaBits;
    if (name === "exponent" && isSpecial) return `exponent ${value}: Inf or NaN`;
    if (name === "exponent") {
        return value
            ? `exponent ${value} - ${fmt.bias} = ${value - fmt.bias}`
            : `exponent 0: subnormal, ${fmt.emin}`;
    }
    if (name === "sign") return `sign ${value ? "-" : "+"}`;
    if (name === "mantissa") return `mantissa ${value}/${1 << bits.length}`;
    return name;
}

// Rows of [term, text] about a code; `scaleCode` where it belongs to a block.
function factRows(code, fmt, policy, scaleCode = null) {
    const number = decodeAny(code, fmt);
    const rows = [["class", className(code, fmt)]];
    if (!isReal(number)) return [...rows, ["value", numberString(number)]];
    const value = valueOf(number);
    rows.push(["value", number.cls === "zero" ? numberString(number) : joined(value)]);
    if (scaleCode !== null && scaleCode !== E8M0.nan && number.cls === "finite") {
        rows.push(["times scale", joined(mul(value, pow2(scaleCode - E8M0.bias)))]);
    }
    for (const [name, direction] of [
        ["below", -1],
        ["above", 1],
    ]) {
        const next = neighbour(code, fmt, direction);
        const text =
            next === null
                ? "nothing: this is the last finite value"
                : `${short(next.value)}, code ${hex(next.code, fmt.bits)}, gap ${short(next.gap)}`;
        rows.push([name, text]);
    }
    const interval = roundingInterval(code, fmt, policy);
    const mode = fmt.isScale ? policy.e8m0_rounding : policy.rounding;
    const what = scaleCode === null ? "takes" : "takes V / X";
    if (interval !== null)
        rows.push([what, `${intervalText(interval)}, ${mode}${endText(code, fmt)}`]);
    return rows;
}

function endText(code, fmt) {
    const isEnd = fmt.isScale
        ? code === fmt.maxCode || code === 0
        : Math.abs(placeOf(code, fmt)) === fmt.maxMagnitude;
    return isEnd ? "; and what lies beyond, if the policy saturates" : "";
}

const factsView = (rows) =>
    rows.flatMap(([term, text]) => [make("dt", {}, term), make("dd", {}, text)]);
