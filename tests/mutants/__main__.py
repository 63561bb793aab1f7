"""`make mutants`: mutate a sample of the pure packages, and show what no unit test notices."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from tests.mutants.plan import PACKAGES, Mutant, equivalents, modules, sample
from tests.mutants.run import MutantRunner, TestedMutant, UnmutatedFails, copy_of
from training.runtime.settings import REPOSITORY

EQUIVALENT = Path(__file__).with_name("equivalent.yaml")
AT_LEAST = 0.85


def main(arguments: list[str] | None = None) -> int:
    """The exit status: 0 where enough mutants are killed, 1 where not, 2 where it cannot be told."""
    options = _options().parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the copies are removed
    paths = modules(REPOSITORY, options.package.split(",") if options.package else PACKAGES)
    drawn = sample(REPOSITORY, paths, options.count, options.seed)
    known = equivalents(EQUIVALENT)
    known_equivalents = [one for one in drawn if (one.module, *one.lines) in known]
    mutants = [one for one in drawn if one not in known_equivalents]
    if not mutants:
        _print(f"No mutant in {options.package!r}: expected modules of {', '.join(PACKAGES)}.")
        return 2
    with ExitStack() as stack:
        folders = [
            Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mutants-")))
            for _ in range(options.jobs)
        ]
        try:
            found = MutantRunner([copy_of(REPOSITORY, one) for one in folders], options.seed, _print).run(
                mutants
            )
        except UnmutatedFails as error:
            _print(str(error))
            return 2
    return _report(found, known_equivalents)


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="of the sample")
    parser.add_argument("--count", type=int, default=60, help="mutants")
    parser.add_argument(
        "--package", default="", help="packages or modules by path, by comma; all unless told"
    )
    parser.add_argument("--jobs", type=int, default=2, help="mutants at once")
    return parser


def _report(found: list[TestedMutant], known_equivalents: list[Mutant]) -> int:
    survived = sum(one.outcome == "survived" for one in found)
    timeouts = sum(one.outcome == "timeout" for one in found)
    share = 1 - survived / len(found)
    _print(
        f"{len(found) - survived} of {len(found)} mutants killed, {share:.0%} of at least {AT_LEAST:.0%}; "
        f"{timeouts} of them by time; {survived} survived; {len(known_equivalents)} more are equivalent."
    )
    return 0 if share >= AT_LEAST else 1


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
