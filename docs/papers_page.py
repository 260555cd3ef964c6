"""The page docs/papers.md: what the papers claim, and what was found, out of docs/papers/*.json."""

from __future__ import annotations

import json
from pathlib import Path

HERE = Path(__file__).parent / "papers"
PARTS = ("qsnr", "directcast", "training")


def cell(text):
    return str(text).replace("|", "\\|").replace("\n", " ")


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(cell(c) for c in row) + " |" for row in rows]
    return "\n".join(lines)


def listed(sentences):
    return "\n".join(f"* {sentence}" for sentence in sentences)


def signed(value, digits):
    return "–" if value is None else f"{value:+.{digits}f}"


def between(pair, digits):
    return "–" if not pair else f"{pair[0]:+.{digits}f} to {pair[1]:+.{digits}f}"


# --- QSNR ---------------------------------------------------------------------------------------

SHORT = {
    "variable-gaussian": "paper's",
    "gaussian": "Gaussian",
    "laplace": "Laplace",
    "student-5": "Student 5",
    "student-3": "Student 3",
    "weights": "weights",
    "activations": "activations",
}


def best_rows(part):
    return {row["format"]: row for row in part["rows"] if row["is_best"]}


def qsnr_rows(found):
    parts = {name: best_rows(found["distributions"][name]) for name in SHORT}
    first = parts["variable-gaussian"]
    order = sorted(first, key=lambda name: (-first[name]["bits_per_element"], name))
    for name in order:
        row = first[name]
        cells = []
        for part in parts.values():
            one = part[name]["qsnr"]
            half = (one["high"] - one["low"]) / 2
            cells.append(f"{one['value']:.2f} ± {half:.2f}")
        bound = row["bound"]
        yield (
            f"`{name}`",
            f"{row['bits_per_element']:g}",
            row["multiplier_bits"],
            row["block_accumulator_bits"],
            "–" if bound is None else f"{bound:.1f}",
            f"`{row['rule']}`",
            *cells,
        )


def rule_rows(found):
    part = found["distributions"]["variable-gaussian"]
    rows = sorted(part["rows"], key=lambda r: (r["format"], -r["qsnr"]["value"]))
    for row in rows:
        one = row["qsnr"]
        yield (
            f"`{row['format']}`",
            f"`{row['rule']}`" + (" (default)" if row["is_default"] else ""),
            f"{one['value']:.2f}",
            f"{row['least']:.2f}",
            f"{row['saturated_percent']:.3f}",
            f"{row['to_zero_percent']:.3f}",
        )


def decibels(value):
    return "–" if value is None else f"{value:.2f}"


def bound_rows(found):
    for row in found["bounds"]:
        yield (
            f"`{row['format']}`",
            decibels(row["bound_of_block"]),
            decibels(row["worst_block"]),
            f"{row['least_margin']:.2f}",
            row["where"],
        )


def claim_rows(claims):
    for one in claims:
        yield (
            f"{one['claim']} ({one['source']})",
            one["claimed"],
            one["ours"],
            f"**{one['verdict']}**",
            one["evidence"],
        )


# --- direct cast --------------------------------------------------------------------------------


def cast_rows(found):
    for row in sorted(found["rows"], key=lambda r: r["angle"]):
        low, high = row["spearman_change"]
        yield (
            row["name"],
            f"{row['bits']:g}",
            f"{row['angle']:.2f} ± {row['angle_error']:.2f}",
            f"{row['angle_worst']:.1f}",
            f"{row['cosine']:.5f}",
            f"{row['spearman']:.4f}",
            f"{low:+.4f} to {high:+.4f}",
            f"{row['spearman_with_fp32']:.4f}",
            f"{row['weights_only']['angle']:.2f}",
        )


def cast_claims(found):
    for one in found["paper"]["claims"]:
        yield one["model"], one["task"], one["fp32"], one["mxint8"]


# --- training -----------------------------------------------------------------------------------


