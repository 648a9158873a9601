"""What there is to say of a run of one denoiser: a function for each subject, in the order of a report."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from torch import nn

from mmcache.api.notes import Note
from mmcache.engine.caching_scheduler import CachingScheduler
from mmcache.engine.few_steps import few_steps
from mmcache.engine.run import Run
from mmcache.engine.step import CHANGED, UNSETTLED, UNTOLD

WHY_FULL = ("every_step_full", "conditioning_changed", "untold_lanes")  # notes that say why steps were full


class Subject(NamedTuple):
    """A run, and whose it is.

    Attributes:
        name: of the denoiser.
        scheduler: what drives it.
        run: of it.
        in_place: the model of this name that the pipeline has now; None where that does not matter.
    """

    name: str
    scheduler: CachingScheduler
    run: Run
    in_place: nn.Module | None


def run_notes(subject: Subject) -> list[Note]:
    """All notes of a run."""
    notes = list(of_model(subject))
    if subject.scheduler.passed:
        text = f"{subject.name}: the last run was in full: the session was disabled"
        return [*notes, Note("disabled", text)]
    for find in (of_readers, of_pairs, of_changes, of_lanes, of_length, of_verification):
        notes += find(subject)
    return [*notes, *of_full_runs(subject, notes)]


def of_model(subject: Subject) -> Iterator[Note]:
    if subject.in_place not in (None, subject.scheduler.part.module):
        text = "was replaced, and the new one is not accelerated yet: the next run may do it"
        yield Note("replaced_model", f"{subject.name} {text}, accelerate(pipe) does it now")


def of_readers(subject: Subject) -> Iterator[Note]:
    """Who else has a hand in the model."""
    if subject.run.readers:
        names = ", ".join(subject.run.readers)
        text = "every step was full: features or maps of its deep layers may be read"
        yield Note("every_step_full", f"{subject.name}: {text} ({names})")
    if subject.run.aside:
        yield Note("every_step_full", f"{subject.name}: every step was full: {subject.run.aside}")


def of_changes(subject: Subject) -> Iterator[Note]:
    calls = subject.run.calls
    changed = sorted({call.clock.step for call in calls if call.missing == CHANGED})
    if not changed:
        return
    text = f"{subject.name}: full at steps {', '.join(map(str, changed))}, since {CHANGED} there"
    behind = {call.clock.step for call in calls if call.missing == UNSETTLED and call.cache_miss}
    if behind:
        text += f", and at {len(behind)} steps behind, until features moved steadily again"
    yield Note("conditioning_changed", text)


def of_pairs(subject: Subject) -> Iterator[Note]:
    if (count := subject.run.pairs.added) and subject.run.calls:
        given = ", ".join(subject.run.calls[-1].clock.exchangeable)
        text = f"{count} more steps were full early, since a callback is given {given} and may exchange it"
        yield Note("paired_steps", f"{subject.name}: {text}")


def of_lanes(subject: Subject) -> Iterator[Note]:
    if any(call.missing == UNTOLD for call in subject.run.calls):
        yield Note("untold_lanes", f"{subject.name}: some calls were full, since {UNTOLD}")


def of_length(subject: Subject) -> Iterator[Note]:
    cached = next((call for call in subject.run.calls if call.branch is not None), None)
    if cached is not None and (text := few_steps(cached.clock.total)):
        yield Note("few_steps", f"{subject.name}: {text}")


def of_verification(subject: Subject) -> Iterator[Note]:
    found = subject.scheduler.verification
    if found.failure:
        yield Note("every_step_full", f"{subject.name}: every step was full: {found.failure}")
    elif count := len(found.verified):
        yield Note("verified", f"{subject.name}: the cut was verified on {count} kinds of calls")


def of_full_runs(subject: Subject, notes: Sequence[Note]) -> Iterator[Note]:
    """Of a run that was to cache steps and did not, for none of the reasons that were noted."""
    calls = subject.run.calls
    missed = any(call.cache_miss for call in calls) and all(call.branch is None for call in calls)
    if missed and not any(note.kind in WHY_FULL for note in notes):
        text = "every step was full: no call was like one of the step before, in its sizes and arguments"
        yield Note("every_step_full", f"{subject.name}: {text}")
