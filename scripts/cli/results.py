"""`raysonde results`: a page that shows all arms and the baselines side by side on recorded data."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from scripts.cli.common.options import WorkloadsOption
from scripts.host.failure import exit_on

if TYPE_CHECKING:
    from features.contract import Contract
    from scripts.replay.results_page import Section
    from training.runtime.inference import Model
    from training.runtime.settings import Settings


def results(
    workload: Annotated[str | None, typer.Argument(help="Only this workload.")] = None,
    file: Annotated[list[Path] | None, typer.Argument(help="Its recorded data, CSV or Parquet.")] = None,
    data: Annotated[
        Path | None, typer.Option(help="Directory with a folder of recorded data for each workload.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="The Markdown page to write, whole; else docs/benchmarks/results.md, or results.md here."
        ),
    ] = None,
    workloads: WorkloadsOption = None,
) -> None:
    """Compare the champions of all arms with the baselines on recorded data; needs no running system.

    The page has a section for each workload that has models and a file in --data, or for the one that is
    named. Examples:

        raysonde results --data recorded

        raysonde results apogee flights.parquet
    """
    from scripts.launcher.user_workloads import settings_with
    from scripts.replay.results_page import page
    from training.registry.errors import RegistryUnreadable
    from training.runtime.errors import BundleError

    console = Console()
    settings = settings_with(workloads)
    with exit_on(console, "results", BundleError, OSError, RegistryUnreadable, ValueError):
        files = _files(console, settings, workload, tuple(file or ()), data)
        sections = []
        for name, paths in files.items():
            with console.status(f"Asking the champions of {name} about {_names(paths)}"):
                sections.append(_section(settings, name, paths))
    written = out or _default_page()
    command = sections[0].command if data is None else f"raysonde results --data {shlex.quote(str(data))}"
    written.parent.mkdir(parents=True, exist_ok=True)
    written.write_text(page(sections, command))
    console.print(f"written to {written}", highlight=False)


def _default_page() -> Path:
    """Return the page of the checkout, or one in the current folder where there is none."""
    from features.locations import checkout

    source = checkout()
    return source / "docs" / "benchmarks" / "results.md" if source else Path("results.md")


def _files(
    console: Console, settings: Settings, workload: str | None, given: tuple[Path, ...], data: Path | None
) -> dict[str, tuple[Path, ...]]:
    """Return the recorded files of each workload that the page is about.

    Raises:
        ValueError: the arguments are neither a workload with its file nor a directory; or nothing is there.
    """
    from features.config import known_workloads
    from scripts.replay.recordings import find_recorded

    if data is None:
        if workload is None or not given:
            raise ValueError("expected a workload and its file, or --data with a directory for all of them")
        return {workload: given}
    if given:
        raise ValueError(f"--data: got a directory and the file {given[0]}, expected one of them")
    names = [workload] if workload else known_workloads(settings.workloads)
    files = {}
    for name in names:
        paths = find_recorded(settings.workloads, name, data)
        missing = None if paths else "no recorded file"
        if not missing and not _has_models(settings, name):
            missing = f"no model yet, `raysonde train {name}` makes them"
        if missing:
            console.print(f"{name} is left out: {missing}", highlight=False)
        else:
            files[name] = paths
    if not files:
        raise ValueError(f"nothing to compare in {data}")
    return files


def _names(paths: Sequence[Path]) -> str:
    return ", ".join(path.name for path in paths)


def _has_models(settings: Settings, workload: str) -> bool:
    from training.registry.listing import list_champions

    return bool(list_champions(settings, workload))


def _section(settings: Settings, workload: str, paths: Sequence[Path]) -> Section:
    from features.config import load_contract
    from scripts.replay.offline_evaluation import evaluate
    from scripts.replay.recordings import load_records, split_recordings
    from scripts.replay.reports.base import load_report
    from scripts.replay.results_page import Section

    contract = load_contract(settings.workloads, workload)
    report = load_report(settings.workloads, contract)
    models = _champions(settings, contract)
    cards = {arm: model.bundle.card for arm, model in models.items()}
    tables = []
    for group in [[path] for path in paths] if report.by_file else [paths]:
        records = load_records(settings.workloads, contract, *group)
        predictions = evaluate(contract, split_recordings(contract, records), models)
        found = report.tables(contract, predictions, list(models))
        if report.more is not None:
            found += report.more(contract, records, cards)
        about = f"{group[0].stem}: " if report.by_file and len(paths) > 1 else ""
        tables += [replace(table, title=about + table.title) for table in found]
    command = shlex.join(["raysonde", "results", workload, *map(str, paths)])
    return Section(contract, report.about, tables, cards, command)


def _champions(settings: Settings, contract: Contract) -> dict[str, Model]:
    """Load the champion of every arm that has one.

    Raises:
        ValueError: there is none at all.
    """
    from deployments.lifecycle.bundle_cache import BundleCache
    from training.registry.listing import list_champions
    from training.runtime.inference import load_model

    champions = list_champions(settings, contract.workload)
    if not champions:
        raise ValueError(
            f"no model of {contract.workload} yet: `raysonde train {contract.workload}` makes them"
        )
    cache = BundleCache(settings.bundle_cache, contract, settings.registry_uri)
    return {
        arm: load_model(cache.fetch(version.bundle, version.source)) for arm, version in champions.items()
    }
