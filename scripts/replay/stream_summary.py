"""The summary of a stream: rates, errors and latencies by arm."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.console import Console

from features.contract import Contract
from features.workload import load_workload
from scripts.replay.client import Prediction
from scripts.replay.csv_cells import answer_cells, answer_columns, truth_cells, truth_columns
from scripts.replay.horizon_errors import TimedPrediction
from scripts.replay.player import Failure
from scripts.replay.scores import score_predictions
from scripts.replay.stream_player import SentRequest, Streamed
from scripts.replay.summary import show_failures, show_truths
from scripts.replay.text_tables import TextTable, number
from training.runtime.tasks.factory import make_task

QUANTILES = (50, 95, 99)


def stream_table(contract: Contract, sent: Sequence[SentRequest]) -> TextTable:
    """Return a row an arm that answered, one for what none answered, and one for all."""
    elapsed_s = max((one.ended_s for one in sent), default=0.0)
    groups: dict[str, list[SentRequest]] = {}
    for one in sent:
        answered = isinstance(one.outcome, Prediction)
        groups.setdefault(one.outcome.arm if answered else "no answer", []).append(one)
    metric = contract.target.metric
    rows = [_row(contract, name, groups[name], elapsed_s) for name in sorted(groups)]
    if len(groups) != 1 or not sent:
        rows.append(_row(contract, "all", sent, elapsed_s))
    header = ("", "requests", "per s", "errors", *(f"p{q}" for q in QUANTILES), metric)
    title = f"{len(sent):,} requests in {elapsed_s:.1f} s, latencies in ms"
    return TextTable(title, header, tuple(rows))


def _row(contract: Contract, name: str, sent: Sequence[SentRequest], elapsed_s: float) -> tuple[str, ...]:
    task, target = make_task(contract, load_workload(contract)), contract.target
    answered = [(one, one.outcome) for one in sent if isinstance(one.outcome, Prediction)]
    latencies_ms = [1000 * one.latency_s for one, _ in answered]
    quantiles = np.percentile(latencies_ms, QUANTILES) if answered else [math.nan] * len(QUANTILES)
    answers = [
        TimedPrediction(one.case.end_s, task.to_arrays(answer.row), one.case.target)
        for one, answer in answered
    ]
    return (
        name,
        f"{len(sent):,}",
        number(len(sent) / elapsed_s if elapsed_s else math.nan),
        f"{100 * (1 - len(answered) / len(sent)):.3g} %" if sent else "-",
        *(number(float(value)) for value in quantiles),
        number(score_predictions(answers, target).error(target.metric)),
    )


def show_stream(console: Console, contract: Contract, streamed: Streamed, dropped_truths: int) -> None:
    """Show the table, how late the client itself was, the truths, and the reasons of failures."""
    console.print(stream_table(contract, streamed.sent).rich("all"))
    if streamed.sent:
        late_ms = 1000 * float(np.percentile([one.sent_s - one.due_s for one in streamed.sent], 99))
        fallbacks = sum(isinstance(one.outcome, Prediction) and one.outcome.fallback for one in streamed.sent)
        console.print(
            f"latencies count from when a request was due; 99 % were sent within {late_ms:.0f} ms of it\n"
            f"answered by a fallback: {fallbacks}",
            highlight=False,
        )
    show_truths(console, streamed.feedback, streamed.truth_failures)
    if dropped_truths:
        console.print(f"{dropped_truths} truths were not due yet and were not sent", highlight=False)
    show_failures(console, [one.outcome for one in streamed.sent if isinstance(one.outcome, Failure)])


def write_stream(path: Path, contract: Contract, sent: Sequence[SentRequest]) -> None:
    """Write a row a request, by number; empty cells where there was no answer."""
    header = ["request", contract.entity, "due_s", "sent_s", "latency_ms", "status", "arm", "prediction_id"]
    header += [*answer_columns(contract.target), *truth_columns(contract.target)]
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        for one in sorted(sent, key=lambda s: s.number):
            times = [f"{one.due_s:.4f}", f"{one.sent_s:.4f}", f"{1000 * one.latency_s:.2f}"]
            outcome = one.outcome
            if isinstance(outcome, Failure):
                answer = [outcome.status or "", outcome.arm, "", *[""] * len(answer_columns(contract.target))]
            else:
                answer = [200, outcome.arm, outcome.id, *answer_cells(contract.target, outcome.row)]
            truth = truth_cells(contract.target, one.case.target)
            writer.writerow([one.number, one.case.recording.entity, *times, *answer, *truth])
