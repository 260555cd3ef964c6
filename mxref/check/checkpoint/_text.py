"""A report about a checkpoint in 80 columns: a table for each format, then what is wrong where."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Iterator, Sequence

from mxref.check.checkpoint._report import CheckpointReport, TensorReport, rows_text
from mxref.check.parts import Verdict
from mxref.faults.legal import forbidden
from mxref.formats import block_format
from mxref.profiles import PROFILES

__all__ = ["as_text"]

_WIDTH = 80
_LEFT = 35  # columns before policies and names
_POLICY = 15
_LONG = 200  # characters of a name
_SHOWN = 200  # tensors of a table


def as_text(report: CheckpointReport) -> str:
    """Write a report for people."""
    return "\n".join(_lines(report))


def _lines(report: CheckpointReport) -> Iterator[str]:
    yield f"mxref check checkpoint: {_headline(report)}"
    yield f"  quantized  {report.quantized}"
    yield f"  source     {report.source}"
    if report.asked is not None:
        yield f"  claimed    {report.asked}"
    if report.seconds and report.source_bytes:
        size, rate = (
            _bytes(number) for number in (report.source_bytes, report.source_bytes / report.seconds)
        )
        yield f"  compared   {size} of source in {report.seconds:.1f} s ({rate}/s)"
    for name in dict.fromkeys(t.format for t in report.tensors):
        yield ""
        yield from _table(report, name)
    bad = [t for t in report.tensors if _needs_words(t, report)]
    for tensor in bad[:_SHOWN]:
        yield ""
        yield from _details(tensor)
    if len(bad) > _SHOWN:
        yield ""
        yield f"{len(bad) - _SHOWN:,} more tensors are in the JSON report."
    if report.notes:
        yield ""
        for note in report.notes:
            yield from _wrapped(note)


def _headline(report: CheckpointReport) -> str:
    count = len(report.tensors)
    tensors = _counted(count, "tensor")
    if report.odd_ones and report.verdict in (Verdict.CONFORMS, Verdict.CONFORMS_AS):
        return f"more than one policy in {tensors}"
    return f"{report.verdict}, {tensors}" if count else str(report.verdict)


def _table(report: CheckpointReport, name: str) -> Iterator[str]:
    tensors = report.of_format(name)
    layouts = ", ".join(dict.fromkeys(t.layout for t in tensors))
    yield from _wrapped(f"{name} in {layouts}: {_policy_line(report, name)}", indent="")
    is_shared = bool(report.policies[name])
    policy = "" if is_shared else f"{'policy':{_POLICY}} "
    yield f"  {'verdict':12} {'dB':>5} {'sat.%':>6} {'lost%':>6} {policy}tensor"
    order = sorted(tensors, key=lambda t: t.verdict in (Verdict.CONFORMS, Verdict.CONFORMS_AS))
    turned = [t for t in tensors if t.transposed]
    for tensor in order[:_SHOWN]:
        shown = tensor.policy or (f"~{tensor.nearest}" if tensor.nearest else "-")
        policy = "" if is_shared else f"{_short(shown, _POLICY):{_POLICY}} "
        yield (
            f"  {tensor.verdict!s:12} {_decibel(tensor.qsnr):>5} {_percent(tensor.saturated):>6} "
            f"{_percent(tensor.flushed):>6} {policy}"
            f"{_short(_safe(tensor.name), _WIDTH - _LEFT - len(policy))}"
        )
    if len(order) > _SHOWN:
        yield f"  ... and {len(order) - _SHOWN:,} more"
    if turned:
        yield from _wrapped(
            f"The source of {_counted(len(turned), 'tensor')} is stored the other way round and "
            f"was read transposed: {_listed(t.name for t in turned)}."
        )


def _policy_line(report: CheckpointReport, name: str) -> str:
    shared = report.policies[name]
    if shared:
        more = f" (the same bits: {', '.join(shared[1:])})" if shared[1:] else ""
        caveat = _caveat(shared[0], report.of_format(name))
        put_right = sum(bool(t.repair) for t in report.of_format(name))
        once = f"; {_counted(put_right, 'tensor')} only once put right" if put_right else ""
        return f"every tensor follows {shared[0]}{caveat}{more}{once}"
    usual = report.usual(name)
    if all(t.verdict is Verdict.NOT_TESTABLE for t in report.of_format(name)):
        return "nothing could be tested"
    if not usual:
        return "no tensor follows a published policy"
    tensors = report.of_format(name)
    count = sum(usual in t.policies for t in tensors)
    return f"{count:,} of {len(tensors):,} tensors follow {usual}{_caveat(usual, tensors)}"


def _caveat(policy: str, tensors: Sequence[TensorReport]) -> str:
    """Say what is wrong with a policy that was followed to the bit."""
    showing = [t for t in tensors if policy in t.policies and t.policy_defects]
    if not showing:
        return ""
    own = {f.id: f for t in showing for f in t.findings if f.id in t.policy_defects}
    element = block_format(showing[0].format).element
    texts, is_bug = [], False
    for finding in own.values():
        for field, value in finding.policy_change.items():
            ban = forbidden(field, value, element)
            is_bug |= ban is None or ban.is_modelled
            clause = "" if ban is None else f", against {ban.clause}"
            texts.append(f"{finding.id} ({field}={value}{clause})")
    blocks = _counted(sum(t.policy_defect_blocks for t in showing), "block")
    what = "with a known defect" if is_bug else f"that is not legal {showing[0].format}"
    kind = "published profile" if policy in PROFILES else "policy"
    return (
        f", a {kind} {what}: {', '.join(texts)}, seen in {blocks} of "
        f"{_counted(len(showing), 'tensor')}; --policy {policy} accepts it"
    )


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'s' * (number != 1)}"


def _listed(names: Iterable[str], most: int = 3) -> str:
    every = list(names)
    text = ", ".join(_safe(name) for name in every[:most])
    return text if len(every) <= most else f"{text} and {len(every) - most:,} more"


def _needs_words(tensor: TensorReport, report: CheckpointReport) -> bool:
    is_fine = tensor.verdict in (Verdict.CONFORMS, Verdict.CONFORMS_AS)
    return bool(
        not is_fine
        or tensor.notes
        or tensor.assumed
        or tensor.name in report.odd_ones
        or (report.asked is not None and tensor.verdict is Verdict.CONFORMS_AS)
    )


def _details(tensor: TensorReport) -> Iterator[str]:
    yield from _wrapped(f"{_safe(tensor.name)}: {tensor.verdict}", indent="")
    source = f"from {_safe(tensor.source)}" if tensor.source else "without a source"
    if tensor.layout:
        yield from _wrapped(f"{tensor.format} in {tensor.layout}, shape {tensor.shape}, {source}")
    if tensor.policies:
        once = f" once {tensor.repair}" if tensor.repair else ""
        caveat = _caveat(tensor.policy, [tensor])
        yield from _wrapped(f"All of it follows {' = '.join(tensor.policies)}{once}{caveat}.")
    if tensor.repair:
        yield from _wrapped(
            f"{_decibel(tensor.qsnr)} dB as stored, {_decibel(tensor.qsnr_repaired)} dB once "
            f"{tensor.repair}."
        )
    if tensor.assumed:
        yield from _wrapped(tensor.assumed)
    yield from _fault_lines(tensor)
    for finding in tensor.findings:
        detail = f" ({finding.detail})" if finding.detail else ""
        sure = "" if finding.certain else " (in part)"
        yield from _wrapped(f"{finding.id}{sure}: {finding.title}{detail}")
        if finding.witness is not None:
            yield from _wrapped(f"first at {finding.witness}", indent="    ")
        if not finding.legal:
            yield from _wrapped(finding.repair, indent="    ")
    for place in tensor.places[:3]:
        yield from _wrapped(f"{place.what} Points to: {place.points_to}.")
    for note in (*tensor.notes, *tensor.recognised):
        yield from _wrapped(note)


def _fault_lines(tensor: TensorReport) -> Iterator[str]:
    fault = tensor.fault
    if fault is None:
        return
    where = f" in {rows_text(fault.rows)}" if fault.rows else ""
    differ = "differs" if fault.blocks == 1 else "differ"
    yield from _wrapped(
        f"Nearest is {tensor.nearest}: {fault.blocks:,} of {_counted(tensor.blocks, 'block')} "
        f"{differ}{where} ({_counted(fault.scales, 'scale code')}, "
        f"{_counted(fault.elements, 'element')})."
    )
    if fault.first is not None:
        yield from _wrapped(f"first at {fault.first}")
    if fault.offset is not None:
        yield from _wrapped(f"byte {fault.offset:,} of {fault.file}", indent="    ")


def _wrapped(text: str, indent: str = "  ") -> Iterator[str]:
    yield from textwrap.wrap(
        " ".join(text.split()),
        _WIDTH,
        initial_indent=indent,
        subsequent_indent=indent + "  ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _short(text: str, width: int) -> str:
    """Cut the middle out of a long name: both ends tell tensors apart."""
    if len(text) <= width:
        return text
    tail = (width - 2) * 2 // 3
    return f"{text[: width - 2 - tail]}..{text[-tail:]}"


def _decibel(value: float | None) -> str:
    if value is None:
        return "-"
    return "inf" if math.isinf(value) else f"{value:.1f}"


def _safe(name: str) -> str:
    """A name from a file as it can be printed."""
    shown = repr(name[:_LONG])[1:-1]
    return shown if len(name) <= _LONG else f"{shown}... ({len(name):,} characters)"


def _bytes(number: float) -> str:
    for unit in ("B", "kB", "MB"):
        if number < 999.5:
            return f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:.2f} GB"


def _percent(share: float) -> str:
    if not share:
        return "0"
    return f"{100 * share:.2f}" if share >= 5e-5 else "<0.01"
