"""What `make exhaustive` runs; where all of it passes, docs/exhaustive.md says so.

With ``--again`` the tests that failed in the run before are repeated, not all of them: they take
most of the time. The page then says so.
"""

import datetime as dt
import json
import os
import platform
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import mxref
from mxref.sweep import cores

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "exhaustive.md"


def processor():
    """The model as the system names it; on virtual machines that may be vague."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def commit():
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=12"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() or "unknown"


def page(sweep, tests, test_seconds):
    count = len(sweep["sweeps"])
    formats = {}
    for report in sweep["sweeps"]:
        formats[report["format"]] = formats.get(report["format"], 0) + 1
    by_format = ", ".join(f"{name} {n}" for name, n in formats.items())
    rows = [
        ("date", dt.datetime.now(dt.UTC).strftime("%Y-%m-%d")),
        ("commit", commit()),
        ("processor", f"{processor()}, {cores()} cores used, {platform.machine()}"),
        ("system", f"{platform.system()} {platform.release()}"),
        ("Python", platform.python_version()),
        *((name, version(name)) for name in ("numpy", "numba", "llvmlite")),
        ("mxref", mxref.__version__),
        ("policies", f"{count} ({by_format})"),
        ("inputs", f"{count} * 2^32 = {count << 32:,}"),
        ("result", "every code as the oracle expects it, every digest as published"),
        ("seconds", f"{sweep['seconds']:.0f}, {sweep['seconds'] / count:.1f} for each policy"),
        ("further tests", f"{tests}, in {test_seconds:.0f} s"),
    ]
    lines = "\n".join(f"| {name} | {value} |" for name, value in rows)
    return f"""# The last exhaustive run

Written by `make exhaustive` when all of it has passed; do not edit.

Each policy: the kernels' codes of all 2^32 float32 inputs, compared one by one with an oracle that
enumerates the code points (`mxref/sweep/oracle.py`), and as SHA-256 by 2^24 with
`spec_vectors/digests`. The further tests are those marked `exhaustive`: the same comparison for
what else a policy can say about a cast, and the profiles.

| | |
|---|---|
{lines}
"""


def lines_of(command, *, quiet=False):
    """Run a command, show its output and return its lines; end with it if it fails."""
    lines = []
    unbuffered = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, cwd=ROOT, env=unbuffered, stdout=subprocess.PIPE, text=True
    ) as process:
        for line in process.stdout:
            sys.stderr.write("" if quiet else line)
            lines.append(line)
    if process.returncode:
        sys.stderr.writelines(lines if quiet else [])
        sys.exit(process.returncode)
    return lines


def main():
    began = time.perf_counter()
    tests = [sys.executable, "-m", "pytest", "-n", str(cores()), "-m", "exhaustive", "-q"]
    again = "--again" in sys.argv[1:]
    lines = lines_of(
        [*tests, "--last-failed", "--last-failed-no-failures=none"] if again else tests
    )
    summary = lines[-1].strip("= \n").split(" in ")[0]
    if again:
        summary += " of those that failed in the run before, where all others passed"
    seconds = time.perf_counter() - began
    digests = str(ROOT / "spec_vectors" / "digests")
    command = [sys.executable, "-m", "mxref", "sweep", "--verify", digests, "--json"]
    text = page(json.loads("".join(lines_of(command, quiet=True))), summary, seconds)
    temporary = PAGE.with_suffix(".part")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(PAGE)
    print(text)


if __name__ == "__main__":
    main()
