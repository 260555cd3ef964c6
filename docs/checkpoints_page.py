"""What is written on docs/checkpoints.md: how its readers were fuzzed."""

from __future__ import annotations

import json
import re

PART = re.compile(r"(<!-- written: fuzzing -->\n).*?(<!-- end -->)", re.DOTALL)


def fuzzing(path):
    """What `tests/fuzz/fuzz_readers.py` wrote down, in words."""
    found = json.loads(path.read_text("utf-8"))
    targets = ", ".join(f"{n} {t['inputs']:,}" for n, t in found["targets"].items())
    seconds = sum(t["seconds"] for t in found["targets"].values())
    most = max(t["most_megabytes"] for t in found["targets"].values())
    by = f"atheris {found['versions']['atheris']}, guided by coverage, on {found['date']}"
    return (
        f"Fuzzed with {by}: {found['inputs']:,} inputs in {seconds / 60:.0f} minutes ({targets}), "
        f"{found['failures']} failures, never more than {most} MB. Whatever a file holds, it is "
        "opened or refused with a `CheckpointError`; what is opened can be read to its end; and "
        "what is opened as safetensors, the package `safetensors` opens with the same bytes. "
        f"`{found['command']}` repeats it; the suite itself tries some thousand inputs by "
        "hypothesis."
    )


def checkpoints_page(path):
    """The page with its numbers written anew."""
    words = fuzzing(path.parent / "fuzzing.json")
    return PART.sub(lambda m: f"{m[1]}{words}\n{m[2]}", path.read_text("utf-8"))