def training_rows(found):
    for one in found["results"]:
        relative = one.get("relative")
        yield (
            one["label"],
            ", ".join("diverged" if x is None else f"{x:.4f}" for x in one["losses"]),
            "–" if one["mean"] is None else f"{one['mean']:.4f}",
            signed(one["difference"], 4),
            between(one.get("interval"), 4),
            "–" if relative is None else f"{100 * relative:+.2f} %",
        )


def floor_against_rceil(found):
    """What the scale rule does: the same format, the same elements, another threshold."""
    rows = {one["recipe"]: one for one in found["results"]}
    floor, rceil = rows["mxfp8"], rows["mxfp8-rceil"]
    return (
        "MXFP8 E4M3 stands in two rows. Under FLOOR, the recipe of OCP MX 6.3, the largest "
        "number of a block\nmay lie up to an eighth beyond what its scale can hold, and is cut "
        f"off: {floor['difference']:+.4f} nats. Under\nRCEIL nothing saturates: "
        f"{rceil['difference']:+.4f} ({between(rceil['interval'], 4)}). E3M2 saturates as E4M3 "
        "does, E2M3 half as far.\nThat rounding the scale up trains better is the finding of "
        "arXiv 2506.08027 [secondary]."
    )


def training_claims(found):
    for one in found["claims"]:
        yield (
            one["claim"],
            f"{100 * one['paper_relative']:+.2f} %",
            f"{100 * one['ours_relative']:+.2f} %",
            f"**{one['verdict']}**",
        )


# --- the page -----------------------------------------------------------------------------------


