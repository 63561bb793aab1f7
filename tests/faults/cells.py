"""The table: at which stages of the loop which parts are killed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from deployments.domain.promotion import Promotion
from deployments.domain.retraining import Retraining
from features.old_spellings import respell

# so that some truths are there, and those that come until the wave still tell what is normal
_CALM_BEGINS_S = 6.0

_LIFECYCLE_CONTROLLER, _MONITOR, _ROUTER, JOB = "LifecycleController", "Monitor", "Router", "job"
VICTIMS = (_LIFECYCLE_CONTROLLER, _MONITOR, _ROUTER, JOB)


@dataclass(frozen=True)
class Situation:
    """Where the loop is.

    Attributes:
        at_s: seconds since the first request.
        retraining: the newest.
        promotions: those under way.
    """

    at_s: float
    retraining: Retraining | None
    promotions: Sequence[Promotion]

    def has(self, state: str) -> bool:
        """Whether some promotion is there."""
        return any(one.state == state for one in self.promotions)


@dataclass(frozen=True)
class LoopStage:
    """A stage of the loop.

    Attributes:
        is_on: whether the loop is in it.
        victims: who is killed, in this order. The lifecycle controller comes first, since without it most
            stages last; the job before it, so that the one who sees that it is gone is another one than had
            started it.
    """

    name: str
    is_on: Callable[[Situation], bool]
    victims: tuple[str, ...] = (_LIFECYCLE_CONTROLLER, _MONITOR, _ROUTER)


def _is_calm(now: Situation) -> bool:
    return now.at_s >= _CALM_BEGINS_S and now.retraining is None


def _is_drifting(now: Situation) -> bool:
    return now.retraining is not None and now.retraining.state == "waiting"


def _is_training(now: Situation) -> bool:
    """The job has read what it learns from; the next one may be about to follow it."""
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
    """Jobs that the retraining takes."""
    return 2 if JOB in stage.victims and JOB in victims else 1
