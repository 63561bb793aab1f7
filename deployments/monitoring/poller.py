"""The monitoring of one workload, poll by poll: read the journal on, evaluate, write. For a thread."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from deployments.domain.routing import ArmVersion, EnsembleVersion, RoutingTable
from deployments.lifecycle.bundle_cache import BundleCache
from deployments.monitoring.arm_monitor import ServedBundle
from deployments.monitoring.report import MOST_ROWS
from deployments.monitoring.report_process import ReportFailed, report_html
from deployments.monitoring.settings import MonitoringSettings
from deployments.monitoring.workload_monitor import MonitorMemory, WorkloadMonitor
from deployments.store import Store
from deployments.store.monitor_feed import DriftEvent, MonitoredPage
from deployments.store.monitored import Cursors
from features.config import load_sections
from features.contract import Contract
from training.runtime.bundle import Bundle

log = logging.getLogger(__name__)

PAGE_ROWS = 1000
PAGES_PER_POLL = 20


class MonitorLoop:
    """The monitoring of one workload.

    Args:
        workload: its name.
        workloads: folder of a user's workload files.
        store: the routing table, the journal and the results.
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
        self._feed = store.monitor_feed
        self._cache = cache
        self._registry_uri = registry_uri
        self._now = now
        self._monitor: WorkloadMonitor | None = None
        self._served: dict[str, ArmVersion] = {}
        self._reference: Bundle | None = None
        self._cursors = Cursors()
        self._learnt_up_to = 0
        self._unwritten: list[DriftEvent] = []
        self._evaluated_at: datetime | None = None
        self._reported_at: datetime | None = None
        self._reported_cursor = 0

    def poll(self) -> list[DriftEvent]:
        """Read new rows, some pages of them at most; evaluate when it is time; return the changes of state.

        Raises:
            StoreUnavailable, BundleError, OSError, ReportFailed: nothing is lost; the next poll goes on.
        """
        table = self._store.routing(self.workload)
        if table is None or not table.arms:
            return []
        monitor = self._monitor_for(table)
        now = self._now()
        up_to_date = self._read_journal(monitor, now)
        period = timedelta(seconds=monitor.settings.check_period_s)
        if self._evaluated_at is not None and now - self._evaluated_at < period:
            return []
        self._evaluated_at = now
        # half of the rows would show a drift that is none
        self._unwritten += monitor.evaluate(now) if up_to_date else []
        self._write(monitor, now, up_to_date, self._unwritten)
        events, self._unwritten = self._unwritten, []
        for event in events:
            log.warning("detector is %s: %s", event.state, event.reason, extra=_labels(event))
        if up_to_date:
            self._write_report(monitor, now, any(event.kind == "input" for event in events))
        return events

    def _monitor_for(self, table: RoutingTable) -> WorkloadMonitor:
        """Return the monitor of the versions that are served now."""
        versions = dict(table.versions)
        if self._monitor is not None and versions == self._served:
            return self._monitor
        sections = load_sections(self._workloads, self.workload)
        contract = Contract.model_validate(sections["contract"])
        settings = MonitoringSettings.model_validate(sections.get("monitoring") or {})
        cache = BundleCache(self._cache, contract, self._registry_uri)
        bundles = {arm: cache.fetch(version.bundle, version.source) for arm, version in table.arms.items()}
        reference = bundles[max(bundles, key=lambda arm: (table.policy.weights.get(arm, 0.0), arm))]
        monitor = self._monitor
        if monitor is None or (monitor.contract, monitor.settings) != (contract, settings):
            monitor = self._start(contract, settings)
            self._reference = None
        monitor.set_served(
            {
                arm: ServedBundle(
                    version.bundle,
                    None if isinstance(version, EnsembleVersion) else bundles[arm].calibration,
                )
                for arm, version in versions.items()
            }
        )
        if self._reference is None or self._reference.content_hash != reference.content_hash:
            monitor.set_reference(reference.reference.features)
            self._reference = reference
        self._monitor, self._served = monitor, versions
        return monitor

    def _start(self, contract: Contract, settings: MonitoringSettings) -> WorkloadMonitor:
        """Make a monitor that reads the journal from as far back as the longest window reaches."""
        page = self._feed.page(self.workload)
        memory = MonitorMemory.from_json(page.state) if page else MonitorMemory()
        since = self._now() - timedelta(seconds=max(settings.windows_s))
        self._cursors = self._feed.cursors_at(self.workload, since)
        self._learnt_up_to = page.cursors.joins if page else 0
        return WorkloadMonitor(contract, settings, self._feed.last_events(self.workload), memory)

    def _read_journal(self, monitor: WorkloadMonitor, now: datetime) -> bool:
        """Read the journal on, and return whether all of it is read."""
        for _ in range(PAGES_PER_POLL):
            at = self._cursors
            rows = self._feed.predictions(self.workload, at.predictions, PAGE_ROWS)
            pairs = self._feed.truths(self.workload, at.joins, PAGE_ROWS)
            repeats = self._feed.repeats(self.workload, at.repeats, PAGE_ROWS)
            rejections = self._feed.rejections(self.workload, at.refusals, PAGE_ROWS)
            try:
                monitor.add_predictions(rows, now)
                monitor.add_truths(pairs, self._learnt_up_to)
                monitor.add_repeats(repeats)
                monitor.add_rejections(rejections)
            except Exception:
                self._monitor = None  # it has a part of these rows: the next poll begins anew
                raise
            self._cursors = Cursors(
                rows[-1].seq if rows else at.predictions,
                pairs[-1].seq if pairs else at.joins,
                repeats[-1].seq if repeats else at.repeats,
                rejections[-1].seq if rejections else at.refusals,
            )
            if max(len(rows), len(pairs), len(repeats), len(rejections)) < PAGE_ROWS:
                return True
        return False

    def _write(
        self, monitor: WorkloadMonitor, now: datetime, up_to_date: bool, events: list[DriftEvent]
    ) -> None:
        page = monitor.page(now, up_to_date).model_dump(mode="json", by_alias=True)
        # until all is read, the next Monitor has to learn from where the one before this ended
        cursors = replace(self._cursors, joins=max(self._cursors.joins, self._learnt_up_to))
        found = MonitoredPage(now, page, cursors, monitor.memory().to_json(), tuple(monitor.levels()))
        self._feed.write(self.workload, found, events)

    def _write_report(self, monitor: WorkloadMonitor, now: datetime, has_changed: bool) -> None:
        """Make a report when the state of the inputs has changed, or when the last one is old."""
        period = timedelta(seconds=monitor.settings.report_period_s)
        is_due = self._reported_at is None or now - self._reported_at >= period
        newest = self._cursors.predictions
        if self._reference is None or not (has_changed or (is_due and newest > self._reported_cursor)):
            return
        since = now - timedelta(seconds=max(monitor.settings.detection_windows_s))
        features = monitor.payload_features(self._feed.latest_payloads(self.workload, since, MOST_ROWS))
        if features is None or len(features) < monitor.settings.input.min_rows:
            return
        self._reported_at, self._reported_cursor = now, newest  # one that fails is not tried again at once
        reference = self._reference.reference.features
        names = self._reference.card.feature_names
        try:
            html = report_html(names, reference, features, monitor.settings.input.threshold)
        except ReportFailed as error:
            log.warning("no drift report: %s", error, extra={"workload": self.workload})
            return
        self._feed.write_report(self.workload, now, html)


def _labels(event: DriftEvent) -> dict[str, str]:
    return {"workload": event.workload, "kind": event.kind, "subject": event.subject, "state": event.state}
