"""JSON for programs: lines with a header and a footer, or one document; docs/report-format.md."""

from __future__ import annotations

import json
import platform
from importlib import resources
from typing import Any

import numpy as np

from mxref import __version__
from mxref.check.render.document import SCHEMA_VERSION, as_dict, cleaned
from mxref.check.render.run import Entry, Run

__all__ = ["events", "json_of_run", "jsonl_of_run", "schema"]


def jsonl_of_run(run: Run) -> str:
    """Return a line with the header, one for each check, and one with the footer."""
    return "".join(json.dumps(event, ensure_ascii=False) + "\n" for event in events(run))


def json_of_run(run: Run) -> str:
    """Return the same as one document: header, checks and footer."""
    header, *checks, footer = events(run)
    document = {"header": header, "checks": checks, "footer": footer}
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def events(run: Run) -> list[dict[str, Any]]:
    """Return header, checks and footer in types that JSON knows."""
    return [_header(run), *(_check(run, entry) for entry in run.entries), _footer(run)]


def schema() -> dict[str, Any]:
    """Return the JSON Schema of one line."""
    text = resources.files("mxref.check.render").joinpath("report.schema.json").read_text("utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def _header(run: Run) -> dict[str, Any]:
    header: dict[str, Any] = cleaned(
        {
            "event": "header",
            "schema": SCHEMA_VERSION,
            "mxref": __version__,
            "target": {"name": run.target, "title": run.title},
            "asked": run.asked,
            "expected_defects": run.expected,
            "platform": {
                "python": platform.python_version(),
                "numpy": np.__version__,
                "system": platform.system(),
                "machine": platform.machine(),
            },
            "started": run.started or None,
        }
    )
    return header


def _check(run: Run, entry: Entry) -> dict[str, Any]:
    head: dict[str, Any] = {
        "event": "check",
        "result": str(run.result(entry)),
        "seconds": _rounded(entry.seconds),
    }
    if entry.report is not None:
        return head | as_dict(entry.report)
    reason = {"op": entry.op, "format": entry.format, "verdict": None, "error": entry.error}
    return head | {"ok": False, **cleaned(reason)}


def _footer(run: Run) -> dict[str, Any]:
    return {
        "event": "footer",
        "verdicts": dict(run.verdicts),
        "ok": run.ok,
        "seconds": _rounded(run.seconds),
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
