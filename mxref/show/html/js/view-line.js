// The number line: the whole format, and below it the neighbourhood of one code.

// Where a value lies in drawing units: a scale counts its exponents, an element its values.
const placeOnLine = (value, fmt) =>
    fmt.isScale ? Math.log2(approximate(value)) : approximate(value);

// An SVG of the line around `code`. `given` is V / X, a fraction or null.
function lineView(code, fmt, { given, givenLabel, policy, width, onCode }) {
    const isShown = isReal(decodeAny(code, fmt));
    const value = isShown
        ? decimal(valueOf(decodeAny(code, fmt)), 9, 6)
        : numberString(decodeAny(code, fmt));
    const svg = draw("svg", {
        viewBox: `0 0 ${width} 190`,
        role: "slider",
        tabindex: "0",
        "data-key": "line",
        "aria-label": `values of ${fmt.name}`,
        "aria-valuemin": "0",
        "aria-valuemax": `${fmt.isScale ? fmt.maxCode : 2 * fmt.maxMagnitude}`,
        "aria-valuenow": `${isShown ? placeOf(code, fmt) + (fmt.isScale ? fmt.bias : fmt.maxMagnitude) : 0}`,
        "aria-valuetext": `${value}, code ${hex(code, fmt.bits)}`,
        onkeydown: (event) => {
            const directions = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 };
            if (!(event.key in directions)) return;
            event.preventDefault();
            onCode(stepCode(code, fmt, directions[event.key]));
        },
    });
    const middle = isShown
        ? placeOf(code, fmt)
        : fmt.isScale
          ? fmt.emax
          : Math.sign(code & fmt.signMask ? -1 : 1) * fmt.maxMagnitude;
    const places = nearPlaces(middle, fmt, width < 460 ? 2 : width < 800 ? 3 : 5);
    overview(svg, fmt, width, places, isShown ? code : null, given);
    closeUp(svg, fmt, width, places, { code, isShown, given, givenLabel, policy, onCode });
    if (!isShown) {
        const place = { class: "given-text", x: width / 2, y: 88, "text-anchor": "middle" };
        svg.append(draw("text", place, `${value} has no place on the line`));
    }
    return svg;
}

// The places around one; at an end of the format more of them on the other side.
function nearPlaces(middle, fmt, reach) {
    const exists = (place) => codeAt(place, fmt) !== null;
    let [low, high] = [middle, middle];
    for (let count = 0; count < 2 * reach; count += 1) {
        const canRise = exists(high + 1);
        if (canRise && (high - middle <= middle - low || !exists(low - 1))) high += 1;
        else if (exists(low - 1)) low -= 1;
        else break;
    }
    return Array.from({ length: high - low + 1 }, (_, i) => low + i);
}

const valueAt = (place, fmt) => valueOf(decodeAny(codeAt(place, fmt), fmt));

function overview(svg, fmt, width, places, code, given) {
    const end = fmt.isScale ? fmt.emax : approximate(fmt.max);
    const at = (value) => 12 + ((value + end) / (2 * end)) * (width - 24);
    const edges = [places[0], places[places.length - 1]].map((p) =>
        at(placeOnLine(valueAt(p, fmt), fmt)),
    );
    svg.append(
        draw("rect", {
            class: "window",
            x: edges[0] - 2,
            y: 14,
            width: edges[1] - edges[0] + 4,
            height: 26,
        }),
        draw("line", { class: "axis", x1: 12, x2: width - 12, y1: 40, y2: 40 }),
    );
    const last = fmt.isScale ? fmt.emax : fmt.maxMagnitude;
    const ticks = [];
    for (let place = -last; place <= last; place += 1) {
        if (codeAt(place, fmt) === null) continue;
        ticks.push(`M${at(placeOnLine(valueAt(place, fmt), fmt)).toFixed(1)} 24V40`);
    }
    svg.append(draw("path", { class: "tick", d: ticks.join("") }));
    const name = (value) => (fmt.isScale ? `2^${value}` : short(value));
    const limit = fmt.isScale ? [-end, end] : [neg(fmt.max), fmt.max];
    svg.append(
        draw("text", { class: "small", x: 12, y: 56 }, name(limit[0])),
        draw(
            "text",
            { class: "small", x: width / 2, y: 56, "text-anchor": "middle" },
            fmt.isScale ? "1" : "0",
        ),
        draw(
            "text",
            { class: "small", x: width - 12, y: 56, "text-anchor": "end" },
            name(limit[1]),
        ),
    );
    if (code !== null) {
        const x = at(placeOnLine(valueOf(decodeAny(code, fmt)), fmt));
        svg.append(draw("line", { class: "here", x1: x, x2: x, y1: 16, y2: 40 }));
    }
    if (given !== null) {
        const x = Math.min(width - 6, Math.max(6, at(lineOfGiven(given, fmt))));
        svg.append(draw("path", { class: "given", d: `M${x} 14l-5 -9h10z` }));
    }
}

