"""The MLflow runs of a search: one parent, and under it one run for every trial."""

from __future__ import annotations

import hashlib
import json
import subprocess
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, Run, RunTag

from training.runtime.environment import Environment
from training.search.trials import SearchPlan, TrialRecord

_PARENT_TAG = "mlflow.parentRunId"
_PLAN_TAG = "search_plan"
_TRIAL_TAG = "trial_id"


class SearchRuns:
    """Logs the trials of one search.

    A search that goes on after a kill goes on under the same parent, and no trial is logged twice.

    Args:
        tags: of every run: workload, family, reason, data hash, git commit.
        resume: False closes an unfinished parent and starts a new one.
    """

    def __init__(
        self, client: MlflowClient, experiment: str, plan: SearchPlan, tags: Mapping[str, str], resume: bool
    ) -> None:
        self._client = client
        self._experiment = experiment
        self._tags = dict(tags)
        self._family = tags["family"]
        digest = hashlib.sha256(json.dumps(asdict(plan), sort_keys=True).encode()).hexdigest()
        self._parent = self._unfinished(digest) if resume else None
        if self._parent is None:
            for run_id in self._running(digest):
                client.set_terminated(run_id, "KILLED")
            started = self._create({_PLAN_TAG: digest}, f"{self._family} search", None)
            self._parent = str(started.info.run_id)

    def log_trial(self, record: TrialRecord) -> None:
        """Write the run of a trial that has ended."""
        if self.run_of(record.trial_id):
            return
        started_ms = int((time.time() - record.duration_s) * 1000)
        tags = {_TRIAL_TAG: record.trial_id, _PARENT_TAG: str(self._parent)}
        if record.error:
            tags["error"] = record.error
        elif record.loss is None:
            tags["stopped_early"] = "true"
        run_id = self._create(tags, f"{self._family} {record.trial_id}", started_ms).info.run_id
        now_ms = int(time.time() * 1000)
        metrics = [Metric("valid_loss", loss, now_ms, step) for step, loss in record.curve.items()]
        params = [Param(name, str(value)) for name, value in record.params.items()]
        self._client.log_batch(run_id, metrics=metrics, params=params)
        self._client.set_terminated(run_id, "FAILED" if record.error else "FINISHED")

    def run_of(self, trial_id: str) -> str | None:
        """Return the run of a trial, if it has been logged; a trial that failed may be tried in a new run."""
        wanted = (
            f"tags.{_TRIAL_TAG} = '{trial_id}' AND tags.`{_PARENT_TAG}` = '{self._parent}'"
            " AND attributes.status != 'FAILED'"
        )
        found = self._client.search_runs([self._experiment], wanted, max_results=1)
        return str(found[0].info.run_id) if found else None

    def finish(self, run_id: str, metrics: Mapping[str, float]) -> None:
        """Log the test metrics with the run of the best trial and with the parent, and close the parent."""
        now_ms = int(time.time() * 1000)
        batch = [Metric(name, value, now_ms, 0) for name, value in metrics.items()]
        for target in (run_id, self._parent):
            self._client.log_batch(target, metrics=batch)
        self._client.log_batch(self._parent, tags=[RunTag("best_run", run_id)])
        self._client.set_terminated(self._parent, "FINISHED")

    def _create(self, tags: Mapping[str, str], name: str, start_ms: int | None) -> Run:
        return self._client.create_run(
            self._experiment, start_time=start_ms, tags={**self._tags, **tags}, run_name=name
        )

    def _unfinished(self, digest: str) -> str | None:
        return next(iter(self._running(digest)), None)

    def _running(self, digest: str) -> list[str]:
        wanted = f"tags.{_PLAN_TAG} = '{digest}' AND attributes.status = 'RUNNING'"
        return [str(run.info.run_id) for run in self._client.search_runs([self._experiment], wanted)]


def git_commit(repository: Path | None) -> str:
    """Return the commit that is checked out, with `-dirty` after it when files differ; else `unknown`.

    RAYSONDE_COMMIT says it for a copy that has no git, such as an image.

    Args:
        repository: folder of the checkout; None where there is none, though its packages may lie in an
            environment that somebody else's repository holds.
    """
    if commit := Environment.read().commit:
        return commit
    if repository is None:
        return "unknown"
    try:
        described = subprocess.run(
            ["git", "-C", str(repository), "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"],
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return described.stdout.strip()
