"""The YAML file of a workload: `contract`, `training`, `routing`, and if need be `monitoring`, `retraining`.

Files are looked for in a user's own directory first, then among those that come with the project.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from features.locations import configs

if TYPE_CHECKING:
    from features.contract import Contract

BUILT_IN = configs() / "workloads"
# ten times as fast as the one in Python, where PyYAML was built with it
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def load_sections(directory: Path, workload: str) -> dict[str, Any]:
    """Load the file `workload.yaml` of `directory`, else the built-in one.

    Raises:
        FileNotFoundError: there is none; the message lists those there are.
        ValueError: the file is not one of a workload, or not YAML.
    """
    path = next((p for p in _paths(directory, workload) if p.is_file()), None)
    if path is None:
        raise FileNotFoundError(
            f"no workload {workload!r} in {directory}; there are {known_workloads(directory)}"
        )
    sections = _parsed(path)
    if not isinstance(sections, dict) or "contract" not in sections:
        raise ValueError(f"{path}: expected the sections contract, training and routing")
    return sections


def load_contract(directory: Path, workload: str) -> Contract:
    """Load the contract of a workload, validated."""
    # with it come pydantic and numpy, which whoever only asks for paths or names can do without
    from features.contract import Contract

    return Contract.model_validate(load_sections(directory, workload)["contract"])


def known_workloads(directory: Path) -> list[str]:
    """Names of the workloads of `directory` and of the built-in ones."""
    return sorted({*own_workloads(directory), *(path.stem for path in BUILT_IN.glob("*.yaml"))})


def own_workloads(directory: Path) -> list[str]:
    """Names of the workloads in a user's directory; other YAML files may lie there too."""
    if directory == BUILT_IN:
        return []
    return sorted(path.stem for path in directory.glob("*.yaml") if _has_contract(path))


def _paths(directory: Path, workload: str) -> tuple[Path, Path]:
    return directory / f"{workload}.yaml", BUILT_IN / f"{workload}.yaml"


def _parsed(path: Path) -> Any:
    text = path.read_text()
    with suppress(yaml.YAMLError):  # the other loader says better what is wrong
        return yaml.load(text, _LOADER)
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(f"{path}: not YAML: {' '.join(str(error).split())}") from error


def _has_contract(path: Path) -> bool:
    """Return whether a file is meant as a workload; one that cannot be read is, for its error to name it."""
    try:
        sections = _parsed(path)
    except ValueError:
        return True
    return isinstance(sections, dict) and "contract" in sections
