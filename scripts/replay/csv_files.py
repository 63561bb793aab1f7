"""The files that a replay leaves: `replay.csv`, `predictions.csv`."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from pathlib import Path

from features.contract import Contract
from scripts.replay.csv_cells import (
    answer_cells,
    answer_columns,
    array_cells,
    cell,
    cells,
    error_cells,
    error_columns,
    truth_cells,
    truth_columns,
)
from scripts.replay.horizon_errors import HorizonError, Predictions
from scripts.replay.player import Played
from training.scoring.columns import array_columns


def write_horizon_errors(path: Path, contract: Contract, horizon_errors: Sequence[HorizonError]) -> None:
    """Write a row a log, arm and fraction; empty cells where there was no prediction."""
    header = [contract.entity, "source", "arm", "fraction", "prediction", "lower", "upper"]
    header += [contract.target.name, "ape_percent"]
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        for one in horizon_errors:
            prediction = one.prediction
            values = [prediction.value, prediction.lower, prediction.upper] if prediction else [math.nan] * 3
            writer.writerow(
                [
                    one.recording.entity,
                    one.recording.source,
                    one.arm,
                    one.fraction,
                    *cells(values),
                    cell(one.recording.truth),
                    cell(one.ape_percent),
                ]
            )


def write_each(path: Path, contract: Contract, predictions: Predictions) -> None:
    """Write a row a case and arm; an unknown truth is empty, and so is the region of a rule."""
    target = contract.target
    header = [contract.entity, "source", *_when(contract), "arm", *array_columns(target)]
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*header, *truth_columns(target), *error_columns(target)])
        for recording, by_arm in predictions.items():
            for arm, answers in by_arm.items():
                for one in sorted(answers, key=lambda p: p.end_s):
                    when = [cell(one.end_s)] if contract.window else []
                    values = [*array_cells(target, one.arrays), *truth_cells(target, one.target)]
                    errors = error_cells(target, one.arrays, one.target)
                    writer.writerow([recording.entity, recording.source, *when, arm, *values, *errors])


def write_predictions(path: Path, contract: Contract, played: Played) -> None:
    """Write a row a case and arm that was answered, with all that the answer holds."""
    key = "id" if contract.entity != "id" else "prediction_id"
    header = [contract.entity, "source", "arm", *_when(contract), key, *answer_columns(contract.target)]
    header += truth_columns(contract.target)
    header += ["answered_by", "model_version", "bundle", "fallback", "latency_ms"]
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        for answer in sorted(played.answers, key=lambda a: (a.case.recording.title, a.arm, a.case.end_s)):
            prediction, case = answer.prediction, answer.case
            writer.writerow(
                [
                    case.recording.entity,
                    case.recording.source,
                    answer.arm,
                    *([cell(case.end_s)] if contract.window else []),
                    prediction.id,
                    *answer_cells(contract.target, prediction.row),
                    *truth_cells(contract.target, case.target),
                    prediction.arm,
                    prediction.model_version,
                    prediction.bundle,
                    prediction.fallback,
                    f"{answer.latency_s * 1000:.2f}",
                ]
            )


def _when(contract: Contract) -> list[str]:
    return ["end_s"] if contract.window else []
