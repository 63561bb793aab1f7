"""An answer with what is known about how it came to be."""

from __future__ import annotations

from typing import NamedTuple

from deployments.domain.instances import Instance
from deployments.domain.predictions import Blended, Prediction, Said
from deployments.domain.routing import Decision, RoutingTable


class Answered(NamedTuple):
    """A prediction with what the journal keeps beside it.

    Attributes:
        instance: what was asked.
        prediction: what was answered.
        decision: which arms were to be tried.
        latency_s: of the answer; of the whole batch for each of its instances.
        cached: whether the answer was found in the cache; None where none was looked for.
    """

    instance: Instance
    prediction: Prediction
    decision: Decision
    latency_s: float
    cached: bool | None = None


class Unsaid(NamedTuple):
    """What an arm said of an instance, before it is handed out; members as those of `Answered`."""

    instance: Instance
    decision: Decision
    arm: str
    said: Said
    cached: bool | None = None

    def answered(self, table: RoutingTable, latency_s: float) -> Answered:
        """It as an answer, by the table that it was asked for by."""
        row, members = self.said if isinstance(self.said, Blended) else (self.said, None)
        version, is_fallback = table.versions[self.arm], self.arm != self.decision.arm
        prediction = Prediction(self.instance.sent_id, row, self.arm, version, is_fallback, members)
        return Answered(self.instance, prediction, self.decision, latency_s, self.cached)
