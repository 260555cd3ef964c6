"""One tensor of a check: what is known so far, and the verdict in the end."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from mxref.check._findings import SCALE_FIELDS, choice_finding
from mxref.check.checkpoint import _locate as locate
from mxref.check.checkpoint._candidates import Candidate, candidate_of, with_twin
from mxref.check.checkpoint._diagnose import Case, Diagnosis
from mxref.check.checkpoint._identify import Identified
from mxref.check.checkpoint._misplaced import MOVED
from mxref.check.checkpoint._nvfp4 import first_witness as recipe_witness
from mxref.check.checkpoint._nvfp4 import is_whole
from mxref.check.checkpoint._readings import repair_text
from mxref.check.checkpoint._report import Fault, TensorReport, rows_text
from mxref.check.checkpoint._scan import Tally, Unit, Work, apart
from mxref.check.checkpoint._stats import Stats
from mxref.check.parts import Finding, Place, Verdict
from mxref.faults.legal import forbidden
from mxref.formats import block_format
from mxref.policy import Policy, get_policy

if TYPE_CHECKING:
    from mxref.checkpoints.store import Store

__all__ = ["Tensor", "asked_candidate"]

_FEW = 0.05  # share of the blocks


@dataclass(frozen=True, slots=True)
class _Own:
    """Defects that are those of the policy itself, and the blocks in which they show."""

    findings: tuple[Finding, ...] = ()
    blocks: int = 0


@dataclass(slots=True)
class Tensor:
    """A pair under examination.

    Attributes
    ----------
    known : Identified
    asked : Candidate or None
        What was claimed.
    tried : tuple of Candidate
        What the last pass compared with.
    tallies : list of Tally
    stats, repaired : Stats
        Of what is stored, and of the codes once they are put right.
    rounds : int
        Passes over all rows.
    """

    known: Identified
    asked: Candidate | None
    stats: Stats = field(default_factory=Stats)
    repaired: Stats = field(default_factory=Stats)
    tried: tuple[Candidate, ...] = ()
    tallies: list[Tally] = field(default_factory=list)
    rounds: int = 0
    findings: tuple[Finding, ...] = ()
    places: tuple[Place, ...] = ()
    notes: tuple[str, ...] = ()
    is_explained: bool = False

    def begin(self, tried: tuple[Candidate, ...]) -> None:
        """Start a pass over all rows."""
        self.tried, self.tallies = tried, [Tally() for _ in tried]
        self.rounds += 1

    def add(self, work: Work) -> None:
        """Add a run of rows; they come in order."""
        for tally, more in zip(self.tallies, work.tallies, strict=True):
            tally.merge(more)
        if self.rounds == 1:
            self.stats.merge(work.stats)
            self.repaired.merge(work.repaired)

    @property
    def alive(self) -> list[tuple[Candidate, Tally]]:
        """Candidates that hold everywhere; those with every bit, if there are any."""
        every = [(c, t) for c, t in zip(self.tried, self.tallies, strict=True) if not t.blocks]
        return [pair for pair in every if not pair[1].silent] or every

    def lead(self) -> tuple[Candidate, Tally]:
        """The candidate that holds in most blocks."""
        every = range(len(self.tried))
        at = min(every, key=lambda i: (self.tallies[i].weight, self.tried[i].rank))
        return self.tried[at], self.tallies[at]

    def doubtful(self) -> tuple[Candidate, ...]:
        """What is alive, with a legal twin that another pass has to try; or nothing.

        A sample that a legal policy explained did not call for the twin.
        """
        alive = [c for c, _ in self.alive if c.name[0] != "~"]
        claimed = self.asked is not None and any(self.asked.names[0] in c.names for c in alive)
        name = self.known.pair.found.format
        if claimed or self.rounds > 1 or name == "nvfp4":
            return ()
        more = with_twin(alive, block_format(name))
        is_new = more[-1].name not in {c.name for c in self.tried} if more else False
        return more if is_new else ()

    def case(self, unit: Unit) -> Case | None:
        """What is to be diagnosed; None where blocks can't say more."""
        lead, tally = self.lead()
        if self.known.pair.found.format == "nvfp4" or not tally.evidence:
            return None
        is_widespread = tally.blocks > _FEW * self.stats.blocks
        return Case(unit, lead, tuple(tally.evidence), is_widespread, tuple(tally.rows))

    def two_policies(self) -> str:
        """Say which two policies share the rows of the tensor; empty where none do."""
        some = [
            (self.tallies[i].weight + self.tallies[j].weight, i, j)
            for i, j in itertools.combinations(range(len(self.tried)), 2)
            if apart(self.tallies[i].rows, self.tallies[j].rows)
        ]
        if not some:
            return ""
        _, i, j = min(some)
        first, second = (rows_text(self.tallies[n].rows) for n in (i, j))
        return (
            f"Two policies share its rows: all but {second} follow {self.tried[j].name}, and all "
            f"but {first} follow {self.tried[i].name}."
        )

    def learn(self, answer: Diagnosis) -> None:
        """Take what was found into the report."""
        self.findings, self.places = answer.findings, answer.places
        self.notes, self.is_explained = answer.notes, answer.is_explained

    # --- the answer -------------------------------------------------------------------------------

    def report(self, stores: tuple[Store, Store]) -> TensorReport:
        """Sum up."""
        alive = [pair for pair in self.alive if pair[0].names[0][0] != "~"]
        if self.known.verdict is not None or not alive:
            return self._unmatched(stores)
        return self._matched(alive, stores)

    def _matched(
        self, alive: Sequence[tuple[Candidate, Tally]], stores: tuple[Store, Store]
    ) -> TensorReport:
        alive = sorted(alive, key=lambda pair: pair[0].rank)
        if any(is_whole(c.name) for c, _ in alive):  # what follows from a recipe is none
            alive = [pair for pair in alive if is_whole(pair[0].name)]
        every = {n: (c.is_odd, len(n)) for c, _ in reversed(alive) for n in c.names}
        names = sorted(every, key=lambda n: every[n])
        chosen = next(c for c, _ in alive if names[0] in c.names)
        notes = list(self._notes())
        silent = alive[0][1].silent
        if silent:
            notes.append(
                f"{silent:,} blocks differ without effect, such as in the scale code of zeros."
            )
        findings, own = list(self.known.findings), None
        expected = self._expected()
        verdict = Verdict.CONFORMS_AS
        if self.asked is not None:
            if any(n in names for n in self.asked.names):
                verdict = Verdict.CONFORMS
            elif chosen.policy is not None and expected is not None:
                findings += self._choices(chosen.policy, expected)
        elif "ocp" in names:
            verdict = Verdict.CONFORMS
        if chosen.policy is not None and verdict is Verdict.CONFORMS_AS and self.asked is None:
            own = self._illegal(chosen, stores)
            findings += own.findings
        if chosen.policy is None and not any(is_whole(c.name) for c, _ in alive):
            verdict = Verdict.UNEXPLAINED
            notes.append(
                "Every element is the nearest E2M1 under the scales that are there; the scales "
                "follow no published recipe."
            )
        if self.known.assumed and verdict is Verdict.CONFORMS:
            verdict = Verdict.CONFORMS_AS
        if any(not f.legal for f in findings):
            verdict = Verdict.DEFECT
        return self._filled(
            verdict,
            policies=tuple(names),
            nearest=names[0],
            findings=tuple(findings),
            notes=(*notes, *self.notes),
            policy_defects=() if own is None else tuple(f.id for f in own.findings),
            policy_defect_blocks=0 if own is None else own.blocks,
        )

    def _illegal(self, chosen: Candidate, stores: tuple[Store, Store]) -> _Own:
        """What a policy does that no policy should, if these data show it."""
        twins = [
            (c, t)
            for c, t in zip(self.tried, self.tallies, strict=True)
            if c.name == f"~{chosen.name}" and t.first is not None
        ]
        if not twins or chosen.policy is None:
            return _Own()
        twin, tally = twins[0]
        witness = None
        if twin.policy is not None and tally.first is not None:
            seen = locate.first_witness(self.known.pair, stores, tally.first, twin.policy)
            witness = None if seen is None else seen[0]
        every = self._choices(chosen.policy, Policy())
        findings = tuple(replace(f, witness=witness) for f in every if not f.legal)
        return _Own(findings, tally.blocks)

    def _expected(self) -> Policy | None:
        return None if self.asked is None else self.asked.policy

    def _choices(self, found: Policy, expected: Policy) -> list[Finding]:
        """The choices of a policy, as findings."""
        element = block_format(self.known.pair.found.format).element
        return [
            choice_finding(
                (name, str(ours), str(theirs)),
                None if name in SCALE_FIELDS else element,
                1.0,
                0,
                None,
            )
            for name, (ours, theirs) in found.diff(expected).items()
            if forbidden(name, ours, element) is not None or self.asked is not None
        ]

    def _unmatched(self, stores: tuple[Store, Store]) -> TensorReport:
        lead, tally = self.lead()
        findings = self.known.findings or self.findings
        shared = "" if self.is_explained or self.known.findings else self.two_policies()
        if shared or (MOVED in self.known.notes and not self.is_explained):
            findings = ()  # what explains a part only would mislead
        verdict = self.known.verdict
        if verdict is None:
            verdict = Verdict.DEFECT if self.is_explained else Verdict.UNEXPLAINED
        return self._filled(
            verdict,
            nearest=lead.name,
            findings=findings,
            fault=self._fault(stores, lead, tally),
            notes=(*self._notes(), *self.notes, *filter(None, [shared])),
            places=self.places,
        )

    def _fault(self, stores: tuple[Store, Store], lead: Candidate, tally: Tally) -> Fault | None:
        if tally.first is None:
            return None
        fault = Fault(tally.blocks, tally.scales, tally.elements, tuple(tally.rows))
        pair = self.known.pair
        if lead.policy is None:
            seen = recipe_witness(pair, stores, tally.first, lead)
        else:
            seen = locate.first_witness(pair, stores, tally.first, lead.policy)
        if seen is None:
            return fault
        witness, (row, column, is_scale) = seen
        place = locate.byte_of(pair, row, column, is_scale=is_scale)
        file, offset = place if place is not None else ("", None)
        return Fault(fault.blocks, fault.scales, fault.elements, fault.rows, witness, file, offset)

    def _notes(self) -> tuple[str, ...]:
        stats, pair = self.stats, self.known.pair
        notes = list(self.known.notes)
        nan = stats.count("nan_scales")
        if nan and stats.first_nan is not None:
            row, along = divmod(stats.first_nan, pair.blocks)
            index = list(locate.coordinates(pair, row, along))
            have = "block has" if nan == 1 else "blocks have"
            notes.append(f"{nan:,} {have} a NaN scale, the first at {index}.")
        odd = stats.count("nonfinite")
        if odd:
            notes.append(f"The source holds {odd:,} NaN or infinities.")
        return tuple(notes)

    def _filled(self, verdict: Verdict, **fields: object) -> TensorReport:
        pair, stats = self.known.pair, self.stats
        found = pair.found
        return TensorReport(
            name=found.name,
            source=pair.source_name,
            format=found.format,
            layout=found.layout,
            shape=tuple(found.shape),
            verdict=verdict,
            elements=stats.elements,
            blocks=stats.blocks,
            qsnr=stats.qsnr,
            saturated=stats.share("saturated"),
            flushed=stats.share("flushed"),
            nan_scales=stats.count("nan_scales"),
            zero_blocks=stats.count("zero_blocks"),
            nonfinite=stats.count("nonfinite"),
            assumed=self.known.assumed,
            transposed=pair.transposed,
            repair=repair_text(pair.reading),
            qsnr_repaired=self.repaired.qsnr,
            recognised=found.notes,
            **fields,  # type: ignore[arg-type]  # of the same class
        )


def asked_candidate(name: Policy | str | None, format_name: str) -> Candidate | None:
    """What was claimed, as a candidate for a format."""
    if name is None:
        return None
    if format_name == "nvfp4":
        return Candidate((str(name),))
    called = name if isinstance(name, str) else None  # as the caller knows it
    return candidate_of(get_policy(name), block_format(format_name), called)
