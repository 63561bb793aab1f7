"""Running mirrored tests on mutants, each in a copy of the repository: the working tree is not touched."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Literal

from cosmic_ray.testing import run_tests
from cosmic_ray.work_item import TestOutcome

from tests.mutants.plan import Mutant, covering_tests

Outcome = Literal["killed", "survived", "timeout"]

_LONGEST_S = 900.0


@dataclass(frozen=True)
class TestedMutant:
    """A mutant, and what its tests said of it."""

    mutant: Mutant
    outcome: Outcome


class UnmutatedFails(RuntimeError):
    """The tests of a module fail without any mutant: they cannot tell one."""


def copy_of(root: Path, folder: Path) -> Path:
    """Copy what git knows, or would take, of the repository; the copy."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        check=True,
        capture_output=True,
        text=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (root / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, folder / name)
    return folder


class MutantRunner:
    """Runs the tests of mutants, as many at once as there are copies.

    Args:
        copies: of the repository; each is as it was when a mutant has been tested.
        seed: of Hypothesis, so that a mutant is tested by the same examples each time.
        show: takes a line of progress.
    """

    def __init__(self, copies: Sequence[Path], seed: int, show: Callable[[str], None]) -> None:
        self._root = copies[0]
        self._seed = seed
        self._show = show
        self._workers = len(copies)
        self._free: SimpleQueue[Path] = SimpleQueue()
        for copy in copies:
            self._free.put(copy)

    def run(self, mutants: Sequence[Mutant]) -> list[TestedMutant]:
        """Run the tests of all of them.

        Raises:
            UnmutatedFails: of some module without a mutant.
        """
        paths = sorted({mutant.module for mutant in mutants})
        with ThreadPoolExecutor(self._workers) as pool:
            limits_s = dict(zip(paths, pool.map(self._limit_s, paths), strict=True))
            return list(pool.map(lambda one: self._run_tests(one, limits_s[one.module]), mutants))

    def _limit_s(self, module: str) -> float:
        """The time after which a mutant of the module hangs."""
        copy = self._free.get()
        try:
            began_s = time.monotonic()
            outcome, output = self._run(copy, module, _LONGEST_S)
        finally:
            self._free.put(copy)
        if outcome != "survived":
            raise UnmutatedFails(f"{module}: its tests fail without a mutant ({outcome}):\n{output}")
        self._show(f"passes    {module}")
        # another mutant beside it, and a machine that does more, make it slower
        return 30.0 + 4 * (time.monotonic() - began_s)

    def _run_tests(self, mutant: Mutant, limit_s: float) -> TestedMutant:
        copy = self._free.get()
        path = copy / mutant.module
        try:
            path.write_text(mutant.changed)
            outcome, _ = self._run(copy, mutant.module, limit_s)
        finally:
            path.write_text(mutant.source)
            self._free.put(copy)
        line = f"{outcome:9} {mutant.module}:{mutant.mutation.line}  {mutant.mutation.operator}"
        self._show(f"{line}\n{mutant.diff}" if outcome == "survived" else line)
        return TestedMutant(mutant, outcome)

    def _run(self, copy: Path, module: str, limit_s: float) -> tuple[Outcome, str]:
        command = [
            *("env", f"--chdir={copy}", f"PYTHONPATH={copy}", "OMP_NUM_THREADS=1"),
            *(sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"),
            *(
                "--hypothesis-profile=mutants",
                f"--hypothesis-seed={self._seed}",
                "-k",
                "not postgresql",
                *covering_tests(self._root, module),
            ),
        ]
        outcome, output = run_tests(shlex.join(command), limit_s)
        if outcome is TestOutcome.SURVIVED:
            return "survived", output
        return ("timeout" if output == "timeout" else "killed"), output
