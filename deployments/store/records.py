"""The rows of the store, as values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from training.runtime.tasks.base import ArmAnswer


# a tuple, as what becomes one: a frozen dataclass takes two to three times as long to make, for each row
class PredictionRecord(NamedTuple):
    """A row of the journal: one answered prediction.

    Attributes:
        workload, id: the key; the id is the client's or a ULID.
        entity: value of the contract's entity field.
        arm: the arm that answered.
        model_version, bundle, schema_version: those that it served.
        named: whether the request named the arm; left out of experiments.
        fallback: whether another arm answered than the one that was chosen.
        attempts: arms tried, in order; the last one answered.
        created_at: UTC time of the answer.
        latency_s: from the body's arrival to the answer.
        prediction: the member of the answer.
        interval: the member that `Target.region` names; for numbers target name -> [lower, upper].
        coverage: nominal share of truths inside such a region.
        filled: values filled by rule, by field.
        payload: the instance as JSON text.
        members: predictions of the members of an ensemble, by arm; None where one model answered.
        outlier_score: how far out the instance lies, in [0, 1], see `training.runtime.outliers`.
        cached: whether the answer came from the cache; None where there was no lookup.
        level: at which the region was made, so that it holds `coverage`; None where that is the same, or
            where the members of an ensemble have one each.
        probe: whether a probe asked; such a prediction is no part of monitoring, experiments and training,
            and gets no truth.
        sent_by: the address of the caller; None of rows from before there was one.
    """

    workload: str
    id: str
    entity: str
    arm: str
    model_version: str
    bundle: str
    schema_version: str
    named: bool
    fallback: bool
    attempts: tuple[str, ...]
    created_at: datetime
    latency_s: float
    prediction: dict[str, Any]
    interval: dict[str, Any]
    coverage: float
    payload: str
    filled: dict[str, int]
    members: dict[str, Any] | None = None
    outlier_score: float | None = None
    cached: bool | None = None
    level: float | None = None
    probe: bool = False
    sent_by: str | None = None


@dataclass(frozen=True)
class LabelledRow:
    """A prediction with its truth, as far as an error needs them. `seq` is the cursor to read on from."""

    seq: int
    bundle: str
    prediction: dict[str, Any]
    interval: dict[str, Any]
    coverage: float
    members: dict[str, Any] | None
    truth: dict[str, Any]


@dataclass(frozen=True)
class Truth:
    """The ground truth of one prediction: target name -> value, and when it was observed.

    Attributes:
        sent_by: the address of the caller.
        with_key: whether the caller has shown the key. If not, the truth is used only if it came after its
            prediction was answered: before, one can only have guessed the id.
    """

    id: str
    value: dict[str, Any]
    observed_at: datetime | None = None
    sent_by: str | None = None
    with_key: bool = True


@dataclass(frozen=True)
class FeedbackCounts:
    """The outcomes of the truths of one request; the first three sum to the number of truths.

    Attributes:
        accepted: first truth of a prediction that is in the store.
        duplicate: the id has a truth already; kept apart and counted, the first one stands.
        unmatched: first truth of an id without a prediction yet; kept, and joined when one arrives. Or of an
            id that stands for two instances, or of a probe's; kept, and never joined.
        conflicting: those of the duplicates that differ from the first.
    """

    accepted: int
    duplicate: int
    unmatched: int
    conflicting: int = 0


@dataclass(frozen=True)
class JoinedRow:
    """A prediction with its truth. `seq` is the cursor to read on from."""

    seq: int
    prediction: PredictionRecord
    truth: dict[str, Any]
    observed_at: datetime | None
    received_at: datetime


@dataclass(frozen=True)
class StoreCounts:
    """The numbers of rows of one workload.

    Attributes:
        predictions: rows.
        truths: ids that have one.
        joined: predictions that have their truth.
        waiting: truths whose prediction has not come.
        repeated: truths after the first of their id.
        conflicting: those of them that differ from the first.
    """

    predictions: int
    truths: int
    joined: int
    waiting: int
    repeated: int
    conflicting: int


@dataclass(frozen=True)
class AuditEvent:
    """A row of the audit log: an administrative action or a decision. `seq` is the cursor to read on from."""

    seq: int
    at: datetime
    workload: str
    kind: str
    actor: str
    detail: dict[str, Any]


@dataclass(frozen=True)
class ShadowRow:
    """A row of the shadow journal: the shadow's prediction for an instance that its arm has answered.

    Attributes:
        workload, id: of the prediction that was served.
        arm: the arm that answered.
        model_version, bundle: of the shadow.
        created_at: UTC time of that prediction, exactly as it is journalled: it tells the answer that was
            copied from another one under the same id.
        latency_s: of the call that the shadow answered, with up to a few hundred other instances.
        prediction, interval, coverage: as those of `PredictionRecord`.
    """

    workload: str
    id: str
    arm: str
    model_version: str
    bundle: str
    created_at: datetime
    latency_s: float
    prediction: dict[str, Any]
    interval: dict[str, Any]
    coverage: float


@dataclass(frozen=True)
class ShadowPair:
    """The predictions of two versions of an arm for the same instance, and its truth.

    Attributes:
        created_at: of the prediction that was served.
        served: the answer that the caller got; without an outlier score, as `shadow`.
        shadow: the prediction of the shadow.
        truth: target name -> value, as in `Truth`.
    """

    created_at: datetime
    served: ArmAnswer
    shadow: ArmAnswer
    truth: dict[str, Any]
