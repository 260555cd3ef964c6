// What is shown of the state and of a result.

function showControls() {
    const fmt = formatOf(state.format);
    const policy = policyOf(state);
    const isBlock = isBlockFormat(fmt);
    byId("format").value = state.format;
    byId("policy").value = state.base;
    byId("policy").title = PROFILES[state.base].title;
    byId("type").value = state.type;
    if (byId("numbers").value !== state.numbers) byId("numbers").value = state.numbers;
    if (byId("random").value !== state.random) byId("random").value = state.random;
    byId("rule").value = policy.scale_rule;
    byId("rounding").value = policy.rounding;
    setHidden("rule-field", !isBlock);
    setHidden("rounding-field", Boolean(fmt.isScale));
    const draws = !fmt.isScale && isStochastic(policy.rounding);
    const drawsScale = isBlock && policy.scale_rule === "stochastic";
    setHidden("random-field", !draws && !drawsScale);
    const bits = drawsScale
        ? Number(policy.stochastic_bits)
        : draws
          ? randomBits(elementOf(fmt), policy)
          : 0;
    setText("random-help", bits ? `Random bits: a number of ${bits} bits; none means 0.` : "");
    setText("numbers-label", isBlock ? `Numbers, one or up to ${fmt.blockSize}` : "Number");
    setText("policy-title", `${policyText(state)}: ${PROFILES[state.base].title}`);
    const count = Object.keys(state.changes).length;
    setText("changed", count ? `(${count} changed)` : "");
    setHidden("reset-policy", !count);
    renew(byId("fields"), ...fieldsView(fmt, policy, state.changes, chooseField));
}

function chooseField(name, choice) {
    const changes = onlyChanges(state.base, { ...state.changes, [name]: choice });
    change({ changes });
}

function showResult(result) {
    const { fmt, policy, block, one, notes, given } = result;
    const element = elementOf(fmt);
    const code = state.code ?? one.code;
    showSummary(result, code);
    setText("remark", notes.join(" "));
    setHidden("block", block === null);
    setHidden("scale-steps", block === null);
    if (block !== null) showBlock(block, given.length);
    setText(
        "code-title",
        block === null ? `The code, ${fmt.name}` : `Element ${state.index}, ${element.name}`,
    );
    const byHand = state.code !== null && state.code !== one.code;
    renew(
        byId("bits"),
        bitsView(code, element, {
            prefix: "b",
            label: `bits of the code, ${element.name}`,
            onCode: setCode,
        }),
        make(
            "div",
            { class: "bits-foot" },
            make("span", { class: "hex mono" }, hex(code, element.bits)),
            make(
                "button",
                {
                    type: "button",
                    "data-key": "down",
                    "aria-label": "next smaller value",
                    onclick: () => setCode(stepCode(code, element, -1)),
                },
                "−",
            ),
            make(
                "button",
                {
                    type: "button",
                    "data-key": "up",
                    "aria-label": "next larger value",
                    onclick: () => setCode(stepCode(code, element, 1)),
                },
                "+",
            ),
            byHand
                ? make(
                      "span",
                      { class: "note by-hand" },
                      `Set by hand: the conversion gives ${hex(one.code, element.bits)}.`,
                  )
                : null,
            byHand
                ? make(
                      "button",
                      { type: "button", "data-key": "undo", onclick: () => change({ code: null }) },
                      "Back to it",
                  )
                : null,
        ),
    );
    const scaleCode = block === null ? null : block.scaleCode;
    byId("facts").replaceChildren(...factsView(factRows(code, element, policy, scaleCode)));
    showLine(result, code);
    byId("element-steps")
        .querySelector("ol")
        .replaceChildren(...stepsView(allSteps(one), element));
    if (block !== null)
        byId("scale-steps")
            .querySelector("ol")
            .replaceChildren(...stepsView(block.steps, null));
    setText(
        "element-steps-title",
        block === null
            ? "How the number became a code"
            : `How element ${state.index} became a code`,
    );
    setText("command", commandText(result));
}

const allSteps = (one) => [
    step("given", givenText(one.given)),
    ...one.steps,
    one.decoded,
    ...(one.error === null ? [] : [step("error", errorText(one.error))]),
];

