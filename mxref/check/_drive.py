"""One kernel on its way through the stages: smoke, everything designed, and as much as is asked.

The kernel is called a few times on arrays, never element by element: twice on easy inputs (is the
harness wired, is the kernel deterministic), then once on everything, then a few times to read its
rules to the bit. All outputs are judged in one call of the check for that operation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import ml_dtypes
import numpy as np

from mxref import arrays
from mxref.check import stimuli
from mxref.check._guard import GuardedKernel, RefusalError
from mxref.check._levels import chunks
from mxref.check._smoke import first_difference, require_wired
from mxref.check.parts import Trouble, Verdict
from mxref.check.places._groups import designed_for
from mxref.check.report import Report
from mxref.check.target import TargetError
from mxref.formats import BlockFormat, ElementFormat, ScaleFormat
from mxref.policy import Policy, get_policy

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["INPUT_DTYPES", "Drive"]

INPUT_DTYPES = {
    "float32": np.dtype(np.float32),
    "bfloat16": np.dtype(ml_dtypes.bfloat16),
    "float16": np.dtype(np.float16),
}
"""What a kernel may take as numbers."""

Fmt = BlockFormat | ElementFormat | ScaleFormat
_GOOD = (Verdict.CONFORMS, Verdict.CONFORMS_AS)
_UNSTABLE = (
    "The target is not deterministic: {}. Fix the seed, or switch stochastic rounding off; if "
    "there is none, look for a race or for memory that is read before it is written."
)
_GROUP = 16
_REPEATS = 5  # calls on the same input, where two of them differed


@dataclass(frozen=True, slots=True)
class _Trial:
    """Inputs with the outputs they got, and what was learnt on the way."""

    inputs: tuple[NDArray[Any], ...]
    outputs: tuple[NDArray[Any], ...]
    design: stimuli.Stimuli
    refused: tuple[tuple[str, str], ...] = ()  # policy fields, with what the kernel said
    trouble: Trouble | None = None
    moved: bool = False  # whether inputs were left out, so that positions say nothing
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class Drive:
    """A guarded kernel, with what it claims.

    Attributes
    ----------
    call : GuardedKernel
    fmt : BlockFormat, ElementFormat or ScaleFormat
    op : str
    asked : Policy or None
    input_dtype : str
        A key of `INPUT_DTYPES`.
    progress : callable or None
        As `mxref.check.kernel` takes it.
    """

    call: GuardedKernel
    fmt: Fmt
    op: str
    asked: Policy | None
    input_dtype: str = "float32"
    progress: Callable[[int, int], None] | None = None

    def run(self, level: str) -> Report:
        """Go through the stages up to a level.

        Raises
        ------
        TargetError
            If the target cannot be run, or is wired wrongly.
        """
        easy = self._typed(stimuli.smoke_stimuli(self.fmt, self.op))
        outputs = self.call(*easy.inputs)
        require_wired(self.op, self.fmt, easy.inputs, outputs)
        smoke = _Trial(easy.inputs, outputs, easy)
        second = self.call(*easy.inputs)
        if first_difference(outputs, second):
            return self._unstable(smoke, second)
        if level == "smoke":
            report = self._judge(smoke)
            return replace(report, notes=(*report.notes, self._coverage(smoke)))
        core = self._core(smoke)
        report = self._judge(core)
        if core.notes and report.verdict in _GOOD:  # then the easy cases alone went wrong
            report = self._alone(smoke, core, report)
        if core.trouble is None and report.verdict in _GOOD and level != "core":
            report = self._stream(report, core, level)
        if report.verdict is Verdict.UNEXPLAINED and report.trouble is None:
            report = self._localised(report, core)
        report = self._with_rules(report)
        return replace(report, notes=(*report.notes, self._coverage(core)))

    # --- stages ---------------------------------------------------------------------------

    def _core(self, smoke: _Trial) -> _Trial:
        """Run everything that is designed, the easy cases once more among it."""
        if self.op == "decode":
            return smoke  # these were all codes
        design = self._typed(_design(self.op, self.fmt))
        # Whole groups of 16: some kernels look at several blocks together, and pad the rest.
        missing = -(len(design.inputs[0]) + len(smoke.inputs[0])) % _GROUP
        filled = tuple(np.concatenate([array, array[:missing]]) for array in design.inputs)
        inputs = _joined(filled, smoke.inputs)
        try:
            trial = _Trial(inputs, self.call(*inputs), design)
        except RefusalError as refusal:
            trial = self._without_specials(inputs, design, refusal)
        if trial.moved or not self._repeats(trial, smoke):
            return trial
        text = (
            "The easy cases gave other outputs among all inputs than by themselves: what a block "
            "becomes depends on its neighbours, on its place, or on the size of the batch."
        )
        return replace(trial, notes=(*trial.notes, text))

    def _repeats(self, trial: _Trial, smoke: _Trial) -> bool:
        """Whether the easy cases at the end of a trial came out in another way."""
        n = len(smoke.outputs[0])
        ends = tuple(outputs[-n:] for outputs in trial.outputs)
        return bool(first_difference(ends, smoke.outputs))

    def _without_specials(
        self, inputs: tuple[NDArray[Any], ...], design: stimuli.Stimuli, refusal: RefusalError
    ) -> _Trial:
        """Find out whether the kernel refuses NaN or infinity only: a legal choice for some."""
        fields = self._refusable()
        if not fields:
            return self._by_group(design, refusal)
        x = inputs[0]
        within = tuple(range(1, x.ndim))
        has_nan, has_inf = np.isnan(x).any(axis=within), np.isinf(x).any(axis=within)
        part = (x[~has_nan & ~has_inf],)
        try:
            trial = _Trial(part, self.call(*part), design, moved=True)
        except RefusalError:
            return self._by_group(design, refusal)  # ordinary numbers are refused too
        for field, is_held in (
            (fields.get("nan"), has_nan & ~has_inf),
            (fields.get("inf"), has_inf & ~has_nan),
        ):
            part = (x[is_held],)
            try:
                outputs = self.call(*part)
            except RefusalError as special:
                if field is None:
                    return self._by_group(design, special)
                trial = replace(trial, refused=(*trial.refused, (field, str(special))))
            else:
                trial = replace(
                    trial,
                    inputs=_joined(trial.inputs, part),
                    outputs=_joined(trial.outputs, outputs),
                )
        if not trial.refused:  # each kind alone is taken, so it is the mixture or the size
            return self._by_group(design, refusal)
        return trial

    def _refusable(self) -> dict[str, str]:
        """Policy fields that allow refusing a special value, by the kind of value."""
        if self.op == "quantize":
            return {"nan": "scale_nan", "inf": "scale_inf"}
        if self.op == "encode" and isinstance(self.fmt, ElementFormat) and not self.fmt.has_nan:
            return {"nan": "nan_element", "inf": "inf_element"}
        return {}

    def _by_group(self, design: stimuli.Stimuli, refusal: RefusalError) -> _Trial:
        """Run each group of inputs by itself, to find those that the kernel does not survive."""
        done: list[tuple[Any, Any]] = []
        failed: list[tuple[str, str]] = []
        for group in design.groups:
            part = tuple(array[group.start : group.stop] for array in design.inputs)
            try:
                done.append((part, self.call(*part)))
            except RefusalError as error:
                failed.append((group.name, str(error)))
        if not done:
            raise refusal
        if not failed:
            text = f"raised on all inputs together, on none of the groups alone: {refusal}"
        else:
            names = ", ".join(name for name, _ in failed)
            text = f"raised on these groups of inputs: {names}. There {failed[0][1]}"
        inputs = tuple(np.concatenate(parts) for parts in zip(*(i for i, _ in done), strict=True))
        outputs = tuple(np.concatenate(parts) for parts in zip(*(o for _, o in done), strict=True))
        trouble = Trouble("raised", f"The target {text}. The rest was judged.")
        return _Trial(inputs, outputs, design, trouble=trouble, moved=True)

    def _alone(self, smoke: _Trial, core: _Trial, report: Report) -> Report:
        """Judge the easy cases as they came out by themselves; right ones change nothing."""
        small = self._judge(smoke)
        if small.verdict in _GOOD and small.policy == report.policy:
            return report
        return replace(small, notes=(*core.notes, *small.notes))

    def _localised(self, report: Report, core: _Trial) -> Report:
        """Repeat everything, and put it beside other rows: what changes is no rule."""
        from mxref.check.places import padding_places, stability

        try:
            places = stability(self.call, core.inputs, _REPEATS - 1)
            if places:
                trouble = Trouble("nondeterministic", _UNSTABLE.format(places[0].what.rstrip(".")))
                places = (*places, *report.places)
                return replace(report, policy=None, trouble=trouble, places=places)
            places = padding_places(self.call, core.inputs)
        except TargetError:  # other sizes are not taken: that says nothing here
            return report
        return replace(report, places=(*places, *report.places))

    def _stream(self, report: Report, core: _Trial, level: str) -> Report:
        """Go on with chunks of new inputs until one of them is not as the policy found has it."""
        found = cast("Policy | None", report.policy)
        policy = found or self.asked or get_policy(None)
        total, parts = chunks(self.fmt, self.op, level, INPUT_DTYPES[self.input_dtype])
        more = 0
        for number, inputs in enumerate(parts):
            outputs = self.call(*inputs)
            more += inputs[0].size
            if not self._is_as(policy, inputs, outputs):
                part = replace(
                    core,
                    inputs=_joined(core.inputs, inputs),
                    outputs=_joined(core.outputs, outputs),
                )
                worse = self._judge(part)
                if worse.verdict not in _GOOD or worse.policy != report.policy:
                    return worse
            if self.progress is not None:
                self.progress(number + 1, total)
        note = f"Level {level}: {more:,} numbers more, all as {report.policy or policy} has them."
        return replace(report, notes=(*report.notes, note))

    def _is_as(
        self, policy: Policy, inputs: tuple[NDArray[Any], ...], outputs: tuple[Any, ...]
    ) -> bool:
        try:
            match self.op, self.fmt:
                case "quantize", BlockFormat():
                    found = arrays.quantize(inputs[0], self.fmt, -1, policy)
                    expected: tuple[Any, ...] = (found.codes, found.scales)
                case "dequantize", BlockFormat():
                    codes, scales = inputs
                    expected = (arrays.dequantize(codes, scales, self.fmt, -1, policy),)
                case "encode", ElementFormat() | ScaleFormat():
                    expected = (arrays.encode(inputs[0], self.fmt, policy),)
                case _:
                    return False
        except ValueError:  # a policy that refuses NaN
            return False
        return first_difference(expected, outputs) == ""

    def _with_rules(self, report: Report) -> Report:
        """Read the rules of the kernel to the last bit, in a few more calls."""
        if self.op not in ("quantize", "encode") or self.input_dtype != "float32":
            return report
        from mxref.check.threshold import infer_driven

        return replace(report, inferred=infer_driven(self.call, self.fmt, self.op))

    def _unstable(self, smoke: _Trial, second: tuple[NDArray[Any], ...]) -> Report:
        """Call again and again, and say where the outputs change."""
        from mxref.check.kernel import troubled
        from mxref.check.places import repeat_places

        runs = [smoke.outputs, second]
        runs += [self.call(*smoke.inputs) for _ in range(_REPEATS - len(runs))]
        text = _UNSTABLE.format(first_difference(smoke.outputs, second))
        places = tuple(p for outputs in zip(*runs, strict=True) for p in repeat_places([*outputs]))
        name = self.fmt.name
        trouble = Trouble("nondeterministic", text)
        return replace(troubled(self.op, name, self.asked, trouble), places=places)

    # --- judgement ------------------------------------------------------------------------

    def _judge(self, trial: _Trial) -> Report:
        """Compare all outputs with the definition, and say what was tried."""
        from mxref import check

        judge: Callable[..., Report] = getattr(check, self.op)
        with designed_for(() if trial.moved else trial.design.groups):
            report = judge(*trial.inputs, *trial.outputs, self.fmt, policy=self.asked)
        notes = [*trial.notes, *report.notes]
        first = report.mismatches.first
        designed = trial.design.groups[-1].stop
        if first is not None and first.index[0] < designed and not trial.moved:
            where = trial.design.group_of(first.index[0])
            notes.append(f"The first mismatch is among: {where}.")
        report = replace(report, notes=tuple(notes))
        if trial.trouble is not None:
            bad = report.verdict not in _GOOD
            verdict = report.verdict if bad else Verdict.UNEXPLAINED
            return replace(report, verdict=verdict, policy=None, trouble=trial.trouble)
        return _with_refusals(report, trial.refused, self.asked)

    def _coverage(self, trial: _Trial) -> str:
        n, unit = len(trial.inputs[0]), "blocks" if isinstance(self.fmt, BlockFormat) else "inputs"
        groups = ", ".join(g.name for g in trial.design.groups)
        return f"Driven with {n:,} designed {unit} in {self.call.calls} calls: {groups}."

    def _typed(self, design: stimuli.Stimuli) -> stimuli.Stimuli:
        """The design in the numbers that the kernel takes; codes stay codes."""
        if self.op not in ("quantize", "encode") or self.input_dtype == "float32":
            return design
        dtype = INPUT_DTYPES[self.input_dtype]
        with np.errstate(all="ignore"):  # what is beyond the type becomes an infinity
            inputs = tuple(array.astype(dtype) for array in design.inputs)
        return stimuli.Stimuli(inputs, design.groups)


def _design(op: str, fmt: Fmt) -> stimuli.Stimuli:
    if isinstance(fmt, BlockFormat):
        make = stimuli.quantize_stimuli if op == "quantize" else stimuli.dequantize_stimuli
        return make(fmt)
    return stimuli.encode_stimuli(fmt) if op == "encode" else stimuli.decode_stimuli(fmt)


def _joined(first: tuple[NDArray[Any], ...], second: tuple[NDArray[Any], ...]) -> Any:
    return tuple(np.concatenate(pair) for pair in zip(first, second, strict=True))


def _with_refusals(
    report: Report, refused: tuple[tuple[str, str], ...], asked: Policy | None
) -> Report:
    """Count a refusal of special values as the policy choice that it is."""
    if not refused:
        return report
    notes = (*report.notes, *(f"{field}=raise: {said}." for field, said in refused))
    report = replace(report, notes=notes)
    if report.verdict not in _GOOD:
        return report
    base = report.policy or asked or get_policy(None)
    policy = base.replace(**{field: "raise" for field, _ in refused})
    verdict = Verdict.CONFORMS if policy == asked else Verdict.CONFORMS_AS
    return replace(report, verdict=verdict, policy=policy)
