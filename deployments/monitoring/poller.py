"""Watching one workload, round by round: read on, look, write what was seen. Synchronous, for a thread."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from deployments.domain.routing import ArmVersion, EnsembleVersion, RoutingTable
from deployments.lifecycle.bundle_cache import BundleCache
from deployments.monitoring.arm_monitor import Served
from deployments.monitoring.report import MOST_ROWS
from deployments.monitoring.report_process import report_html
from deployments.monitoring.settings import MonitoringSettings
from deployments.monitoring.workload_monitor import Watch, WatchMemory
from deployments.store import Store
from deployments.store.monitor_feed import DriftEvent, MonitoredPage
from deployments.store.monitored import Cursors
from features.config import load_sections
from features.contract import Contract
from training.runtime.bundle import Bundle

log = logging.getLogger(__name__)

PAGE_ROWS = 1000
PAGES_A_ROUND = 20


class MonitorLoop:
    """One workload.

    Args:
        workload: its name.
        workloads: folder of a user's workload files.
        store: the routing table and the journal, and where to write.
        cache: folder of the bundle cache.
        now: UTC time.
        registry_uri: of MLflow; bundles are fetched from it if it is a server.
    """

    def __init__(
        self,
        workload: str,
        workloads: Path,
        store: Store,
        cache: Path,
        now: Callable[[], datetime],
        registry_uri: str = "",
    ) -> None:
        self.workload = workload
        self._workloads = workloads
        self._store = store
        self._watched = store.monitor_feed
        self._cache = cache
        self._registry_uri = registry_uri
        self._now = now
        self._watch: Watch | None = None
        self._served: dict[str, ArmVersion] = {}
        self._lead: Bundle | None = None
        self._cursors = Cursors()
        self._learnt_up_to = 0
        self._untold: list[DriftEvent] = []
        self._looked_at: datetime | None = None
        self._reported_at: datetime | None = None
        self._reported_cursor = 0

    def poll(self) -> list[DriftEvent]:
        """Read what is new, at most some pages of it; look, when it is time; the changes of state.

        Raises:
            StoreUnavailable, BundleError, OSError, ReportFailed: nothing is lost; the next round goes on.
        """
        table = self._store.routing(self.workload)
        if table is None or not table.arms:
            return []
        watch = self._follow(table)
        now = self._now()
        up_to_date = self._read(watch, now)
        period = timedelta(seconds=watch.settings.check_period_s)
        if self._looked_at is not None and now - self._looked_at < period:
            return []
        self._looked_at = now
        # a look at half of what there is would see a drift of its own
        self._untold += watch.look(now) if up_to_date else []
        self._write(watch, now, up_to_date, self._untold)
        events, self._untold = self._untold, []
        for event in events:
            log.warning("drift %s: %s", event.state, event.reason, extra=_labels(event))
        if up_to_date:
            self._report(watch, now, any(event.kind == "input" for event in events))
        return events

    def _follow(self, table: RoutingTable) -> Watch:
        """The watch of what is served now."""
        versions = dict(table.versions)
        if self._watch is not None and versions == self._served:
            return self._watch
        sections = load_sections(self._workloads, self.workload)
        contract = Contract.model_validate(sections["contract"])
        settings = MonitoringSettings.model_validate(sections.get("monitoring") or {})
        cache = BundleCache(self._cache, contract, self._registry_uri)
        bundles = {arm: cache.fetch(version.bundle, version.source) for arm, version in table.arms.items()}
        lead = bundles[max(bundles, key=lambda arm: (table.policy.weights.get(arm, 0.0), arm))]
        watch = self._watch
        if watch is None or (watch.contract, watch.settings) != (contract, settings):
            watch = self._start(contract, settings)
            self._lead = None
        watch.serve(
            {
                arm: Served(
                    version.bundle,
                    None if isinstance(version, EnsembleVersion) else bundles[arm].calibration,
                )
                for arm, version in versions.items()
            }
        )
        if self._lead is None or self._lead.content_hash != lead.content_hash:
            watch.compare_with(lead.reference.features)
            self._lead = lead
        self._watch, self._served = watch, versions
        return watch

    def _start(self, contract: Contract, settings: MonitoringSettings) -> Watch:
        """Begin as far back as the longest window reaches."""
        page = self._watched.page(self.workload)
        memory = WatchMemory.of_json(page.state) if page else WatchMemory()
        since = self._now() - timedelta(seconds=max(settings.windows_s))
        self._cursors = self._watched.cursors_at(self.workload, since)
        self._learnt_up_to = page.cursors.joins if page else 0
        return Watch(contract, settings, self._watched.last_events(self.workload), memory)

    def _read(self, watch: Watch, now: datetime) -> bool:
        """Read on; whether that was all."""
        for _ in range(PAGES_A_ROUND):
            at = self._cursors
            rows = self._watched.predictions(self.workload, at.predictions, PAGE_ROWS)
            pairs = self._watched.truths(self.workload, at.joins, PAGE_ROWS)
            again = self._watched.repeats(self.workload, at.repeats, PAGE_ROWS)
            refused = self._watched.refusals(self.workload, at.refusals, PAGE_ROWS)
            try:
                watch.predicted(rows, now)
                watch.judged(pairs, self._learnt_up_to)
                watch.repeated(again)
                watch.refused(refused)
            except Exception:
                self._watch = None  # it has taken a part of these rows: the next round begins anew
                raise
            self._cursors = Cursors(
                rows[-1].seq if rows else at.predictions,
                pairs[-1].seq if pairs else at.joins,
                again[-1].seq if again else at.repeats,
                refused[-1].seq if refused else at.refusals,
            )
            if max(len(rows), len(pairs), len(again), len(refused)) < PAGE_ROWS:
                return True
        return False

    def _write(self, watch: Watch, now: datetime, up_to_date: bool, events: list[DriftEvent]) -> None:
        page = watch.page(now, up_to_date).model_dump(mode="json", by_alias=True)
        # until all is read, a Monitor after this one has to learn from where this one's predecessor ended
        cursors = replace(self._cursors, joins=max(self._cursors.joins, self._learnt_up_to))
        seen = MonitoredPage(now, page, cursors, watch.memory().to_json(), tuple(watch.levels()))
        self._watched.write(self.workload, seen, events)

    def _report(self, watch: Watch, now: datetime, has_changed: bool) -> None:
        """Have a report made when the input's state has changed, or when the last one is old."""
        period = timedelta(seconds=watch.settings.report_period_s)
        is_due = self._reported_at is None or now - self._reported_at >= period
        newest = self._cursors.predictions
        if self._lead is None or not (has_changed or (is_due and newest > self._reported_cursor)):
            return
        since = now - timedelta(seconds=max(watch.settings.detection_windows_s))
        features = watch.payload_features(self._watched.latest_payloads(self.workload, since, MOST_ROWS))
        if features is None or len(features) < watch.settings.input.min_rows:
            return
        self._reported_at, self._reported_cursor = now, newest  # one that fails is not tried again at once
        reference = self._lead.reference.features
        names = self._lead.card.feature_names
        html = report_html(names, reference, features, watch.settings.input.threshold)
        self._watched.write_report(self.workload, now, html)


def _labels(event: DriftEvent) -> dict[str, str]:
    return {"workload": event.workload, "kind": event.kind, "subject": event.subject, "state": event.state}
