"""The task of a workload, by its target."""

from __future__ import annotations

from features.contract import Contract
from features.targets import ClassTarget, PathTarget, TaskName
from features.workload import Workload
from training.runtime.tasks.base import Calibration, Task
from training.runtime.tasks.classification import ClassCalibration, ClassificationTask
from training.runtime.tasks.intervals import IntervalCalibration
from training.runtime.tasks.path import PathCalibration, PathTask
from training.runtime.tasks.regression import RegressionTask

_CALIBRATIONS: dict[TaskName, type[Calibration]] = {
    "regression": IntervalCalibration,
    "classification": ClassCalibration,
    "path": PathCalibration,
}


def calibration_type(task: TaskName) -> type[Calibration]:
    """Return the type that the calibration of such a task is read as."""
    return _CALIBRATIONS[task]


def make_task(contract: Contract, workload: Workload) -> Task:
    """Make the task of a workload.

    Raises:
        TypeError: the workload's module lacks what its task needs.
    """
    target = contract.target
    if isinstance(target, ClassTarget):
        return ClassificationTask(target)
    if isinstance(target, PathTarget):
        return PathTask(target, workload)
    return RegressionTask(target, workload)
