"""Fuzz the readers of checkpoints with atheris, guided by coverage, and write down how many inputs.

    python tests/fuzz/fuzz_readers.py --seconds 600 --out docs/fuzzing.json

Whatever the bytes: a file is opened or refused with a CheckpointError that names it; what is opened
can be read to its last byte; memory and time stay bounded; and of safetensors, the package
`safetensors` opens what we open, with equal bytes. A broken promise ends the run with status 1 and
leaves the input in the folder of crashes. It needs atheris and safetensors beside mxref's own
requirements; the suite needs neither, and tries some thousand inputs by hypothesis.
"""

import argparse
import datetime as dt
import json
import math
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]

TARGETS = ("safetensors", "headers", "gguf", "index", "any")
MEGABYTES = 600  # of memory, beyond which libFuzzer calls it a failure
SLOWEST = 10  # seconds for one input

BITS = {"F64": 64, "F32": 32, "BF16": 16, "U8": 8, "BOOL": 8, "F8_E8M0": 8, "F6_E3M2": 6, "F4": 4}
TYPES = [*BITS, "F8"]

TOKENS = [
    *('"__metadata__"', '"dtype"', '"shape"', '"data_offsets"', '"weight_map"', '{"', '":', "},"),
    *("[0,", "]", "9223372036854775808", "18446744073709551615", "-0", "1e400", "NaN", "null"),
    *('"F32"', '"BF16"', '"U8"', '"F4"', '"F8_E8M0"', '"F6_E2M3"', "\\ud800", "\\u0000", "true"),
    *("GGUF", "general.alignment", "split.no", "split.count", "a.safetensors", "../"),
]


# --- one input ---------------------------------------------------------------------------------


class Inputs:
    """What a target does with the bytes that the fuzzer gives."""

    def __init__(self, target, folder):
        from made_files import entry, safetensors

        self.folder = Path(folder)
        self.path = Path(f"/proc/self/fd/{os.memfd_create('fuzz')}")  # a file without a disk
        self.count = self.opened = 0
        self.counts = self.folder / "counts"
        for name in ("a", "b"):
            data = safetensors({name: entry("U8", [2], 0, 2)}, b"xy")
            (self.folder / f"{name}.safetensors").write_bytes(data)
        self.target = getattr(self, target)

    def __call__(self, data):
        from mxref.checkpoints import CheckpointError

        self.count += 1
        refusal = None
        try:
            self.target(data)
            self.opened += 1
        except CheckpointError as error:
            refusal = str(error)
        if refusal is not None:
            assert str(self.path) in refusal or str(self.folder) in refusal
            assert len(refusal) < 2000
        if self.count % 1024 == 0:
            self.counts.write_text(f"{self.count} {self.opened}")

    def write(self, data):
        with self.path.open("r+b") as file:
            file.truncate(0)
            file.write(data)

    def read_all(self, data):
        """Open the file and read it; nothing may lie outside it."""
        from mxref.checkpoints import CheckpointError, open_checkpoint

        with open_checkpoint(self.path) as store:
            for name, info in store.tensors.items():
                assert 0 <= info.offset <= info.offset + info.nbytes <= len(data)
                raw = store.read_bytes(name).tobytes()
                assert raw == data[info.offset : info.offset + info.nbytes]
                try:
                    rows = store.read(name)
                except CheckpointError:
                    continue  # of a type that nobody knows, or larger than any memory
                if info.byte_order == "little":
                    assert rows.tobytes() == raw
            return {name: (t.dtype, list(t.shape)) for name, t in store.tensors.items()}

    def any(self, data):
        self.write(data)
        self.read_all(data)

    def safetensors(self, data):
        """The header is the fuzzer's; its length is right, so that it gets further."""
        header, _, body = data.partition(b"\xff")
        self.compare(header, body)

    def headers(self, data):
        """The fuzzer chooses types, shapes and offsets, right but for a lie here and there."""
        import atheris
        from made_files import entry

        choose = atheris.FuzzedDataProvider(data)
        header, at = {}, 0
        for i in range(choose.ConsumeIntInRange(0, 5)):
            dtype = choose.PickValueInList(TYPES)
            shape = [choose.ConsumeIntInRange(0, 4) for _ in range(choose.ConsumeIntInRange(0, 3))]
            size = math.prod(shape) * BITS.get(dtype, 8) // 8
            lies = [0] * 12 + [-1, 1, 8, 2**62, 2**63, 2**64 - 1]
            begin, end = (
                at + choose.PickValueInList(lies),
                at + size + choose.PickValueInList(lies),
            )
            if shape and choose.ConsumeProbability() < 0.1:
                shape[-1] = choose.PickValueInList([-1, 2**31, 2**61, 2**63, 2**64 - 1, 2**64, 1.0])
            header[str(i)] = entry(dtype, shape, begin, end)
            at += size
        names = choose.ConsumeIntInRange(0, len(header))
        moved = dict([*list(header.items())[names:], *list(header.items())[:names]])
        self.compare(json.dumps(moved).encode(), bytes(at + choose.PickValueInList([0] * 9 + [1])))

    def compare(self, header, body):
        """Read the file; whatever we open, the library opens too, and finds the same."""
        import safetensors as library
        from made_files import safetensors

        whole = safetensors(header, body)
        self.write(whole)
        try:
            theirs = {name: (t["dtype"], t["shape"]) for name, t in library.deserialize(whole)}
        except library.SafetensorError:
            theirs = None
        ours = self.read_all(whole)
        assert ours == theirs  # what we refuse, the format's description forbids: see the tests

    def gguf(self, data):
        whole = b"GGUF\x03\0\0\0" + data
        self.write(whole)
        self.read_all(whole)

    def index(self, data):
        from mxref.checkpoints.sharded import open_index

        path = self.folder / "x.safetensors.index.json"
        path.write_bytes(data)
        with open_index(path) as store:
            for name in store.tensors:
                assert store.read(name).shape == (1, 2)
                assert store.tensors[name].file.parent.resolve() == self.folder.resolve()


