// Steps with their clauses; the one-line text of a clause is shown on hover, or below on a tap.

function stepsView(steps, fmt) {
    return steps.map((one, i) => {
        const item = make(
            "li",
            { class: "step" },
            make("span", { class: "step-name" }, one.step),
            make("div", { class: "step-text" }, ...stepText(one, fmt)),
        );
        if (one.clauses.length) {
            const links = one.clauses.map((id) => clauseButton(id, item, `${one.step}${i}`));
            item.append(make("div", { class: "clauses" }, ...links));
        }
        return item;
    });
}

function clauseButton(id, item, key) {
    const clause = CLAUSES[id];
    const button = make(
        "button",
        {
            type: "button",
            class: "clause",
            title: clause.text,
            "aria-expanded": "false",
            "data-key": `${key}${id}`,
        },
        id,
    );
    button.addEventListener("click", () => {
        const wasOpen = button.getAttribute("aria-expanded") === "true";
        item.querySelectorAll(".clause-text").forEach((text) => text.remove());
        item.querySelectorAll(".clause").forEach((one) =>
            one.setAttribute("aria-expanded", "false"),
        );
        if (wasOpen) return;
        button.setAttribute("aria-expanded", "true");
        const what = clause.force === "open" ? "an open point" : clause.force;
        item.append(make("p", { class: "clause-text", role: "note" }, `${clause.text} (${what})`));
    });
    return button;
}

// Words that say something about parts of a text get the marks of that part.
function stepText({ step: name, text }, fmt) {
    if (name === "align" && text.endsWith("sticky")) return [tailView(text)];
    if (name === "pack" && fmt && text.includes(" = 0x")) return packView(text, fmt);
    return [text];
}

// +0b1.0 | 1 | 0 | 1 *2^0   kept | guard | round | sticky
function tailView(text) {
    const [values, names] = text.split("   ");
    const cut = values.split(" | ");
    const [sticky, ...power] = cut[3].split(" ");
    const parts = [cut[0], cut[1], cut[2], sticky];
    const labels = names.split(" | ");
    const spans = parts.map((part, i) =>
        make("span", { class: labels[i] }, make("b", {}, part), make("small", {}, labels[i])),
    );
    return make(
        "span",
        { class: "tail" },
        ...spans,
        make("span", {}, power.join(" "), make("small", {}, "\u00a0")),
    );
}

// 0 | 01 | 1 = 0x3, each field in the colour that it has everywhere.
function packView(text, fmt) {
    const [bits, rest] = text.split(" = ");
    const names = bitFields(0, fmt).map(([name]) => name);
    const parts = bits
        .split(" | ")
        .flatMap((part, i) => [
            ...(i ? [" | "] : []),
            make("span", { class: `part ${names[i]}`, title: names[i] }, part),
        ]);
    return [...parts, ` = ${rest}`];
}