// One sentence that says it all; screen readers hear it after each change.
function showSummary({ block, one, fmt, given }, code) {
    const element = elementOf(fmt);
    const mono = (text) => make("span", { class: "mono" }, text);
    const parts = [];
    if (block !== null && given.length > 1) {
        const tally = blockSummary(block);
        parts.push(
            `${given.length} numbers share the scale `,
            make("b", {}, mono(scaleText(block.scaleCode))),
            tally ? `; ${tally}. ` : ". ",
            `Element ${state.index}: `,
        );
    }
    parts.push(
        mono(briefGiven(one.given)),
        " becomes ",
        make("b", {}, mono(hex(one.code, element.bits))),
        ", that is ",
        make("b", {}, mono(brief(one.value))),
    );
    if (one.error !== null) {
        parts.push(
            isZero(one.error.absolute)
                ? ", exactly"
                : `, off by ${signedText(one.error.inUlp, 3)} ulp`,
        );
    }
    if (block !== null && given.length === 1)
        parts.push(", under the scale ", make("b", {}, mono(scaleText(block.scaleCode))));
    parts.push(".");
    if (code !== one.code) parts.push(` Shown below: ${hex(code, element.bits)}.`);
    const probe = make("p", {}, ...parts);
    if (byId("summary").textContent !== probe.textContent)
        byId("summary").replaceChildren(...probe.childNodes);
}

function showBlock(block, count) {
    const isByHand = state.scale !== null && state.scale !== block.ruleCode;
    renew(
        byId("scale"),
        bitsView(block.scaleCode, E8M0, {
            prefix: "s",
            label: "bits of the scale code, e8m0",
            className: "of-scale",
            onCode: setScale,
        }),
        make(
            "div",
            { class: "bits-foot" },
            make("span", { class: "mono" }, `scale ${scaleText(block.scaleCode)}`),
            isByHand
                ? make(
                      "span",
                      { class: "note by-hand" },
                      `Set by hand: ${state.base === "ocp" ? "the rule" : state.base} gives ${scaleText(block.ruleCode)}.`,
                  )
                : null,
            isByHand
                ? make(
                      "button",
                      { type: "button", "data-key": "unscale", onclick: () => setScale(null) },
                      "Back to it",
                  )
                : null,
        ),
    );
    renew(
        byId("cells"),
        cellsView(block, count, state.index, (index) => change({ index })),
    );
    setText(
        "legend",
        "Each cell: the number given, what comes back, its code. ▲ amax decides the scale; ■ saturated; ○ to zero.",
    );
}

const setScale = (scale) => change({ scale });

// A code made by hand. Without a block its value becomes the number; in a block it is only shown.
function setCode(code) {
    const fmt = formatOf(state.format);
    if (isBlockFormat(fmt)) return change({ code }, { keepCode: true });
    return change({ code, numbers: textOfCode(code, fmt), type: "float32" }, { keepCode: true });
}

function showLine({ fmt, policy, block, one }, code) {
    const element = elementOf(fmt);
    const isNanScale = block !== null && block.scaleCode === E8M0.nan;
    const X = block === null || isNanScale ? ONE : pow2(block.scaleCode - E8M0.bias);
    const given =
        isReal(one.given.number) && !isNanScale ? div(valueOf(one.given.number), X) : null;
    const label = given === null ? "" : decimal(given, 9, 6);
    const width = Math.max(280, Math.min(1200, byId("plot").clientWidth || 560));
    setText("line-title", block === null ? "On the number line" : "V / X on the number line");
    renew(
        byId("plot"),
        lineView(code, element, { given, givenLabel: label, policy, width, onCode: setCode }),
    );
}

// The same question, asked of the package: a command, and a call in Python.
function commandText({ fmt, block, given, draws }) {
    const policy = policyText(state);
    const words = given.map((one) => (one.source === "float32" ? wordOf(one) : patternWord(one)));
    const isList = block !== null && given.length > 1;
    const pads = isList && given.length < fmt.blockSize;
    const options = [
        ["policy", policy === DEFAULTS.base ? null : policy],
        ["pad", pads ? true : null],
        ["random", draws.elements && draws.elements.slice(0, given.length)],
        ["scale_random", draws.scale],
    ].filter(([, value]) => value !== null);
    const inShell = options.map(([name, value]) =>
        value === true ? ` --${name}` : ` --${name.replace("_", "-")} ${value}`,
    );
    const inPython = options.map(([name, value]) => {
        if (value === true) return `, ${name}=True`;
        if (name === "policy") return `, "${value}"`;
        return `, ${name}=${isList && Array.isArray(value) ? `[${value.join(", ")}]` : value}`;
    });
    const x = isList ? `"${words.join(" ")}".split()` : `"${words[0]}"`;
    return (
        `mxref explain ${words.join(",")} ${fmt.name}${inShell.join("")}\n\n` +
        `mxref.explain(${x}, "${fmt.name}"${inPython.join("")})`
    );
}

const patternWord = (one) => patternText(one).replace(" ", ":");

const wordOf = (one) => {
    if (one.text !== null) return one.text;
    const text =
        one.number.cls === "finite" ? decimal(valueOf(one.number)) : numberString(one.number);
    return text.startsWith("~") ? hex(one.bits, 32) : text;
};
