"""`Jobs` as Ray Jobs of the cluster that this process belongs to.

The processor time that a job claims leaves serving its share: the driver next to nothing, and its trials, one
at a time, a core each. All of its processes have the lowest priority, so that whoever answers requests goes
first.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import ray

from deployments.domain.retraining_transitions import JobState
from deployments.lifecycle.retraining_controller import JobServiceUnavailable
from features.locations import checkout
from training.runtime.environment import Environment
from training.runtime.settings import Settings

if TYPE_CHECKING:
    from ray.job_submission import JobSubmissionClient

_DRIVER_CPUS = 0.01
_DRIVER_SHARE = 0.01
# From the start: what a process imports takes seconds of a core.
_LOW_PRIORITY_PYTHON = f"nice -n 19 {sys.executable}"
_ALIVE = {"PENDING", "RUNNING"}
_MESSAGE_LENGTH = 300


class RayJobs:
    """The jobs of a Ray cluster, as `Jobs`.

    Args:
        settings: of the lifecycle controller, which its jobs share.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client: JobSubmissionClient | None = None

    def submit(self, job: str, retraining_id: str) -> None:
        """Submit; see `Jobs.submit`."""
        if self.state(job)[0] != "unknown":
            return
        # without an address Ray would join whichever cluster of the machine was started last
        cluster = ray.get_runtime_context().gcs_address
        arguments = f"{retraining_id} {job} {cluster}"
        try:
            self._open().submit_job(
                entrypoint=f"exec {_LOW_PRIORITY_PYTHON} -m scripts.jobs.retrain_job {arguments}",
                submission_id=job,
                entrypoint_num_cpus=_DRIVER_CPUS,
                entrypoint_resources=self._resources(),
                runtime_env={"env_vars": self._environment(), "py_executable": _LOW_PRIORITY_PYTHON},
            )
        except (RuntimeError, OSError) as error:
            raise JobServiceUnavailable(f"{job}: {error}") from error

    def state(self, job: str) -> tuple[JobState, str]:
        """Return the state of a job; see `Jobs.state`."""
        try:
            found = next((one for one in self._open().list_jobs() if one.submission_id == job), None)
        except (RuntimeError, OSError) as error:
            self._client = None
            raise JobServiceUnavailable(f"{job}: {error}") from error
        if found is None:
            return "unknown", ""
        message = f"{found.status.value}: {found.message or ''}".strip().replace("\n", " ")[:_MESSAGE_LENGTH]
        if found.status.value in _ALIVE:
            return "alive", message
        return ("succeeded" if found.status.value == "SUCCEEDED" else "died"), message

    def _open(self) -> JobSubmissionClient:
        if self._client is None:
            from ray.job_submission import JobSubmissionClient  # one second, and not before it is needed

            self._client = JobSubmissionClient(ray.get_runtime_context().gcs_address)
        return self._client

    def _resources(self) -> dict[str, float] | None:
        """Return the claim that sends the driver to the node of its trials, whose disk keeps their search."""
        name = self._settings.training_resource
        return {name: _DRIVER_SHARE} if name else None

    def _environment(self) -> dict[str, str]:
        """Return the settings that replicas get from their cluster or application, by name for a job."""
        settings = self._settings
        source = checkout()
        path = [str(source or ""), *Environment.read().python_path.split(os.pathsep)]
        return {
            "RAYSONDE_VAR": str(settings.var),
            "RAYSONDE_WORKLOADS": str(settings.workloads),
            "RAYSONDE_REGISTRY_URI": settings.registry_uri,
            "RAYSONDE_STORE_URL": settings.store_url,
            "PYTHONPATH": os.pathsep.join(dict.fromkeys(filter(None, path))),
            "OMP_NUM_THREADS": "1",
        }