def papers_page(note):
    found = {name: json.loads((HERE / f"{name}.json").read_text("utf-8")) for name in PARTS}
    qsnr, cast, training = (found[name] for name in PARTS)
    took = {
        name: f"{one['seconds'] / 60:.0f} on {one['cores']} cores" for name, one in found.items()
    }
    model, text = training["model"], training["text"]
    first = qsnr["distributions"]["variable-gaussian"]
    steps = training["curves"]["fp32"]["steps"][-1]
    nearest = sorted(cast["rows"], key=lambda r: r["angle"])[:4]
    least = ", ".join(row["name"] for row in nearest[:-1]) + f" and {nearest[-1]['name']}"
    turned = f"{nearest[0]['angle']:.1f} to {nearest[-1]['angle']:.1f} degrees"
    return f"""# The papers, reproduced

{note}
What the papers behind the formats claim, what their figures say, and what comes out here.
Everything on this page is regenerated by `make papers`; `make papers-quick` runs a small variant of
each part. Minutes of the runs that this page shows: QSNR {took["qsnr"]}, direct cast
{took["directcast"]}, training {took["training"]} ({training["versions"]["processor"]}; see
each part for its versions, seeds and command in `docs/papers/*.json`).

A *verdict* is about the claim as we read it, under the mark that says how well we know it: no
paper's body was at hand, so most claims are [secondary], quoted by others.
[relatives.md](relatives.md) has the formats and what is open about them.

* [QSNR: claim by claim](#qsnr-claim-by-claim), [table](#qsnr-of-every-format),
  [lower bounds](#the-lower-bound), [costs](#what-a-format-costs)
* [Direct cast of a trained model](#direct-cast-of-a-trained-model)
* [Training from scratch](#training-from-scratch)

## QSNR: claim by claim

The quantization signal-to-noise ratio is -10 log10(E|Q(x) - x|² / E|x|²): `mxref.quality.qsnr`.

{table(("claim", "figure", "ours", "verdict", "evidence of the claim"), claim_rows(qsnr["claims"]))}

MX9 against FP8 E4M3 stands in two rows since nothing at hand says how the paper scaled FP8; the
reading with a power-of-two scale was tried after the other had given 15 dB.

![QSNR against bits per element, over the paper's distribution](papers/qsnr-paper.svg)

## QSNR of every format

In dB, with half of the 95 % confidence interval, each format under the best of its scale rules. The
paper's distribution: {first["what"]}; {first["vectors"]:,} vectors of {first["length"]:,}. Weights
and activations are those of all-MiniLM-L6-v2. `mxref compare x.npy` makes this table, and the plot,
of your own tensor.

{
        table(
            (
                *("format", "bits per element", "multiplier bits", "block accumulator bits"),
                *("lower bound", "best rule", *SHORT.values()),
            ),
            qsnr_rows(qsnr),
        )
    }

![QSNR over seven distributions](papers/qsnr-distributions.svg)

### Scale rules side by side

Over the paper's distribution; the least is that of a single vector, the last two are per cent of
the elements.

{
        table(
            ("format", "rule", "QSNR", "least", "saturated", "to zero"),
            rule_rows(qsnr),
        )
    }

## The lower bound

No distribution gives less than this many dB (derived in `mxref.quality`; for MX9, MX6, MX4 and MSFP
in the paper's form). The worst block is the exact minimum over all blocks, found by a search in
fractions; the margin is the least distance of any vector measured here, over all seven
distributions. Property tests hold both.

{
        table(
            ("format", "bound of a block", "worst block", "least margin seen", "where"),
            bound_rows(qsnr),
        )
    }

### Integers against floating point

{qsnr["crossover"]["what"]}: {qsnr["crossover"]["rule"]}.

![Integers against floating point, by crest factor](papers/qsnr-crossover.svg)

## What a format costs

{qsnr["proxies"]} `mxref.quality.cost(format)` computes them.

## Direct cast of a trained model

{cast["model"]}: {cast["what"]}. {cast["texts"]} sentences, {cast["pairs"]} pairs in four grades of
likeness, written for this project. The angle is that between an embedding and the float32 one, in
degrees; *ranking* is Spearman's correlation of cosine and grade, which is
{cast["spearman_fp32"]:.4f} in float32; its change has a 95 % interval from resampling pairs.

{
        table(
            (
                *("format", "bits", "angle", "worst angle", "cosine", "ranking", "its change"),
                *("ranking against float32's", "angle, weights only"),
            ),
            cast_rows(cast),
        )
    }

![Angle to the float32 embedding, against bits per element](papers/directcast-angle.svg)

What the paper says ({cast["paper"]["source"]}; {cast["paper"]["evidence"]}):

{table(("model", "task", "FP32", "MXINT8"), cast_claims(cast))}

Its models are not at hand, so its numbers are neither reproduced nor refuted. What was seen fits
them as far as it goes: {least} turn the embeddings least, by {turned}. What this does not
show:

{listed(cast["not_shown"])}

## Training from scratch

A generative transformer of {model["parameters"]:,} parameters learns characters of Shakespeare's
plays ({text["package"]}; four plays held out) for {steps:,} steps. The compute flow is the
paper's: operands of all three products quantized along the axis that is summed over, in two copies,
vector operations in bfloat16, float32 master weights (`mxref.interop.torch.MXLinear`). Same seeds
and recipe for every format; {len(training["seeds"])} seeds. Losses in nats a character, on the
held-out plays; frequencies of characters alone give {text["loss_of_frequencies"]:.2f}, those of
pairs {text["loss_of_pairs"]:.2f}.

{
        table(
            (
                *("weights, activations, gradients", "loss of each seed", "mean"),
                *("against FP32", "95 % interval", "relative"),
            ),
            training_rows(training),
        )
    }

![Loss curves](papers/training-loss.svg)

![Difference to FP32 on the same seed](papers/training-difference.svg)

{floor_against_rceil(training)}

{
        table(
            ("claim of the paper (20 million parameters)", "relative", "ours", "verdict"),
            training_claims(training),
        )
    }

The paper's losses are {training["paper"]["evidence"]}. What this does not show:

{listed(training["not_shown"])}
"""
