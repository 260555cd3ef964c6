// Elements of the page. Text is always set as text: nothing that a reader or a link hands in is
// ever read as HTML.

const SVG = "http://www.w3.org/2000/svg";
const byId = (id) => document.getElementById(id);

// An element: properties that begin with "on" are listeners, true is an empty attribute.
function make(tag, attributes = {}, ...children) {
    return fill(document.createElement(tag), attributes, children);
}

const draw = (tag, attributes = {}, ...children) =>
    fill(document.createElementNS(SVG, tag), attributes, children);

function fill(element, attributes, children) {
    for (const [name, value] of Object.entries(attributes)) {
        if (value === undefined || value === null || value === false) continue;
        if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
        else element.setAttribute(name, value === true ? "" : value);
    }
    element.append(...children.filter((child) => child !== null && child !== undefined));
    return element;
}

// Options of a select: [value, text] pairs, or [label, pairs] groups.
function setOptions(select, entries) {
    const option = ([value, text]) => make("option", { value }, text);
    select.replaceChildren(
        ...entries.map(([first, second]) =>
            Array.isArray(second)
                ? make("optgroup", { label: first }, ...second.map(option))
                : option([first, second]),
        ),
    );
}

const setText = (id, text) => {
    if (byId(id).textContent !== text) byId(id).textContent = text;
};
const setHidden = (id, isHidden) => (byId(id).hidden = isHidden);

// Replace the children of a container, and keep the focus on what has the same data-key.
function renew(container, ...children) {
    const key = container.contains(document.activeElement) && document.activeElement.dataset.key;
    container.replaceChildren(...children.filter((child) => child !== null));
    if (key)
        container.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus({ preventScroll: true });
}
