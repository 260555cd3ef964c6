"""``mxref doctor``: what a bug report needs, and whether this machine computes what it should."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from mxref.cli._doctor_facts import facts as _facts
from mxref.cli._doctor_facts import optional_packages
from mxref.cli._output import emit_json, json_option

if TYPE_CHECKING:
    from mxref.cli._doctor_selftest import Outcome

__all__ = ["command"]

_WIDTH = 80
_LABEL = 18
_BUDGET = 5.0


@click.command("doctor")
@click.option(
    "--self-test/--no-self-test",
    "is_tested",
    default=True,
    help="Compute a few thousand numbers here and compare them with the definition.",
)
@click.option(
    "--budget",
    type=click.FloatRange(min=0),
    default=_BUDGET,
    show_default=True,
    metavar="SECONDS",
    help="After this long, no further item of the self-test is begun.",
)
@json_option
def command(is_tested: bool, budget: float, as_json: bool) -> None:  # noqa: FBT001
    """Show versions, processor, threads and cache, and test this machine: for a bug report.

    Exit code 0: no item of the self-test failed. 1: one did.
    """
    found, optional = _facts(), optional_packages()
    if not as_json:
        # Before the self-test: if that takes the process down, this is known at least.
        for line in _lines(found, optional):
            click.echo(line)
    outcomes = list(_tested(budget, as_json=as_json)) if is_tested else []
    has_failed = any(outcome.result == "fail" for outcome in outcomes)
    if as_json:
        emit_json(_document(found, optional, outcomes, is_tested=is_tested))
    elif is_tested:
        click.echo(_fact("verdict", _verdict(outcomes)))
    click.get_current_context().exit(1 if has_failed else 0)


def _lines(found: dict[str, str], optional: dict[str, str | None]) -> Iterator[str]:
    for name, fact in found.items():
        yield _fact(name, fact)
    present = [f"{name} {version}" for name, version in optional.items() if version is not None]
    absent = [name for name, version in optional.items() if version is None]
    yield _fact("optional", ", ".join(present) or "none")
    if absent:
        yield _fact("not installed", ", ".join(absent))


def _fact(name: str, fact: str) -> str:
    """One fact in at most 80 columns, what does not fit indented below."""
    return textwrap.fill(
        fact,
        _WIDTH,
        initial_indent=f"{name:{_LABEL}}",
        subsequent_indent=" " * _LABEL,
        break_on_hyphens=False,
    )


def _tested(budget: float, *, as_json: bool) -> Iterator[Outcome]:
    from mxref.cli import _doctor_selftest as selftest

    if not as_json:
        click.echo("")
    if _nothing_is_compiled():
        click.echo(
            "mxref: no kernel is compiled yet on this machine; the self-test compiles them, a "
            "second each",
            err=True,
        )
    for outcome in selftest.self_test(budget):
        if not as_json:
            click.echo(_fact(outcome.name, f"{outcome.result}: {outcome.detail}{_cost(outcome)}"))
        yield outcome


def _cost(outcome: Outcome) -> str:
    if outcome.result == "skip":
        return ""
    what = {0: "", 1: ", 1 kernel compiled"}
    compiled = what.get(outcome.compiled, f", {outcome.compiled} kernels compiled")
    return f" ({outcome.seconds:.2f} s{compiled})"


def _nothing_is_compiled() -> bool:
    try:
        from mxref.cli._doctor_selftest import ready_kernels
        from mxref.kernels._jit import INTERPRETED

        return not INTERPRETED and ready_kernels() == 0
    except Exception:  # noqa: BLE001  # Numba is broken: the items will say so
        return False


def _verdict(outcomes: list[Outcome]) -> str:
    failed = [outcome.name for outcome in outcomes if outcome.result == "fail"]
    skipped = [outcome.name for outcome in outcomes if outcome.result == "skip"]
    tail = f"; skipped: {', '.join(skipped)}" if skipped else ""
    if failed:
        return f"self-test failed: {', '.join(failed)}{tail}. Please report all of the above"
    if len(skipped) == len(outcomes):
        return f"nothing was tested{tail}"
    return f"self-test passed{tail}"


def _document(
    found: dict[str, str],
    optional: dict[str, str | None],
    outcomes: list[Outcome],
    *,
    is_tested: bool,
) -> dict[str, Any]:
    passed = not any(outcome.result == "fail" for outcome in outcomes) if is_tested else None
    return {
        **found,
        "optional": optional,
        "self_test": [outcome.as_dict() for outcome in outcomes],
        "passed": passed,
    }