def seeds(target):
    from made_files import ARRAY, STRING, Gguf, entry, safetensors

    header = {
        "a": entry("F32", [2, 1], 0, 8),
        "b": entry("F4", [2], 8, 9),
        "__metadata__": {"k": ""},
    }
    made = Gguf().field("general.name", STRING, "m").field("general.alignment", 4, 8)
    made.field("tokens", ARRAY, (STRING, ["a", "bc"])).field("n", ARRAY, (4, [1, 2, 3]))
    gguf = made.tensor("w", (32, 2), 39, bytes(34)).tensor("x", (3,), 0, bytes(12)).bytes()
    big = Gguf(">").field("k", 4, 1).tensor("x", (3,), 0, bytes(12)).bytes()
    return {
        "headers": [bytes(range(64)), bytes(64)],
        "safetensors": [json.dumps(header).encode() + b"\xff" + bytes(9), b"{}\xff"],
        "gguf": [gguf[8:]],
        "index": [b'{"weight_map": {"a": "a.safetensors", "b": "b.safetensors"}, "metadata": {}}'],
        "any": [safetensors(header, bytes(9)), gguf, big],
    }[target]


def fuzz(target, folder, options):
    """Run one target in this process until libFuzzer ends it."""
    import atheris

    with atheris.instrument_imports(include=["mxref.checkpoints", "json"]):
        import mxref.checkpoints  # noqa: F401  # read now, so that coverage is seen
    atheris.Setup([sys.argv[0], *options], Inputs(target, folder))
    atheris.Fuzz()


# --- a run -------------------------------------------------------------------------------------


def run(target, seconds, crashes):
    """Run one target in a process of its own; what it did, as numbers."""
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(dir=memory) as name:
        folder = Path(name)
        corpus = folder / "corpus"
        corpus.mkdir()
        for i, seed in enumerate(seeds(target)):
            (corpus / str(i)).write_bytes(seed)
        tokens = folder / "tokens"
        quoted = ('"' + t.replace("\\", "\\\\").replace('"', '\\"') + '"' for t in TOKENS)
        tokens.write_text("\n".join(quoted))
        options = [
            *(f"-max_total_time={seconds}", f"-timeout={SLOWEST}", f"-rss_limit_mb={MEGABYTES}"),
            *("-max_len=4096", "-print_final_stats=1", f"-dict={tokens}"),
            *(f"-artifact_prefix={crashes}/{target}-", str(corpus)),
        ]
        start = time.monotonic()
        done = subprocess.run(
            [sys.executable, __file__, "--target", target, "--folder", name, "--", *options],
            check=False,
            capture_output=True,
            text=True,
        )
        units = re.search(r"number_of_executed_units: *(\d+)", done.stderr)
        peak = re.search(r"peak_rss_mb: *(\d+)", done.stderr)
        count, opened = map(int, (folder / "counts").read_text().split())
        if done.returncode:
            print(done.stderr[-4000:], file=sys.stderr)
        return {
            "inputs": int(units[1]) if units else count,
            "opened_share": round(opened / count, 4),
            "seconds": round(time.monotonic() - start),
            "most_megabytes": int(peak[1]) if peak else None,
            "failed": bool(done.returncode),
        }


def main():
    sys.path[:0] = [str(TESTS.parent), str(TESTS / "checkpoints")]
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=int, default=60, help="altogether")
    parser.add_argument("--out", type=Path, help="where the numbers go, as JSON")
    parser.add_argument("--crashes", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--target", choices=TARGETS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    parser.add_argument("options", nargs="*", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.target and given.folder:
        fuzz(given.target, given.folder, given.options)
        return 0
    result = {
        target: run(target, given.seconds // len(TARGETS), given.crashes) for target in TARGETS
    }
    report = {
        "command": f"python tests/fuzz/fuzz_readers.py --seconds {given.seconds}",
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "versions": {name: version(name) for name in ("atheris", "safetensors", "numpy")},
        "python": platform.python_version(),
        "inputs": sum(target["inputs"] for target in result.values()),
        "failures": sum(target["failed"] for target in result.values()),
        "limits": {"megabytes": MEGABYTES, "seconds_for_one_input": SLOWEST},
        "targets": result,
    }
    text = json.dumps(report, indent=2) + "\n"
    print(text, end="")
    if given.out:
        given.out.write_text(text)
    return 1 if report["failures"] else 0


if __name__ == "__main__":
    sys.exit(main())
