"""The table of stages of the loop, with the parts that are killed at each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from deployments.domain.promotion import Promotion
from deployments.domain.retraining import Retraining
from features.old_spellings import respell

# so that some truths are there, and those until the wave still complete the baseline
_CALM_BEGINS_S = 6.0

_LIFECYCLE_CONTROLLER, _MONITOR, _ROUTER, JOB = "LifecycleController", "Monitor", "Router", "job"
VICTIMS = (_LIFECYCLE_CONTROLLER, _MONITOR, _ROUTER, JOB)


@dataclass(frozen=True)
class Situation:
    """The state of the loop.

    Attributes:
        at_s: seconds since the first request.
        retraining: the newest.
        promotions: the open ones.
    """

    at_s: float
    retraining: Retraining | None
    promotions: Sequence[Promotion]

    def has(self, state: str) -> bool:
        """Return whether a promotion has this state."""
        return any(one.state == state for one in self.promotions)


@dataclass(frozen=True)
class LoopStage:
    """A stage of the loop.

    Attributes:
        is_on: returns whether the loop is in it.
        victims: the parts that are killed, in this order. The lifecycle controller comes first, since
            without it most stages last; the job before it, so that another controller than the one that
            started it finds it gone.
    """

    name: str
    is_on: Callable[[Situation], bool]
    victims: tuple[str, ...] = (_LIFECYCLE_CONTROLLER, _MONITOR, _ROUTER)


def _is_calm(now: Situation) -> bool:
    return now.at_s >= _CALM_BEGINS_S and now.retraining is None


def _is_drifting(now: Situation) -> bool:
    return now.retraining is not None and now.retraining.state == "waiting"


def _is_training(now: Situation) -> bool:
    """Return whether the job has read its data; the next one may be about to follow it."""
    one = now.retraining
    return one is not None and one.state in ("running", "submitting") and one.data_hash is not None


STAGES = (
    LoopStage("calm", _is_calm),
    LoopStage("drifting", _is_drifting),
    LoopStage("job", _is_training, (JOB, _LIFECYCLE_CONTROLLER, _MONITOR, _ROUTER)),
    LoopStage("shadowing", lambda now: now.has("shadowing")),
    LoopStage("promoting", lambda now: now.has("promoting")),
    LoopStage("probation", lambda now: now.has("probation")),
)


# Today's spelling of a stage's old one.
NEW_BY_OLD = {"hot": "drifting"}


def stage_name(text: str) -> str:
    """Return the name of a stage that `--stage` gives, in today's spelling."""
    return respell("--stage", text, NEW_BY_OLD)


def expected_attempts(stage: LoopStage, victims: Sequence[str]) -> int:
    """Return the number of jobs that the retraining takes."""
    return 2 if JOB in stage.victims and JOB in victims else 1
