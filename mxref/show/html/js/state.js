// What the page shows is a state, and the state is in the address: the words are those of the
// command line. f format, x numbers, t their type, p policy, i element, c code, s scale code,
// r random bits.

const DEFAULTS = { format: "mxfp4", type: "float32", base: "ocp" };
const SAMPLE =
    "0.31 -1.2 0.05 2.75 -0.6 0.9 -3.5 0.002 1.3 -0.44 0.7 -2.1 0.16 5.9 -0.95 0.33 " +
    "-1.75 0.08 0.52 -0.27 1.02 -0.13 2.3 -4.4 0.61 -0.75 0.2 1.5 -0.36 0.11 -1.05 0.83";

const state = {
    ...DEFAULTS,
    numbers: SAMPLE,
    changes: {},
    index: 0,
    code: null,
    scale: null,
    random: "",
};

const formatOf = (name) => BLOCKS[name] ?? ELEMENTS[name] ?? (name === "e8m0" ? E8M0 : null);
const isBlockFormat = (fmt) => fmt.element !== undefined;
const elementOf = (fmt) => fmt.element ?? fmt;
const policyOf = ({ base, changes }) => ({ ...OCP, ...PROFILES[base].changes, ...changes });

// A policy as mxref writes it: a profile, and behind a colon what is changed.
function policyText({ base, changes }) {
    const list = Object.entries(changes).map(([name, choice]) => `${name}=${choice}`);
    return list.length ? `${base}:${list.join(",")}` : base;
}

// The reverse; what is unknown is an error with the nearest right word.
function readPolicy(text) {
    const [name, ...rest] = text.split(":");
    const base = name.trim().toLowerCase();
    if (!Object.hasOwn(PROFILES, base)) {
        throw new Mistake(`“${name}” is no policy; there are ${Object.keys(PROFILES).join(", ")}.`);
    }
    const changes = {};
    for (const part of rest
        .join(":")
        .split(",")
        .filter((word) => word.trim())) {
        const [key, value] = part.split("=").map((word) => word.trim());
        const field = FIELDS.find((one) => one.name === key);
        if (!field)
            throw new Mistake(`“${key}” is no choice of a policy that matters on this page.`);
        const known = field.choices.map((choice) => choice.value);
        if (!known.includes(value)) {
            throw new Mistake(`“${value}” is no ${key}; there are ${known.join(", ")}.`);
        }
        changes[key] = value;
    }
    return { base, changes: onlyChanges(base, changes) };
}

// Leave out what the profile says anyway.
function onlyChanges(base, changes) {
    const plainly = policyOf({ base, changes: {} });
    return Object.fromEntries(
        Object.entries(changes).filter(([name, choice]) => plainly[name] !== choice),
    );
}

function hashOf() {
    const fmt = formatOf(state.format);
    const entries = [["f", state.format]];
    const words = splitList(state.numbers);
    const limit = isBlockFormat(fmt) ? fmt.blockSize : 1;
    const taken = words.length > limit ? words.slice(0, limit).join(" ") : state.numbers;
    if (taken) entries.push(["x", taken]); // a tensor pasted by mistake is not for an address
    if (state.type !== DEFAULTS.type) entries.push(["t", state.type]);
    if (policyText(state) !== DEFAULTS.base) entries.push(["p", policyText(state)]);
    if (isBlockFormat(fmt) && state.index) entries.push(["i", `${state.index}`]);
    if (state.code !== null) entries.push(["c", hex(state.code, elementOf(fmt).bits)]);
    if (state.scale !== null && isBlockFormat(fmt)) entries.push(["s", hex(state.scale, 8)]);
    if (state.random) entries.push(["r", state.random]);
    const escaped = (text) =>
        encodeURIComponent(text)
            .replace(/%20/g, "+")
            .replace(/%2C/g, ",")
            .replace(/%3A/g, ":")
            .replace(/%3D/g, "=");
    return `#${entries.map(([key, value]) => `${key}=${escaped(value)}`).join("&")}`;
}

// Take the state from an address; returns what is wrong with it, or "".
function readHash(hash) {
    const given = new URLSearchParams(hash.replace(/^#/, ""));
    if (![...given.keys()].length) return "";
    const problems = [];
    const attempt = (action) => {
        try {
            action();
        } catch (error) {
            if (!(error instanceof Mistake)) throw error;
            problems.push(error.message);
        }
    };
    Object.assign(state, DEFAULTS, {
        numbers: "1.3",
        changes: {},
        index: 0,
        code: null,
        scale: null,
        random: "",
    });
    attempt(() => {
        const name = (given.get("f") ?? DEFAULTS.format).toLowerCase();
        if (!formatOf(name)) throw new Mistake(`“${name}” is no format of this page.`);
        state.format = name;
    });
    attempt(() => Object.assign(state, readPolicy(given.get("p") ?? DEFAULTS.base)));
    attempt(() => {
        const type = given.get("t") ?? DEFAULTS.type;
        if (!Object.hasOwn(IEEE, type)) throw new Mistake(`“${type}” is no type of numbers.`);
        state.type = type;
    });
    const fmt = formatOf(state.format);
    attempt(() => (state.scale = given.has("s") ? readCode(given.get("s"), E8M0) : null));
    if (given.has("x")) state.numbers = given.get("x");
    const index = Number(given.get("i") ?? 0);
    const last = isBlockFormat(fmt) ? fmt.blockSize - 1 : 0;
    state.index = Number.isInteger(index) && index >= 0 && index <= last ? index : 0;
    state.random = given.get("r") ?? "";
    attempt(() => {
        if (!given.has("c")) return;
        state.code = readCode(given.get("c"), elementOf(fmt));
        if (!given.has("x") && !isBlockFormat(fmt)) state.numbers = textOfCode(state.code, fmt);
    });
    return problems.join(" ");
}

function readCode(text, fmt) {
    const code = /^(0x[0-9a-f]+|0b[01]+|\d+)$/i.test(text) ? Number(text) : NaN;
    if (!(code >= 0 && code < 1 << fmt.bits)) {
        const last = hex((1 << fmt.bits) - 1, fmt.bits);
        throw new Mistake(`“${text}” is no code of ${fmt.name}: 0 to ${last}.`);
    }
    return code;
}

// The number that a code stands for, in a form that can be typed in, exactly.
function textOfCode(code, fmt) {
    const number = decodeAny(code, fmt);
    if (number.cls !== "finite") return numberString(number);
    const text = decimal(valueOf(number));
    return text.startsWith("~") ? hex(toBits(number, "float32", OCP), 32) : text;
}

// Random bits: one number for all elements, or a list.
function readRandom(text, count, bits) {
    const words = splitList(text);
    const draws = words.map((word) => {
        const value = /^(0x[0-9a-f]+|\d+)$/i.test(word) ? Number(word) : NaN;
        if (!(value >= 0 && value < 2 ** bits)) {
            throw new Mistake(
                `“${word}” is no number of ${bits} random bits: 0 to ${2 ** bits - 1}.`,
            );
        }
        return value;
    });
    if (draws.length > 1) return draws;
    return Array.from({ length: count }, () => draws[0] ?? 0);
}
