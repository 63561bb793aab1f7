"""Metrics of predictions, in target units. Every row counts the same, as it does in service."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from features.sphere import great_circle_m
from features.targets import AnyTarget, ClassTarget, PathTarget
from training.runtime.tasks.base import Predicted

FloatArray = NDArray[np.float64]


def compute_metrics(target: AnyTarget, truth: FloatArray, predicted: Predicted) -> dict[str, float]:
    """`point_metrics` and `region_metrics`."""
    points = point_metrics(target, truth, point_predictions(target, predicted))
    return points | region_metrics(target, truth, predicted)


def point_predictions(target: AnyTarget, predicted: Predicted) -> FloatArray:
    """Return the predictions without their regions, as baselines give theirs."""
    return predicted[point_name(target)]


def point_name(target: AnyTarget) -> str:
    """Name of that array in `Predicted`."""
    names = {"classification": "probability", "path": "position", "regression": "prediction"}
    return names[target.task]


def region_metrics(target: AnyTarget, truth: FloatArray, predicted: Predicted) -> dict[str, float]:
    """Return how often the regions hold the truth, and how large they are."""
    if isinstance(target, ClassTarget):
        return set_metrics(truth, predicted)
    if isinstance(target, PathTarget):
        return radius_metrics(truth, predicted)
    return band_metrics(truth, predicted)


def shown_metrics(target: AnyTarget) -> tuple[str, ...]:
    """Return the metrics that tables show, that of the contract first."""
    if isinstance(target, ClassTarget):
        return ("f1", "precision", "recall", "roc_auc")
    if isinstance(target, PathTarget):
        return ("mean_error_m", *(horizon_metric(time_s) for time_s in target.horizons_s))
    return tuple(dict.fromkeys((target.metric, "rmse", "mae")))


def horizon_metric(time_s: float) -> str:
    """Name of the mean error of a path so long after the last sample."""
    return f"mean_error_{time_s:g}_s_m"


def point_metrics(target: AnyTarget, truth: FloatArray, value: FloatArray) -> dict[str, float]:
    """Errors of predictions without their regions, by the kind of target.

    Args:
        target: of the contract.
        truth: the target's array.
        value: as `point_predictions` gives it: (n,), (n, classes) or (n, horizons, 3).
    """
    if isinstance(target, ClassTarget):
        return class_metrics(target, truth, value)
    if isinstance(target, PathTarget):
        return path_metrics(target, truth, value)
    return number_metrics(truth, value, target.metric)


def number_metrics(truth: FloatArray, value: FloatArray, metric: str = "mae") -> dict[str, float]:
    """Mean absolute, root mean square and median absolute percentage error of values (n,).

    Also `rmsle`, the root mean square of the difference of log(1 + value), where that is the metric.
    """
    error = value - truth
    # a truth of 0 has no percentage: its row is left out
    share = np.abs(error[truth != 0] / truth[truth != 0])
    found = {
        "mae": float(np.abs(error).mean()),
        "rmse": float(np.sqrt(np.square(error).mean())),
        "median_ape_percent": float(np.median(share)) * 100 if len(share) else 0.0,
    }
    if metric == "rmsle":
        found["rmsle"] = float(np.sqrt(np.square(np.log1p(value) - np.log1p(truth)).mean()))
    return found


def class_metrics(target: ClassTarget, truth: FloatArray, probability: FloatArray) -> dict[str, float]:
    """Return metrics of the positive class: precision, recall, F1, ROC AUC, counts, accuracy, log loss.

    What cannot be told, such as a recall without a positive truth, is left out.
    """
    from sklearn import metrics  # takes a second to import, and most workloads predict numbers

    column = target.classes.index(target.positive)
    is_true, is_predicted = truth == column, probability.argmax(axis=1) == column
    hits, false_alarms = int((is_true & is_predicted).sum()), int((~is_true & is_predicted).sum())
    misses, passes = int((is_true & ~is_predicted).sum()), int((~is_true & ~is_predicted).sum())
    found = {
        "true_positives": float(hits),
        "false_positives": float(false_alarms),
        "false_negatives": float(misses),
        "true_negatives": float(passes),
        "accuracy": float((probability.argmax(axis=1) == truth).mean()),
        "log_loss": float(metrics.log_loss(truth, probability, labels=np.arange(len(target.classes)))),
    }
    if hits + false_alarms:
        found["precision"] = hits / (hits + false_alarms)
    if hits + misses:
        found["recall"] = hits / (hits + misses)
        found["f1"] = 2 * hits / (2 * hits + false_alarms + misses)
        if false_alarms + passes:
            found["roc_auc"] = float(metrics.roc_auc_score(is_true, probability[:, column]))
    return found


def path_metrics(target: PathTarget, truth: FloatArray, position: FloatArray) -> dict[str, float]:
    """Mean great-circle error at each horizon and over all, and the mean absolute error of the altitude."""
    error_m = great_circle_m(position[..., :2], truth[..., :2])
    found = {"mean_error_m": float(np.nanmean(error_m))}
    for time_s, column in zip(target.horizons_s, error_m.T, strict=True):
        found[horizon_metric(time_s)] = float(np.nanmean(column))
    altitude_m = np.abs(position[..., 2] - truth[..., 2])
    if np.isfinite(altitude_m).any():
        found["mean_altitude_error_m"] = float(np.nanmean(altitude_m))
    return found


def band_metrics(truth: FloatArray, predicted: Predicted) -> dict[str, float]:
    """Share of truths inside the band, ends included, and its mean width."""
    lower, upper = predicted["lower"], predicted["upper"]
    inside = (lower <= truth) & (truth <= upper)
    return {"coverage": float(inside.mean()), "mean_width": float((upper - lower).mean())}


def set_metrics(truth: FloatArray, predicted: Predicted) -> dict[str, float]:
    """Share of truths in the set of classes, and its mean size."""
    member = predicted["member"]
    inside = member[np.arange(len(truth)), truth.astype(np.int64)]
    return {"coverage": float(inside.mean()), "mean_set_size": float(member.sum(axis=1).mean())}


def radius_metrics(truth: FloatArray, predicted: Predicted) -> dict[str, float]:
    """Share of true places inside the circles of all horizons, and their mean radius."""
    error_m = great_circle_m(predicted["position"][..., :2], truth[..., :2])
    known = np.isfinite(error_m)
    inside = error_m[known] <= predicted["radius_m"][known]
    return {"coverage": float(inside.mean()), "mean_radius_m": float(predicted["radius_m"].mean())}
