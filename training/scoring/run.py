"""Scoring with Ray Data: an actor a core, each with a model of its own. The only Ray code of scoring."""

from __future__ import annotations

import logging
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import ray
from numpy.typing import NDArray
from ray.exceptions import RayError

from features.contract import Contract
from training.runtime.bundle import BundleParts
from training.runtime.inference import Model
from training.scoring.errors import ScoringFailed
from training.scoring.parts import Manifest, Parts, discard, write_part
from training.scoring.plan import (
    ROWS_PER_PART,
    Ranges,
    Records,
    RecordsReader,
    open_records,
    plan_parts,
    rows_in,
)
from training.scoring.scorer import Scorer, Stamp
from training.sources.base import Progress

Batch = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Scored:
    """The result of scoring an input.

    Attributes:
        answers: rows written.
        errors: how many of them say what is wrong in place of a prediction.
    """

    answers: int
    errors: int


def score_file(
    contract: Contract,
    bundle: BundleParts,
    stamp: Stamp,
    source: Path,
    output: Path,
    progress: Progress,
    *,
    fresh: bool = False,
    rows_per_part: int = ROWS_PER_PART,
) -> Scored:
    """Answer all records of `source`, a Parquet file or a folder of them, into `output`.

    Ray must run; every node has to see both under these paths. What is done is kept part by part, and a
    second call goes on from there.

    Args:
        progress: called with the records that are done, those of earlier calls included.
        fresh: do not go on, and replace an output.

    Raises:
        FieldError, ValueError: the records are not what the contract says.
        FileExistsError: the output is there already.
        OtherRun: parts of another model or input are.
        ScoringFailed: an actor did.
    """
    records = open_records(contract, source)
    plan = plan_parts(contract, records, rows_per_part)
    if not plan:
        raise ValueError(f"{source}: got no rows, expected one at least")
    if fresh:
        discard(output)
    parts = Parts(output, _manifest(contract, stamp, records, rows_per_part, len(plan)))
    _score_missing(_Work(bundle, stamp, records, plan, parts.folder), parts.missing, progress)
    return Scored(*parts.finish())


def _manifest(contract: Contract, stamp: Stamp, records: Records, rows_per_part: int, parts: int) -> Manifest:
    return Manifest(
        workload=contract.workload,
        arm=stamp.arm,
        model_version=stamp.model_version,
        bundle=stamp.bundle,
        rows_per_part=rows_per_part,
        parts=parts,
        files=records.files,
    )


@dataclass(frozen=True)
class _Work:
    """The arguments of a scoring actor."""

    bundle: BundleParts
    stamp: Stamp
    records: Records
    plan: list[Ranges]
    folder: Path

    def size(self, part: int) -> int:
        """Return the number of records in a part."""
        return int(np.diff(self.plan[part]).sum())


class _PartScorer:
    """The actor: takes numbers of parts, writes their answers."""

    def __init__(self, work: _Work) -> None:
        model = Model(work.bundle)
        model.check_golden()
        self._work = work
        self._scorer = Scorer(model, work.stamp)
        self._reader = RecordsReader(work.records)

    def __call__(self, batch: Batch) -> Batch:
        for part in batch["part"].tolist():
            rows = rows_in(self._work.plan[part])
            write_part(self._work.folder, part, self._scorer.answers(self._reader.read(rows), rows))
        return batch


def _score_missing(work: _Work, missing: list[int], progress: Progress) -> None:
    total = work.records.rows
    done = total - sum(map(work.size, missing))
    progress(done, total)
    if not missing:
        return
    _silence()
    actors = min(len(missing), max(int(ray.cluster_resources().get("CPU", 1)), 1))
    dataset = ray.data.from_items([{"part": part} for part in missing], override_num_blocks=len(missing))
    with warnings.catch_warnings():
        # Ray 2.60 deprecates `max_restarts` here and has nothing in its place yet
        warnings.simplefilter("ignore", DeprecationWarning)
        scored = dataset.map_batches(
            _PartScorer,
            batch_size=1,
            num_cpus=1,
            compute=ray.data.ActorPoolStrategy(size=actors),
            fn_constructor_args=(work,),
            # else Ray writes an error of its own at each start; a second call goes on without the dead actor
            max_restarts=0,
        )
    try:
        for row in scored.iter_rows():
            done += work.size(row["part"])
            progress(done, total)
    except RayError as error:
        # the first line is Ray's, the last one what went wrong
        reason = str(error).strip().splitlines()[-1]
        raise ScoringFailed(f"{reason}; the parts that are done are kept") from error


def _silence() -> None:
    """Ray Data draws bars and logs plans on the terminal of whoever asks."""
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