const lineOfGiven = (given, fmt) =>
    fmt.isScale ? (given.n > 0n ? Math.log2(approximate(given)) : -Infinity) : approximate(given);

function closeUp(svg, fmt, width, places, { code, isShown, given, givenLabel, policy, onCode }) {
    const values = places.map((place) => placeOnLine(valueAt(place, fmt), fmt));
    const [low, high] = [values[0], values[values.length - 1]];
    const margin = Math.max(34, width * 0.08);
    const at = (value) => margin + ((value - low) / (high - low)) * (width - 2 * margin);
    const clip = (x) => Math.min(width - 4, Math.max(4, x));
    const interval = isShown ? roundingInterval(code, fmt, policy) : null;
    if (interval !== null) {
        const ends = [interval.low, interval.high].map((value) =>
            clip(at(fmt.isScale ? lineOfGiven(value, fmt) : approximate(value))),
        );
        svg.append(
            draw("rect", {
                class: "band",
                x: ends[0],
                y: 112,
                width: Math.max(1, ends[1] - ends[0]),
                height: 26,
            }),
            draw("circle", {
                class: interval.lowClosed ? "end" : "end open",
                cx: ends[0],
                cy: 125,
                r: 4,
            }),
            draw("circle", {
                class: interval.highClosed ? "end" : "end open",
                cx: ends[1],
                cy: 125,
                r: 4,
            }),
        );
    }
    svg.append(draw("line", { class: "axis", x1: 4, x2: width - 4, y1: 138, y2: 138 }));
    let right = -Infinity;
    places.forEach((place, i) => {
        const x = at(values[i]);
        const other = codeAt(place, fmt);
        const isHere = isShown && other === code;
        const kind = isHere
            ? "here"
            : className(other, fmt) === "subnormal"
              ? "tick subnormal"
              : "tick";
        svg.append(draw("line", { class: kind, x1: x, x2: x, y1: 110, y2: 138 }));
        // Labels that would touch are left out, but never the one that matters.
        const label = short(valueAt(place, fmt), 9);
        const half = label.length * 3.8 + 3;
        const hereX = isShown ? at(placeOnLine(valueOf(decodeAny(code, fmt)), fmt)) : null;
        const crowds =
            x - half < right || (!isHere && hereX !== null && Math.abs(x - hereX) < half + 36);
        if (isHere || !crowds) {
            const look = { x, "text-anchor": "middle", class: isHere ? "here-text" : "" };
            svg.append(
                draw("text", { ...look, y: 155 }, label),
                draw(
                    "text",
                    { x, y: 170, "text-anchor": "middle", class: "small" },
                    hex(other, fmt.bits),
                ),
            );
            right = x + half;
        }
        const from = i ? (x + at(values[i - 1])) / 2 : 0;
        const to = i < values.length - 1 ? (x + at(values[i + 1])) / 2 : width;
        const hit = draw("rect", {
            class: "hit",
            x: from,
            y: 62,
            width: to - from,
            height: 128,
            onclick: () => onCode(other),
        });
        hit.append(draw("title", {}, `${label}, code ${hex(other, fmt.bits)}`));
        svg.append(hit);
    });
    if (given !== null) givenMark(svg, width, at(lineOfGiven(given, fmt)), givenLabel);
}

// The number itself, above the line; at the edge with an arrow where it lies beyond.
function givenMark(svg, width, x, label) {
    const isLeft = x < 4;
    const isRight = x > width - 4;
    const inside = isLeft ? 10 : isRight ? width - 10 : x;
    const shape = isLeft
        ? "M4 100l10 -6v12z"
        : isRight
          ? `M${width - 4} 100l-10 -6v12z`
          : `M${x} 108l-6 -11h12z`;
    const text = isLeft ? `← ${label}` : isRight ? `${label} →` : label;
    const half = text.length * 3.8;
    const anchor = inside < half ? "start" : inside > width - half ? "end" : "middle";
    svg.append(
        draw("path", { class: "given", d: shape }),
        draw(
            "text",
            {
                class: "given-text",
                x: anchor === "start" ? 6 : anchor === "end" ? width - 6 : inside,
                y: 88,
                "text-anchor": anchor,
            },
            text,
        ),
    );
}
