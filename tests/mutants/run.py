"""Running mirrored tests on mutants, each in a copy of the repository: the working tree is not touched."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Literal
from xml.etree import ElementTree

from cosmic_ray.testing import run_tests
from cosmic_ray.work_item import TestOutcome

from tests.mutants.plan import Mutant, covering_tests

Outcome = Literal["killed", "survived", "timeout"]

_LONGEST_S = 3600.0  # of all tests, on a machine that does more
_QUICK_S = 0.5
_PLUGINS = ("no:cacheprovider", "pytest_asyncio.plugin", "pytest_timeout", "_hypothesis_pytestplugin")


@dataclass(frozen=True)
class TestedMutant:
    """A mutant, and what its tests said of it."""

    mutant: Mutant
    outcome: Outcome


class UnmutatedFails(RuntimeError):
    """The tests fail without any mutant: they cannot tell one."""


@dataclass(frozen=True)
class Passed:
    """Unit tests that pass without a mutant.

    Attributes:
        functions_s: how long each function took, by its file, in the order of the file.
        start_s: what a run takes beside its tests.
    """

    functions_s: dict[str, dict[str, float]]
    start_s: float

    def plan(self, files: Iterable[str]) -> tuple[list[str], float]:
        """Return the functions of the files, those that take long last; and after how long a run hangs."""
        functions = {one: took_s for file in files for one, took_s in self.functions_s[file].items()}
        # another mutant beside it, and a machine that does more, make it slower
        limit_s = 30.0 + 4 * (self.start_s + sum(functions.values()))
        return sorted(functions, key=lambda one: functions[one] > _QUICK_S), limit_s


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
            UnmutatedFails: tests of some module, without a mutant.
        """
        tests = {path: covering_tests(self._root, path) for path in {mutant.module for mutant in mutants}}
        files = sorted({file for some in tests.values() for file in some})
        parts = [files[number :: self._workers] for number in range(self._workers)]
        with ThreadPoolExecutor(self._workers) as pool:
            passed = list(pool.map(self._pass, filter(None, parts)))
            known = Passed(
                {file: took for one in passed for file, took in one.functions_s.items()},
                max(one.start_s for one in passed),
            )
            self._show(f"{sum(map(len, known.functions_s.values()))} tests pass without a mutant")
            return list(pool.map(lambda one: self._run_tests(one, *known.plan(tests[one.module])), mutants))

    def _pass(self, files: Sequence[str]) -> Passed:
        """Run tests without a mutant, all files at once: imports take as long as many tests."""
        copy = self._free.get()
        try:
            with tempfile.TemporaryDirectory() as folder:
                report = Path(folder) / "report.xml"
                began_s = time.monotonic()
                # later runs read the compiled modules of this one; they are out of date for what is mutated
                outcome, output = self._run(
                    copy, files, _LONGEST_S, ("PYTHONDONTWRITEBYTECODE=",), (f"--junitxml={report}",)
                )
                took_s = time.monotonic() - began_s
                if outcome != "survived":
                    raise UnmutatedFails(f"tests fail without a mutant ({outcome}):\n{output}")
                functions_s = _durations(report, files)
        finally:
            self._free.put(copy)
        return Passed(functions_s, took_s - sum(sum(one.values()) for one in functions_s.values()))

    def _run_tests(self, mutant: Mutant, tests: Sequence[str], limit_s: float) -> TestedMutant:
        copy = self._free.get()
        path = copy / mutant.module
        times = path.stat()
        try:
            path.write_text(mutant.changed)
            # what was compiled of a source counts for any of the same second and size
            os.utime(path, (times.st_atime, times.st_mtime + 2))
            outcome, _ = self._run(copy, tests, limit_s)
        finally:
            path.write_text(mutant.source)
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
            self._free.put(copy)
        line = f"{outcome:9} {mutant.module}:{mutant.mutation.line}  {mutant.mutation.operator}"
        self._show(f"{line}\n{mutant.diff}" if outcome == "survived" else line)
        return TestedMutant(mutant, outcome)

    def _run(
        self,
        copy: Path,
        tests: Sequence[str],
        limit_s: float,
        environment: Sequence[str] = (),
        options: Sequence[str] = (),
    ) -> tuple[Outcome, str]:
        command = [
            *("env", f"--chdir={copy}", f"PYTHONPATH={copy}", "OMP_NUM_THREADS=1", *environment),
            # to look for plugins among all that is installed takes as long as many tests
            *("PYTEST_DISABLE_PLUGIN_AUTOLOAD=1", sys.executable, "-m", "pytest", "-x", "-q"),
            *(option for plugin in _PLUGINS for option in ("-p", plugin)),
            *("--hypothesis-profile=mutants", f"--hypothesis-seed={self._seed}"),
            *("-k", "not postgresql", *options, *tests),
        ]
        outcome, output = run_tests(shlex.join(command), limit_s)
        if outcome is TestOutcome.SURVIVED:
            return "survived", output
        return ("timeout" if output == "timeout" else "killed"), output


def _durations(report: Path, files: Iterable[str]) -> dict[str, dict[str, float]]:
    """Return what each test function took, by file, from a report in JUnit's format."""
    found: dict[str, dict[str, float]] = {file: defaultdict(float) for file in files}
    for case in ElementTree.parse(report).iter("testcase"):
        module, name = case.attrib["classname"], case.attrib["name"].split("[")[0]
        file = next(one for one in found if f"{module}.".startswith(f"{_module(one)}."))
        inner = module.removeprefix(_module(file)).split(".")[1:]  # a class, where there is one
        found[file]["::".join((file, *inner, name))] += float(case.attrib["time"])
    return found


def _module(file: str) -> str:
    return file.removesuffix(".py").replace("/", ".")
