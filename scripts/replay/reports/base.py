"""The protocol of a report, and the choice of a workload's report."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from features.contract import Contract
from scripts.replay.horizon_errors import Predictions
from scripts.replay.recordings import recorded_config
from scripts.replay.text_tables import TextTable

if TYPE_CHECKING:
    import pandas as pd

    from training.runtime.bundle import Card

# records of a file and the cards of the arms -> tables of more than what models say about each case
MoreTables = Callable[[Contract, "pd.DataFrame", Mapping[str, "Card"]], list[TextTable]]


@runtime_checkable
class Report(Protocol):
    """Scores what arms, and baselines beside them, predict about recordings.

    Attributes:
        about: for the page: what was recorded, and what of it the models may have seen.
        by_file: whether each file has tables of its own, rather than all files together.
        more: tables for the page that only this workload has; None for none.
    """

    @property
    def about(self) -> str: ...  # noqa: D102

    @property
    def by_file(self) -> bool: ...  # noqa: D102

    @property
    def more(self) -> MoreTables | None: ...  # noqa: D102

    def best(self, contract: Contract, predictions: Predictions, arms: Sequence[str]) -> str:
        """Return the arm that did best."""
        ...

    def headline(self, contract: Contract, predictions: Predictions, arms: Sequence[str]) -> TextTable:
        """Errors side by side."""
        ...

    def tables(self, contract: Contract, predictions: Predictions, arms: Sequence[str]) -> list[TextTable]:
        """Return all tables of the page, the headline first."""
        ...

    def write(self, path: Path, contract: Contract, predictions: Predictions) -> None:
        """Write the scores as CSV."""
        ...

    def draw(
        self, directory: Path, contract: Contract, predictions: Predictions, best: str
    ) -> Iterator[Path]:
        """Pictures, one after the other."""
        ...


def load_report(workloads: Path, contract: Contract) -> Report:
    """Load the report that the YAML file names, else that in `scripts.replay.reports`, else `each`.

    Raises:
        TypeError: the module named has no `REPORT`, or that is none.
    """
    from scripts.replay.reports.each import EachReport

    name = recorded_config(workloads, contract.workload).report
    if name is None:
        name = f"scripts.replay.reports.{contract.workload}"
        if find_spec(name) is None:
            return EachReport()
    found = getattr(import_module(name), "REPORT", None)
    if not isinstance(found, Report):
        raise TypeError(
            f"{name}.REPORT: got {type(found).__name__}, expected a scripts.replay.reports.base.Report"
        )
    return found
