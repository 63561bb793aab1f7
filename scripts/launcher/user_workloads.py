"""A user's own workloads: a directory with a YAML file and a Python module of each.

The directory goes on the import path of this process and, by the environment, of every process that it
starts: Ray's workers and Serve's replicas import the modules by their names as this one does.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from features.config import BUILT_IN, load_sections
from training.runtime.settings import Settings

_VARIABLE = "RAYSONDE_WORKLOADS"
_PYTHON_PATH = "PYTHONPATH"


def settings_with(workloads: Path | None) -> Settings:
    """Return the settings of this process; workloads are those of the directory and the built-in ones."""
    if workloads is None:
        return Settings.from_environment()
    directory = workloads.resolve()
    os.environ[_VARIABLE] = str(directory)
    if directory != BUILT_IN:
        before = [entry for entry in os.environ.get(_PYTHON_PATH, "").split(os.pathsep) if entry]
        os.environ[_PYTHON_PATH] = os.pathsep.join(dict.fromkeys([str(directory), *before]))
        if str(directory) not in sys.path:
            sys.path.insert(0, str(directory))
    return Settings.from_environment()


def workers_runtime_env() -> dict[str, Any] | None:
    """Return what `ray.init` at a running cluster needs: its workers inherit nothing from this process."""
    variables = {name: os.environ[name] for name in (_VARIABLE, _PYTHON_PATH) if name in os.environ}
    return {"env_vars": variables} if _VARIABLE in variables else None


def require_modules(settings: Settings, workload: str) -> None:
    """Check that every module that the workload's YAML file names can be found.

    Raises:
        FileNotFoundError: no such workload, or a module that it names is in no place; says where it was
            looked for.
        ValueError: the file is not one of a workload.
    """
    for key, name in _modules(load_sections(settings.workloads, workload)):
        if not _is_there(name):
            file = settings.workloads / Path(*name.split(".")).with_suffix(".py")
            raise FileNotFoundError(
                f"{workload}.yaml, {key}: no module {name!r}: looked for {file} and among what is installed"
            )


def _modules(sections: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Key in the YAML file and dotted name of each module; what is malformed is for the schemas to tell."""
    training = sections.get("training") or {}
    named = [("contract.module", (sections["contract"] or {}).get("module"))]
    named.append(("training.source.module", (training.get("source") or {}).get("module")))
    named += [("training.baselines", name) for name in training.get("baselines") or ()]
    # without a dot it is a family of training.families
    named += [("training.families", name) for name in training.get("families") or () if "." in str(name)]
    yield from ((key, name) for key, name in named if isinstance(name, str) and name)


def _is_there(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:  # of the package that it would be in
        return False
