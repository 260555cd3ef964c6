// From the state to what is shown, and back.

let settled = null; // the last result; kept while what is typed is no number yet

// What the state means: an explanation, or the mistake in it.
function compute() {
    const fmt = formatOf(state.format);
    const policy = policyOf(state);
    const words = splitList(state.numbers);
    const limit = isBlockFormat(fmt) ? fmt.blockSize : 1;
    if (!words.length) throw new Mistake("Type a number.");
    const given = words.slice(0, limit).map((word) => readText(word, state.type));
    const notes = [...countNotes(words.length, limit), ...profileNotes(fmt)];
    const element = elementOf(fmt);
    const draws = readDraws(fmt, policy, limit);
    const result = { fmt, policy, given, notes, draws, block: null };
    if (fmt.isScale) return { ...result, one: explainCast(given[0], policy) };
    const random = draws.elements;
    if (!isBlockFormat(fmt)) {
        return {
            ...result,
            one: explainElement(given[0], element, policy, { random: random?.[0] }),
        };
    }
    state.index = Math.min(state.index, given.length - 1);
    const hand = { random, scaleRandom: draws.scale ?? 0, forcedCode: state.scale };
    const block = explainBlock(given, fmt, policy, hand);
    return { ...result, block, one: block.elements[state.index] };
}

// What becomes of too many or too few numbers.
function countNotes(count, limit) {
    if (count > limit) {
        const taken = limit === 1 ? "one is" : `${limit} are`;
        return [`${count} numbers given: the first ${taken} taken.`];
    }
    if (count === limit) return [];
    return [`${count} given: the other ${limit - count} elements are taken to be zero.`];
}

// A profile may say nothing of what is asked; its choices are applied all the same.
function profileNotes(fmt) {
    const { formats, operations, scaleCast } = PROFILES[state.base];
    const isCast = !isBlockFormat(fmt);
    const what = isCast ? "casts" : "blocks";
    const elements = formats.map((name) => BLOCKS[name].element.name);
    const isKnown = fmt.isScale ? scaleCast : [...formats, ...elements].includes(fmt.name);
    const notes = [];
    if (!operations.includes(isCast ? "encode" : "quantize")) {
        notes.push(
            `The profile ${state.base} describes no conversion of ${what}; its choices are applied all the same.`,
        );
    } else if (!isKnown) {
        notes.push(
            `The profile ${state.base} does not describe ${fmt.name}; its choices are applied all the same.`,
        );
    }
    return notes;
}

// The random bits of the elements and of the scale, each null where nothing is drawn.
function readDraws(fmt, policy, count) {
    const draws = { elements: null, scale: null };
    if (fmt.isScale) return draws;
    if (isStochastic(policy.rounding)) {
        draws.elements = readRandom(state.random, count, randomBits(elementOf(fmt), policy));
    }
    if (isBlockFormat(fmt) && policy.scale_rule === "stochastic") {
        draws.scale = readRandom(state.random, 1, Number(policy.stochastic_bits))[0];
    }
    return draws;
}

// Change the state and show it. A new number, format or policy ends what was set by hand.
function change(changes, { keepCode = false } = {}) {
    Object.assign(state, keepCode ? {} : { code: null }, changes);
    show();
}

function show() {
    let problem = "";
    try {
        settled = compute();
    } catch (error) {
        if (!(error instanceof Mistake || error instanceof Refusal)) throw error;
        problem = error.message;
    }
    showControls();
    setText("message", [linkProblem, problem].filter((text) => text).join(" "));
    byId("numbers").setAttribute("aria-invalid", problem ? "true" : "false");
    const isStale = problem !== "";
    for (const id of ["result", "block", "code", "line", "scale-steps", "element-steps", "same"]) {
        byId(id).classList.toggle("stale", isStale);
        if (isStale && (settled === null || settled.fmt.name !== state.format)) setHidden(id, true);
        else if (id !== "block" && id !== "scale-steps") setHidden(id, false);
    }
    if (!isStale) showResult(settled);
    try {
        history.replaceState(null, "", hashOf());
    } catch {
        // A page inside a frame without an address of its own: there is no link to keep.
    }
}

let linkProblem = "";

const EXAMPLES = [
    ["a typical block", { format: "mxfp4", numbers: SAMPLE }],
    ["one outlier", { format: "mxfp4", numbers: `${SAMPLE.split(" ").slice(0, 31).join(" ")} 96` }],
    ["1.3", { format: "e2m1", numbers: "1.3" }],
    ["a tie", { format: "e2m1", numbers: "2.5" }],
    ["beyond the largest", { format: "e4m3", numbers: "500" }],
    ["a subnormal", { format: "e4m3", numbers: "0.003" }],
    ["NaN in a block", { format: "mxfp8_e4m3", numbers: "1 2 nan 4" }],
];

function start() {
    const pairs = (names) => names.map((name) => [name, name]);
    setOptions(byId("format"), [
        [
            "Block formats, with a scale",
            Object.values(BLOCKS).map((b) => [
                b.name,
                `${b.name}: ${b.blockSize} × ${b.element.name}`,
            ]),
        ],
        ["Elements", pairs(Object.keys(ELEMENTS))],
        ["Scales", pairs(["e8m0"])],
    ]);
    setOptions(byId("policy"), pairs(Object.keys(PROFILES)));
    setOptions(byId("type"), pairs(Object.keys(IEEE)));
    for (const [id, name] of [
        ["rule", "scale_rule"],
        ["rounding", "rounding"],
    ]) {
        const field = FIELDS.find((one) => one.name === name);
        setOptions(byId(id), pairs(field.choices.map(({ value }) => value)));
        byId(id).addEventListener("change", () => chooseField(name, byId(id).value));
    }
    const fresh = { index: 0, scale: null };
    byId("format").addEventListener("change", () =>
        change({ ...fresh, format: byId("format").value }),
    );
    byId("policy").addEventListener("change", () =>
        change({ base: byId("policy").value, changes: {} }),
    );
    byId("type").addEventListener("change", () => change({ type: byId("type").value }));
    byId("reset-policy").addEventListener("click", () => change({ changes: {} }));
    byId("numbers").addEventListener("input", () =>
        change({ numbers: byId("numbers").value, scale: null, index: 0 }),
    );
    byId("random").addEventListener("input", () => change({ random: byId("random").value }));
    byId("controls").addEventListener("submit", (event) => event.preventDefault());
    byId("examples").replaceChildren(
        ...EXAMPLES.map(([name, changes]) =>
            make(
                "button",
                {
                    type: "button",
                    onclick: () => change({ ...fresh, type: "float32", ...changes }),
                },
                name,
            ),
        ),
    );
    byId("copy-link").addEventListener("click", copyLink);
    window.addEventListener("hashchange", open);
    window.addEventListener(
        "resize",
        () => settled && showLine(settled, state.code ?? settled.one.code),
    );
    open();
}

function open() {
    linkProblem = readHash(location.hash);
    show();
    linkProblem = "";
}

async function copyLink() {
    try {
        await navigator.clipboard.writeText(location.href);
        setText("copied", "Copied.");
    } catch {
        setText("copied", "Copy it from the address bar: it holds the state.");
    }
}

start();
