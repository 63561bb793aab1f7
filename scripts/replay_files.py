"""The files that a replay leaves: `replay.csv`, `predictions.csv`."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from pathlib import Path

from features.contract import Contract
from scripts.marks import Mark
from scripts.replay_player import Played


def write_marks(path: Path, contract: Contract, marks: Sequence[Mark]) -> None:
    """A row a log, arm and fraction; empty cells where there was no prediction."""
    header = [contract.entity, "source", "arm", "fraction", "prediction", "lower", "upper"]
    header += [contract.target.name, "ape_percent"]
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        for mark in marks:
            said = mark.prediction
            values = [said.value, said.lower, said.upper] if said else [math.nan] * 3
            writer.writerow(
                [
                    mark.recording.entity,
                    mark.recording.source,
                    mark.arm,
                    mark.fraction,
                    *map(_cell, values),
                    _cell(mark.recording.truth),
                    _cell(mark.ape_percent),
                ]
            )


def write_predictions(path: Path, contract: Contract, played: Played) -> None:
    """A row a window and arm that was answered."""
    header = [contract.entity, "source", "arm", "end_s", "id", "prediction", "lower", "upper"]
    header += [contract.target.name, "answered_by", "model_version", "bundle", "fallback", "latency_ms"]
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        for answer in sorted(played.answers, key=lambda a: (a.recording.title, a.arm, a.end_s)):
            said = answer.prediction
            writer.writerow(
                [
                    answer.recording.entity,
                    answer.recording.source,
                    answer.arm,
                    _cell(answer.end_s),
                    said.id,
                    *map(_cell, (said.value, said.lower, said.upper)),
                    _cell(answer.recording.truth),
                    said.arm,
                    said.model_version,
                    said.bundle,
                    said.fallback,
                    f"{answer.latency_s * 1000:.2f}",
                ]
            )


def _cell(value: float) -> str:
    # repr: read back as the very number that the system gave
    return "" if math.isnan(value) else repr(float(value))
