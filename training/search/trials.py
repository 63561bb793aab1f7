"""Values that go into a search and come out of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from training.fitting.data import Params


@dataclass(frozen=True)
class SearchPlan:
    """The plan of a search. Only a search with an equal plan is continued.

    Attributes:
        family: as `load_family` takes it.
        trials: parameter sets to try.
        seed: of the proposals and of the models.
        split_hash: of the scaled splits that the trials see.
        workers: that fit each model together, if the family can.
        fixed: parameters that are not searched.
    """

    family: str
    trials: int
    seed: int
    split_hash: str
    workers: int = 1
    fixed: Params = field(default_factory=dict)


@dataclass(frozen=True)
class WorkerGroup:
    """The workers that fit each model of a search together.

    Attributes:
        workers: how many.
        cpus_each: cores that each claims.
        use_gpu: whether each has a GPU of its own.
        at_once: worker groups for which there are cores.
    """

    workers: int
    cpus_each: float
    use_gpu: bool
    at_once: int


@dataclass(frozen=True)
class TrialRecord:
    """A trial that has ended.

    Attributes:
        curve: validation losses that it reported, by step.
        loss: of the model that it made, see `search`; None if it was stopped early or failed.
        error: what it raised, or None.
    """

    trial_id: str
    params: Params
    curve: Mapping[int, float]
    loss: float | None
    duration_s: float
    error: str | None


@dataclass(frozen=True)
class Best:
    """The trial whose model has the lowest loss, and that model."""

    trial_id: str
    params: Params
    loss: float
    onnx: bytes


# listener(record, number of trials that have ended)
Listener = Callable[[TrialRecord, int], None]
