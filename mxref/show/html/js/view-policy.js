// The policy: a profile, and every choice of it that matters for the format at hand.

const GROUP_TITLES = {
    scale: "Scale of a block",
    element: "Elements",
    cast: "Casts to E8M0",
    decode: "Decoding",
};

// Whether a choice can matter for a format.
function matters(field, fmt) {
    const element = elementOf(fmt);
    if (field.group === "scale") return isBlockFormat(fmt);
    if (field.group === "cast") return Boolean(fmt.isScale);
    if (field.group === "decode") return !fmt.isScale;
    if (element.isScale) return false;
    switch (field.about) {
        case "fp8":
            return element.isFp8;
        case "nan":
            return element.hasNan;
        case "no-nan":
            return !element.hasNan;
        case "not-fp8":
            return !element.isFp8;
        case "float":
            return !element.isFixed;
        case "fixed":
            return element.isFixed;
        default:
            return true;
    }
}

function fieldsView(fmt, policy, changes, onChoice) {
    return Object.entries(GROUP_TITLES)
        .map(([group, title]) => [
            title,
            FIELDS.filter((field) => field.group === group && matters(field, fmt)),
        ])
        .filter(([, fields]) => fields.length)
        .map(([title, fields]) =>
            make(
                "fieldset",
                {},
                make("legend", {}, title),
                make(
                    "div",
                    { class: "choices" },
                    ...fields.map((field) => choiceView(field, policy, changes, onChoice)),
                ),
            ),
        );
}

function choiceView(field, policy, changes, onChoice) {
    const chosen = policy[field.name];
    const select = make("select", {
        "data-key": field.name,
        "aria-describedby": `about-${field.name}`,
    });
    setOptions(
        select,
        field.choices.map(({ value }) => [value, value]),
    );
    select.value = chosen;
    select.addEventListener("change", () => onChoice(field.name, select.value));
    const meaning = field.choices.find(({ value }) => value === chosen).text;
    const isChanged = Object.hasOwn(changes, field.name);
    return make(
        "label",
        {
            class: `field choice${isChanged ? " changed" : ""}`,
            title: `${field.what}\n${field.openPoint}: ${CLAUSES[field.openPoint].text}`,
        },
        make("span", {}, field.name),
        select,
        make(
            "small",
            { id: `about-${field.name}` },
            meaning.replaceAll("**", "^").replaceAll("``", ""),
        ),
    );
}
