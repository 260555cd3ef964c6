"""Every float32 input, all 2^32 of them, against the oracle of ``mxref.sweep`` and the digests.

`make test` runs the default policy of every element format, and two published sweeps that the
commit picks, so that all have their turn. `make exhaustive` runs all of them by `mxref sweep`, and
the rest of this file: whatever else a policy can say about a cast.
"""

import datetime as dt
import subprocess
from pathlib import Path

import pytest

from mxref.formats import ELEMENT_FORMATS
from mxref.policy import PROFILES, Policy
from mxref.sweep import Subject, load, published, relevant_fields, sweep

ROOT = Path(__file__).resolve().parents[2]
DIGESTS = ROOT / "spec_vectors" / "digests"


def assert_all_inputs(subject):
    (outcome,) = sweep([subject])
    assert outcome.wrong == 0, f"{subject.name}: {outcome.first} ({outcome.wrong} inputs differ)"
    if (DIGESTS / f"{subject.name}.json").exists():
        known = load(DIGESTS, subject).digests
        pairs = enumerate(zip(outcome.digests, known, strict=True))
        assert [chunk for chunk, (ours, theirs) in pairs if ours != theirs] == []


def turn():
    """A number that moves with each commit; outside of a clone, with each day."""
    try:
        head = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout.strip()
        return int(head[:15], 16)
    except (OSError, subprocess.CalledProcessError, ValueError):
        return dt.datetime.now(dt.UTC).date().toordinal()


def picked(number):
    """Two different published subjects; numbers that follow each other go through all of them."""
    subjects = published()
    first = number % len(subjects)
    second = (first + 1 + number // len(subjects) % (len(subjects) - 1)) % len(subjects)
    return subjects[first], subjects[second]


@pytest.mark.slow
@pytest.mark.parametrize("fmt", ELEMENT_FORMATS)
def test_all_float32_under_ocp(fmt):
    assert_all_inputs(Subject.of(fmt))


@pytest.mark.slow
@pytest.mark.parametrize("place", [0, 1])  # no name in the id: workers must collect the same
def test_all_float32_under_the_policies_whose_turn_it_is(place):
    subject = picked(turn())[place]
    print(subject.name)  # shown if it fails
    assert_all_inputs(subject)


def test_every_sweep_has_its_turn():
    count = len(published())
    for start in (0, 0xABCDEF0123456):
        pairs = [picked(number) for number in range(start, start + count)]
        assert {first for first, _ in pairs} == set(published())
        assert all(first != second for first, second in pairs)


def other_choices():
    """Each member of each field that the published digests hold fixed; and the profiles."""
    found = {}
    for fmt in (*ELEMENT_FORMATS, "e8m0"):
        policies = list(PROFILES.values())
        for field in relevant_fields(fmt):
            members = type(getattr(Policy(), field))
            policies += [Policy().replace(**{field: str(member)}) for member in members]
        for policy in policies:
            try:
                subject = Subject.of(fmt, policy)
            except ValueError:  # refuses inputs, or rounds stochastically
                continue
            found.setdefault(subject.name, subject)
    for subject in published():
        found.pop(subject.name, None)
    return found.values()


@pytest.mark.exhaustive
@pytest.mark.parametrize("subject", other_choices(), ids=lambda s: s.name)
def test_all_float32_under_every_other_choice(subject):
    assert_all_inputs(subject)
