// A block: 32 cells, one of which is looked at.

const TAGS = [
    ["overflow", "■\u00a0saturated", "saturated"],
    ["to zero", "○\u00a0to zero", "flushed"],
    ["nan", "✕\u00a0NaN", "is-nan"],
    ["inf", "∞\u00a0Inf", "saturated"],
    ["tie", "tie", ""],
    ["subnormal", "subnormal", ""],
];

function cellsView(block, count, index, onIndex) {
    const cells = block.elements.slice(0, count).map((one, i) => {
        const found = TAGS.filter(([flag]) => one.flags.includes(flag));
        const isAmax = i === block.amax;
        const words = [...(isAmax ? ["▲\u00a0amax"] : []), ...found.map(([, text]) => text)];
        const names = found.map(([, , name]) => name).filter((name) => name);
        if (!isReal(one.value) && !names.includes("is-nan")) names.push("is-nan");
        const classes = ["cell", ...(isAmax ? ["amax"] : []), ...names.slice(0, 1)];
        const value = brief(one.value);
        const code = hex(one.code, one.fmt.bits);
        const bits = bitFields(one.code, one.fmt)
            .map(([, text]) => text)
            .join(" ");
        return make(
            "button",
            {
                type: "button",
                role: "radio",
                class: classes.join(" "),
                "data-key": `cell${i}`,
                "data-index": `${i}`,
                tabindex: i === index ? "0" : "-1",
                "aria-checked": i === index ? "true" : "false",
                "aria-label": `element ${i}: ${briefGiven(one.given)} becomes ${code}, ${value}${words.length ? `, ${words.map((w) => w.replace(/^\W+/, "")).join(", ")}` : ""}`,
                title: `element ${i}\ngiven ${givenText(one.given)}\nbits ${bits} = ${code}`,
                onclick: () => onIndex(i),
            },
            make("span", { class: "given" }, briefGiven(one.given)),
            make("span", { class: "decoded" }, value),
            make("span", {}, code),
            make("span", { class: "tag" }, ...tagTexts(isAmax, found)),
        );
    });
    return make(
        "div",
        {
            class: "cells",
            role: "radiogroup",
            "aria-label": "elements of the block",
            onkeydown: (event) => cellKeys(event, cells.length, onIndex),
        },
        ...cells,
        restView(block, count),
    );
}

// What deserves a second look, loud or quiet.
function tagTexts(isAmax, found) {
    const loud = [
        ...(isAmax ? ["▲\u00a0amax "] : []),
        ...found.filter(([, , name]) => name).map(([, text]) => `${text} `),
    ];
    const quiet = found.filter(([, , name]) => !name).map(([, text]) => make("i", {}, text));
    return loud.length || quiet.length ? [...loud, ...quiet] : ["\u00a0"];
}

// The zeros that fill a block, in one place.
function restView(block, count) {
    const rest = block.elements.length - count;
    if (rest === 0) return null;
    const last = block.elements[count];
    const code = hex(last.code, last.fmt.bits);
    return make(
        "span",
        { class: "rest" },
        `and ${rest} zero${rest === 1 ? "" : "s"}, ${code} = ${brief(last.value)}`,
    );
}

function cellKeys(event, count, onIndex) {
    const across = getComputedStyle(event.currentTarget).gridTemplateColumns.split(" ").length;
    const moves = {
        ArrowLeft: -1,
        ArrowRight: 1,
        ArrowUp: -across,
        ArrowDown: across,
        Home: -count,
        End: count,
    };
    if (!(event.key in moves)) return;
    event.preventDefault();
    const at = Number(event.target.dataset.index);
    const next = event.key.startsWith("Arrow")
        ? at + moves[event.key]
        : Math.min(count - 1, Math.max(0, at + moves[event.key]));
    if (next < 0 || next >= count) return;
    onIndex(next);
    document.querySelector(`[data-key="cell${next}"]`).focus({ preventScroll: true });
}

// How the block fares as a whole.
function blockSummary(block) {
    const count = (flag) => block.elements.filter((one) => one.flags.includes(flag)).length;
    const parts = [
        ["saturated", count("overflow") + count("inf")],
        ["to zero", count("to zero")],
        ["ties", count("tie")],
    ];
    return parts
        .filter(([, n]) => n)
        .map(([word, n]) => `${n} ${word}`)
        .join(", ");
}
