"""Answers with regions of each task, and their truths, which may err more than the calibration knows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.targets import AnyTarget, ClassTarget, PathTarget, TargetSpec
from training.runtime.tasks.base import Task
from training.runtime.tasks.classification import ClassificationTask
from training.runtime.tasks.path import PathTask
from training.runtime.tasks.regression import RegressionTask

FloatArray = NDArray[np.float64]


class Plain:
    """A workload that learns its target as it is; the band is as wide everywhere."""

    feature_names = anchor_names = ()
    output_names = ("latitude", "longitude")

    def features(self, raw: FloatArray) -> FloatArray:
        return raw

    def baselines(self, features: FloatArray) -> dict[str, FloatArray]:
        return {}

    def encode_target(self, target: FloatArray, anchors: FloatArray) -> FloatArray:
        return target

    def decode_target(self, encoded: FloatArray, anchors: FloatArray) -> FloatArray:
        if encoded.ndim == 1:
            return encoded
        places = encoded[:, None, :] + np.array([[[0.0, 0.0]], [[0.1, 0.1]]]).reshape(1, 2, 2)
        return np.concatenate([places, np.zeros((*places.shape[:2], 1))], axis=2)

    def interval_scale(self, anchors: FloatArray) -> FloatArray:
        return anchors[:, 0]


class Logarithmic(Plain):
    """One that learns the logarithm, as workloads with large and small targets do."""

    def encode_target(self, target: FloatArray, anchors: FloatArray) -> FloatArray:
        return np.asarray(np.log1p(target))

    def decode_target(self, encoded: FloatArray, anchors: FloatArray) -> FloatArray:
        return np.asarray(np.expm1(encoded))


@dataclass(frozen=True)
class Answered:
    """What a model said (n, outputs), and the truths, as `features.targets` has them."""

    target: AnyTarget
    task: Task
    outputs: FloatArray
    truth: FloatArray

    @property
    def anchors(self) -> FloatArray:
        """(n, 1) of no meaning."""
        return np.zeros((len(self.outputs), 1))


def numbers(rng: np.random.Generator, rows: int, spread: float = 1.0) -> Answered:
    """Numbers with normal errors, so many times as large."""
    target = TargetSpec(name="area_m2", unit="m2", minimum=-1000, maximum=1000)
    truth = rng.normal(0, 100, rows)
    outputs = (truth + spread * rng.normal(0, 5, rows))[:, None]
    return Answered(target, RegressionTask(target, Plain()), outputs, truth)


def logarithms(rng: np.random.Generator, rows: int, spread: float = 1.0) -> Answered:
    """Numbers whose logarithms are learnt, with normal errors there."""
    target = TargetSpec(name="area_m2", unit="m2", minimum=0, maximum=1e9)
    truth = rng.uniform(50, 5000, rows)
    outputs = (np.log1p(truth) + spread * rng.normal(0, 0.3, rows))[:, None]
    return Answered(target, RegressionTask(target, Logarithmic()), outputs, truth)


def classes(rng: np.random.Generator, rows: int, spread: float = 1.0) -> Answered:
    """Classes of a model that is right about how sure it is; with a spread above 1, too sure."""
    target = ClassTarget(name="phase", classes=("a", "b", "c"), positive="a")
    outputs = rng.dirichlet([1.0, 1.0, 1.0], rows)
    true = outputs ** (1 / spread)
    truth = np.array([rng.choice(3, p=one) for one in true / true.sum(axis=1, keepdims=True)])
    return Answered(target, ClassificationTask(target), outputs, truth.astype(np.float64))


def paths(rng: np.random.Generator, rows: int, spread: float = 1.0) -> Answered:
    """Places at two times, of which three in ten do not become known."""
    target = PathTarget(name="path", horizons_s=(60, 300))
    outputs = rng.uniform(-50, 50, (rows, 2))
    truth = Plain().decode_target(outputs + spread * rng.normal(0, 0.05, (rows, 2)), outputs)
    truth[rng.random((rows, 2)) < 0.3] = np.nan
    return Answered(target, PathTask(target, Plain()), outputs, truth)
