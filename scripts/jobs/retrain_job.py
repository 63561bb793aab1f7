"""`python -m scripts.jobs.retrain_job ID JOB CLUSTER`: one retraining, as a Ray Job.

Its end is what the row of the store says, not its exit code: whatever is raised here is an attempt that died,
and is tried again. What no attempt could mend is written as the failure of the retraining.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import ray

from deployments.domain import retraining_transitions as states
from deployments.domain.errors import Conflict
from deployments.domain.retraining import ArmResult, Retraining
from deployments.lifecycle.bundle_cache import BundleCache
from deployments.runtime.logs import configure_log_file
from deployments.store import Store
from features.config import load_contract
from training.pipeline.progress import no_stages
from training.pipeline.run import TrainingBusy
from training.registry.models import ModelVersion
from training.retraining.gate import Verdict
from training.retraining.journal_dataset import NothingJournalled
from training.retraining.run import RetrainingTask, retrain_workload
from training.runtime.bundle import Bundle
from training.runtime.errors import BundleError
from training.runtime.private_files import make_files_private
from training.runtime.settings import Settings
from training.search.tune import SearchError

log = logging.getLogger(__name__)

_BUSY_PAUSE_S = 5.0


def main(retraining_id: str, job: str, cluster: str) -> None:
    """Train on the Ray cluster at this address, and write the verdicts."""
    make_files_private()
    settings = Settings.from_environment()
    configure_log_file(settings.logs, "retraining")
    store = Store(settings.store_url)
    row = _Row(store, retraining_id, job)
    retraining = store.retrainings.get(retraining_id)
    ray.init(cluster, logging_level=logging.ERROR, log_to_driver=False)
    try:
        _retrain(settings, store, retraining, row)
    except (NothingJournalled, BundleError, FileNotFoundError, ValueError, SearchError) as error:
        # the same data and the same code would give the same again
        row.finish(str(error).strip().splitlines()[-1])
    except Conflict as gone:
        log.warning("%s", gone)
    else:
        row.finish(None)


def _retrain(settings: Settings, store: Store, retraining: Retraining, row: _Row) -> None:
    contract = load_contract(settings.workloads, retraining.workload)
    assert retraining.query is not None, "it is written before a job is submitted"
    task = RetrainingTask(
        id=retraining.id,
        workload=retraining.workload,
        reason=retraining.requests[0].reason,
        query=retraining.query,
        done=tuple(retraining.arms),
    )
    journal = store.journal(contract.target.name)
    fetch = partial(_fetch, BundleCache(settings.bundle_cache, contract, settings.registry_uri))
    while True:
        try:
            retrain_workload(settings, task, journal, fetch, row, no_stages)
        except TrainingBusy as busy:
            log.warning("%s", busy)
            time.sleep(_BUSY_PAUSE_S)
        else:
            return


def _fetch(cache: BundleCache, version: ModelVersion) -> Bundle:
    return cache.fetch(version.bundle, version.source)


@dataclass(frozen=True)
class _Row:
    """The `RetrainingListener` that writes the row. Raises Conflict when the job is no longer wanted."""

    store: Store
    retraining_id: str
    job: str

    def has_data(self, data_hash: str) -> None:
        """Record the hash of the data; see `RetrainingListener.has_data`."""
        self._change(lambda row: row.model_copy(update={"data_hash": data_hash}))

    def has_verdict(self, version: ModelVersion, verdict: Verdict) -> None:
        """Record a verdict; see `RetrainingListener.has_verdict`."""
        result = ArmResult(
            model_version=version.version,
            bundle=version.bundle,
            passed=verdict.passed,
            reasons=verdict.reasons,
            numbers=verdict.numbers,
        )
        self._change(lambda row: row.model_copy(update={"arms": row.arms | {version.arm: result}}))

    def finish(self, failure: str | None) -> None:
        """Record the end, and why it failed if it did."""
        self._change(lambda row: states.finish(row, datetime.now(UTC), failure))

    def _change(self, transition: Callable[[Retraining], Retraining]) -> None:
        self.store.retrainings.report(self.retraining_id, self.job, transition)


if __name__ == "__main__":
    main(*sys.argv[1:])
