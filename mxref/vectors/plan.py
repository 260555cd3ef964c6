"""What the set holds: which operations, formats and policies, and how one file is built."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from mxref._policy_base import Choices
from mxref.formats import BLOCK_FORMATS, ELEMENT_FORMATS, SCALE_FORMATS, ElementFormat
from mxref.policy import Policy, get_policy
from mxref.vectors._families import family_of
from mxref.vectors.blocks import QUANTIZE
from mxref.vectors.covergroups import (
    DECODE,
    ENCODE_ELEMENT,
    ENCODE_SCALE,
    Covergroup,
    Stimuli,
)
from mxref.vectors.dequantize_groups import DEQUANTIZE
from mxref.vectors.dots import DOT, PAIRS
from mxref.vectors.expect import assumed_fields, compare_rules, expect
from mxref.vectors.gemm import MATMUL, MATMUL_PAIRS
from mxref.vectors.lookup import AnyFormat, format_name
from mxref.vectors.model import SET_VERSION, Case, Covered, VectorFile, case_id, policy_slug
from mxref.vectors.operations import Inputs
from mxref.vectors.relatives.plan import groups_of, relative_jobs
from mxref.vectors.stochastic import STOCHASTIC
from mxref.vectors.tensors import DEQUANTIZE_TENSOR, QUANTIZE_TENSOR

__all__ = ["Job", "build", "jobs"]


@dataclass(frozen=True, slots=True)
class Job:
    """One vector file to be built."""

    operation: str
    format: AnyFormat
    policy: Choices

    @property
    def path(self) -> str:
        """Path of the JSON file inside the set."""
        return f"{self.operation}/{format_name(self.format)}.{policy_slug(self.policy)}.json"

    @property
    def covergroups(self) -> tuple[Covergroup, ...]:
        """The groups whose inputs make the cases."""
        if not isinstance(self.policy, Policy):
            return groups_of(self.operation, self.policy)
        match self.operation:
            case "encode" if self.policy.rounding.startswith("stochastic"):
                return STOCHASTIC
            case "encode" if self.policy.relu == "on":
                return tuple(group for group in ENCODE_ELEMENT if group.name in _SMALLER)
            case "encode" if self.policy.rounding != "nearest-even":
                groups = (group for group in ENCODE_ELEMENT if group.name in _SMALLER)
                return tuple(replace(group, stimuli=_wide(group)) for group in groups)
            case "encode":
                return ENCODE_ELEMENT if isinstance(self.format, ElementFormat) else ENCODE_SCALE
            case "decode":
                return DECODE
            case "quantize":
                return QUANTIZE
            case "dequantize":
                return DEQUANTIZE
            case "dot":
                return DOT
            case "matmul":
                return MATMUL
            case "quantize_tensor":
                return QUANTIZE_TENSOR
        return DEQUANTIZE_TENSOR


_SMALLER = {"code-values", "midpoints", "overflow-edge", "underflow-edge", "specials"}
"""Groups for the policies that fewer people implement."""

_ROUNDINGS = ("nearest-away", "nearest-down", "toward-zero", "up", "down", "to-odd")

_STOCHASTIC = ("stochastic-a", "stochastic-b", "stochastic-c")


def _wide(group: Covergroup) -> Callable[..., Stimuli]:
    """The float32 inputs of a group: the digests have all of them, and the type plays no part."""

    def stimuli(fmt: ElementFormat) -> Stimuli:
        return (pair for pair in group.stimuli(fmt) if pair[0].type == "float32")

    return stimuli


def _plan() -> Iterator[tuple[str, AnyFormat, str]]:
    """What the set holds: operation, format, policy."""
    for element in ELEMENT_FORMATS.values():
        yield "encode", element, "ocp"
        if element.is_fp8:
            yield "encode", element, "ocp:fp8_overflow=overflow"
            # Where the rounding points to zero, nothing finite overflows.
            yield "encode", element, "ocp:rounding=toward-zero,fp8_overflow=overflow"
        yield "encode", element, "ocp:relu=on"
        for rounding in _ROUNDINGS:
            yield "encode", element, f"ocp:rounding={rounding}"
        for rounding in _STOCHASTIC:
            yield "encode", element, f"ocp:rounding={rounding}"
    scalars: tuple[AnyFormat, ...] = (*ELEMENT_FORMATS.values(), *SCALE_FORMATS.values())
    yield from (("encode", scale, "ocp") for scale in SCALE_FORMATS.values())
    yield from (("decode", fmt, "ocp") for fmt in scalars)
    for block in BLOCK_FORMATS.values():
        yield "quantize", block, "ocp"
        yield "quantize", block, "ocp:scale_rule=rceil"
        yield "quantize", block, "ocp:scale_rule=even"
        yield "dequantize", block, "ocp"
        yield "quantize_tensor", block, "ocp"
        yield "dequantize_tensor", block, "ocp"
    yield from (("dot", pair, "ocp") for pair in PAIRS)
    yield from (("matmul", pair, "ocp") for pair in MATMUL_PAIRS)


def jobs() -> tuple[Job, ...]:
    """Return what `generate` builds, in order.

    Examples
    --------
    >>> jobs()[0].path
    'encode/e4m3.ocp.json'
    """
    ours = [Job(what, fmt, get_policy(policy)) for what, fmt, policy in _plan()]
    return (*ours, *(Job(*job) for job in relative_jobs()))


def build(job: Job) -> VectorFile:
    """Build one vector file: run its covergroups through the exact definition.

    An input that several groups produce becomes one case, of the first group that has it. The
    cases have no flags yet.
    """
    cases: dict[str, Case] = {}
    for group in job.covergroups:
        found: dict[str, Case] = {}
        for inputs, detail in group.stimuli(job.format):
            comment = f"{group.name}: {detail}" if detail else group.name
            case = _case(job, inputs, comment, known=cases)
            if case is not None:
                found.setdefault(case.id, case)
        cases |= dict(sorted(found.items(), key=lambda item: _order(item[1])))
    # Later groups may add nothing in a format where an earlier one has all their inputs.
    used = {case.comment.partition(":")[0] for case in cases.values()}
    groups = [group for group in job.covergroups if group.name in used]
    open_points = family_of(job.policy).open_points
    assumes = assumed_fields(job.operation, job.format, job.policy)
    named = {clause for case in cases.values() for clause in case.clauses}
    return VectorFile(
        operation=job.operation,
        format=format_name(job.format),
        policy=job.policy,
        set_version=SET_VERSION,
        assumes=assumes,
        compare=compare_rules(job.operation, job.format),
        clauses=tuple(sorted(named | {open_points[field] for field in assumes})),
        covergroups=tuple(Covered(g.name, g.reason, g.clauses) for g in groups),
        cases=tuple(cases.values()),
    )


def _case(job: Job, inputs: Inputs, comment: str, known: dict[str, Case]) -> Case | None:
    """One case, or None where an earlier group has it."""
    identity = case_id(job.operation, format_name(job.format), job.policy.name, inputs)
    if identity in known:
        if known[identity].inputs != inputs:
            raise AssertionError(f"two cases share the id {identity}: lengthen the ids")
        return None
    expectation = expect(job.operation, job.format, job.policy, inputs)
    return Case(
        id=identity,
        inputs=inputs,
        members=expectation.members,
        verdict=expectation.verdict,
        clauses=expectation.clauses,
        flags=(),
        comment=comment,
        exact=expectation.exact,
    )


def _order(case: Case) -> tuple[object, ...]:
    inputs = case.inputs
    second = (inputs.other.scales, inputs.other.bits) if inputs.other else ()
    rest = (inputs.scales, second, inputs.random, inputs.shape, inputs.axis or 0, inputs.layout)
    own = (inputs.amax or 0, inputs.global_scale or 0, inputs.subscales)
    return inputs.type or "", inputs.bits, *rest, *own
