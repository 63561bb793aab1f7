"""A journal that fills as if a workload were served, at a time that tests set, and its Monitor."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import orjson
from numpy.typing import NDArray

from deployments.monitoring.poller import MonitorLoop
from deployments.store import PredictionRecord, Store, Truth
from deployments.store.monitor_feed import DriftEvent
from tests.support.clocks import NOON, Clock
from tests.support.databases import empty_store
from tests.support.serving import LocalSystem
from tests.support.tables import calories_parts
from training.runtime.inference import load_model
from training.runtime.settings import REPOSITORY

START = NOON
ARM = "mlp"


class MonitoredScene:
    """The workload of a table, one arm of which gets all the traffic: rows of the bundle's own reference."""

    def __init__(self, folder: Path, store_url: str | None = None) -> None:
        self.clock = Clock()
        self._folder = folder
        self._store_url = store_url or empty_store(folder)
        self._monitors: list[Store] = []
        self.system = LocalSystem(folder, calories_parts, self._store_url)
        self.workload = self.system.contract.workload
        self.store = Store(self._store_url, self.clock)
        self.feed = self.store.monitor_feed
        version = self.system.versions[ARM]
        self._model = load_model(self.system.cache.fetch(version.bundle, version.source))
        self._reference = self.system.parts[ARM].reference.raw
        self._rng = np.random.default_rng(0)
        self._answered = 0

    def monitor(self, workloads: Path = REPOSITORY / "configs" / "workloads") -> MonitorLoop:
        """A Monitor that starts now, by the files of that folder."""
        store = Store(self._store_url, self.clock)
        self._monitors.append(store)
        return MonitorLoop(self.workload, workloads, store, self._folder / "cache", self.clock)

    def traffic(
        self, seconds: float, *, heavier_kg: float = 0.0, error: float = 1.0, repeated: float = 0.0
    ) -> None:
        """Twenty answers a second and their truths; with heavier people, or errors so many times as large.

        A share of the answers may be `repeated`: about one heavy person, again and again.
        """
        count = round(20 * seconds)
        raw = self._reference[self._rng.integers(0, len(self._reference), count)].copy()
        raw[:, 3] = np.clip(raw[:, 3] + heavier_kg, 25, 250)
        if repeated:
            raw[self._rng.random(count) < repeated] = self._reference[self._reference[:, 3].argmax()]
        times = [self.clock.now + timedelta(seconds=number / 20) for number in range(count)]
        rows = self._rows(raw, times)
        self.clock.forward(seconds)
        self.store.write_predictions(rows)
        half = 0.5 * np.array([row.interval["Calories"][1] - row.interval["Calories"][0] for row in rows])
        # nine of ten standard normals are within 1.645
        noise = error * self._rng.normal(size=count) * half / 1.645
        predicted = np.array([row.prediction["Calories"] for row in rows])
        values = np.clip(predicted + noise, 0, 5000).tolist()
        truths = [Truth(row.id, {"Calories": value}) for row, value in zip(rows, values, strict=True)]
        self.store.write_truths(self.workload, truths)

    def observe(self, monitor: MonitorLoop, seconds: float, **changes: float) -> list[DriftEvent]:
        """Send `traffic` for so long, with a poll of the Monitor every 5 s, and return the events."""
        events = []
        for _ in range(round(seconds / 5)):
            self.traffic(5, **changes)
            events += monitor.poll()
        return events

    def close(self) -> None:
        """Close the databases."""
        for store in (self.store, self.system.store, *self._monitors):
            store.close()

    def _rows(self, raw: NDArray[np.float64], times: list[datetime]) -> list[PredictionRecord]:
        contract, version = self.system.contract, self.system.versions[ARM]
        predicted = self._model.predict(raw)
        answers = self._model.arm.task.answers(predicted, self._model.arm.coverage)
        blank = PredictionRecord(
            workload=self.workload,
            id="",
            entity="",
            arm=ARM,
            model_version=version.model_version,
            bundle=version.bundle,
            schema_version=contract.schema_version,
            named=False,
            fallback=False,
            attempts=(ARM,),
            created_at=self.clock.now,
            latency_s=0.01,
            prediction={},
            interval={},
            coverage=0.9,
            payload="",
            filled={},
            outlier_score=0.5,
        )
        rows = []
        for values, answer, at in zip(raw.tolist(), answers, times, strict=True):
            self._answered += 1
            instance = {
                spec.name: spec.categories[int(value)] if spec.categories else value
                for spec, value in zip(contract.fields, values, strict=True)
            }
            rows.append(
                blank._replace(
                    id=str(self._answered),
                    entity=str(self._answered),
                    created_at=at,
                    prediction=answer.prediction,
                    interval=answer.region,
                    payload=orjson.dumps(instance).decode(),
                )
            )
        return rows
