"""Which modules are mutated, which tests each runs, and which mutants are known to be equivalent."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from difflib import unified_diff
from itertools import islice
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict

from tests.mutants.operators import Mutation, mutations

# What decides: pure, or nearly so.
PACKAGES = (
    "features",
    "deployments/domain",
    "deployments/requests",
    "deployments/monitoring",
    "deployments/runtime",
    "deployments/lifecycle",
    "training/retraining",
    "training/runtime",
)
# At the edges, where Ray, MLflow, the operating system or a process of its own answers.
EDGES = (
    "deployments/lifecycle/ray_jobs.py",
    "deployments/lifecycle/registry.py",
    "deployments/monitoring/report.py",
    "deployments/monitoring/report_process.py",
    "deployments/runtime/cpu.py",
    "deployments/runtime/process_memory.py",
    "training/retraining/run.py",
    "training/runtime/artifact_server.py",
)
# These simulate a week, or a whole process, and hold claims rather than lines: a minute for each mutant.
SLOW = ("test_week.py", "test_demo_heal.py")


@dataclass(frozen=True)
class Mutant:
    """A module of the repository with one change."""

    module: str
    mutation: Mutation
    source: str
    changed: str

    @property
    def diff(self) -> str:
        """What is changed."""
        before, after = self.source.splitlines(), self.changed.splitlines()
        return "\n".join(unified_diff(before, after, self.module, self.module, n=1, lineterm=""))

    @property
    def lines(self) -> tuple[str, str]:
        """The changed lines, before and after, without their margins."""
        lines = self.diff.splitlines()[2:]
        return tuple(  # type: ignore[return-value]
            "\n".join(line[1:].strip() for line in lines if line.startswith(sign)) for sign in "-+"
        )


class Equivalent(BaseModel):
    """A mutant that no test can notice, and why."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    module: str
    before: str
    after: str
    reason: str


def modules(root: Path, packages: Sequence[str] = PACKAGES) -> list[str]:
    """Return the modules of the packages that are mutated, by path, in order."""
    found = {path for package in packages for path in _python_files(root, package)}
    return sorted(found - set(EDGES))


def sample(root: Path, paths: Iterable[str], count: int, seed: int) -> list[Mutant]:
    """Return mutants at so many different places, drawn at random; equal arguments give equal mutants."""
    places = []
    for path in paths:
        source = (root / path).read_text()
        places += [(path, source, there) for there in mutations(source)]
    generator = random.Random(seed)
    generator.shuffle(places)
    chosen = ((path, source, generator.choice(there)) for path, source, there in places)
    mutants = (Mutant(path, one, source, one.apply(source)) for path, source, one in chosen)
    return list(islice(filter(_compiles, mutants), count))


def covering_tests(root: Path, module: str) -> list[str]:
    """Return the unit tests that mirror the module: its own file first, then those beside it that import it.

    Where there are none, those of its package that import it, or else of any; or else all of its folder.
    """
    path = Path(module)
    folder = Path("tests/unit", path.parent)
    own = folder / f"test_{path.name}"
    importers = _importers(root, path)
    beside = {one for one in importers if one.parent == folder}
    beside |= {own} if (root / own).exists() else set()
    near = {one for one in importers if one.parts[2] == path.parts[0]}
    chosen = (
        beside or near or importers or {one.relative_to(root) for one in (root / folder).glob("test_*.py")}
    )
    chosen = {one for one in chosen if one == own or one.name not in SLOW}
    return [str(one) for one in sorted(chosen, key=lambda one: (one != own, one))]


def equivalents(path: Path) -> dict[tuple[str, str, str], str]:
    """Return the reasons by module, line before and line after."""
    known = [Equivalent.model_validate(one) for one in yaml.safe_load(path.read_text()) or ()]
    return {(one.module, one.before, one.after): one.reason for one in known}


def _compiles(mutant: Mutant) -> bool:
    with suppress(SyntaxError):
        compile(mutant.changed, mutant.module, "exec")
        return True
    return False


def _python_files(root: Path, package: str) -> set[str]:
    start = root / package
    files = [start] if start.is_file() else start.rglob("*.py")
    return {str(file.relative_to(root)) for file in files if file.name != "__init__.py"}


def _importers(root: Path, module: Path) -> set[Path]:
    package, name = ".".join(module.parent.parts), module.stem
    imports = re.compile(rf"(from {package}\.{name} import|from {package} import .*\b{name}\b)")
    return {
        file.relative_to(root)
        for file in (root / "tests" / "unit").rglob("test_*.py")
        if imports.search(file.read_text())
    }
