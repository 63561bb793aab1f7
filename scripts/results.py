"""`raysonde results`: a page that shows all arms and the baselines side by side on recorded data."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from deployments.model_cache import BundleCache
from features.config import load_contract
from features.contract import Contract
from scripts.evaluation import evaluate
from scripts.recordings import load_recordings
from scripts.results_page import page
from training.errors import BundleError
from training.inference import Model, load_model
from training.settings import REPOSITORY, Settings


def results(
    workload: Annotated[str, typer.Argument(help="Which workload, for example apogee.")],
    file: Annotated[Path, typer.Argument(help="Recorded data, CSV or Parquet.")],
    out: Annotated[Path, typer.Option(help="The Markdown page to write.")] = REPOSITORY
    / "docs"
    / "results.md",
) -> None:
    """Compare the champions of all arms with the baselines on recorded data; needs no running system.

    Example:

        raysonde results apogee flights.parquet
    """
    console = Console()
    settings = Settings.from_environment()
    try:
        contract = load_contract(settings.workloads, workload)
        recordings = load_recordings(contract, file)
        with console.status("Loading the champions and asking them about every window"):
            models = _champions(settings, contract)
            predictions = {recording: evaluate(contract, recording, models) for recording in recordings}
    except (BundleError, OSError, ValueError) as error:
        console.print(f"[bold red]results:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        raise typer.Exit(1) from error
    command = f"raysonde results {workload} {shlex.quote(str(file))}"
    out.parent.mkdir(parents=True, exist_ok=True)
    cards = {arm: model.bundle.card for arm, model in models.items()}
    out.write_text(page(contract, predictions, cards, command))
    console.print(f"written to {out}", highlight=False)


def _champions(settings: Settings, contract: Contract) -> dict[str, Model]:
    """The champion of every arm that has one.

    Raises:
        ValueError: there is none at all.
    """
    from training.registry import Registry  # MLflow takes seconds to import

    champions = Registry(settings).champions(contract.workload)
    if not champions:
        raise ValueError(
            f"no model of {contract.workload} yet: `raysonde train {contract.workload}` makes them"
        )
    cache = BundleCache(settings.bundle_cache, contract)
    return {
        arm: load_model(cache.fetch(version.bundle, version.source)) for arm, version in champions.items()
    }
