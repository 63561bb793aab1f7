"""The mutants themselves: what is changed, what is left alone, and which tests run on it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutants.__main__ import EQUIVALENT
from tests.mutants.operators import mutations
from tests.mutants.plan import Mutant, covering_tests, equivalents, modules, sample
from tests.mutants.run import MutantRunner, Passed, UnmutatedFails
from training.runtime.settings import REPOSITORY


def changed(source: str) -> set[str]:
    return {one.apply(source) for there in mutations(source) for one in there}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("if a < b:\n    x\n", {"if a <= b:\n    x\n", "if a >= b:\n    x\n", "if not a < b:\n    x\n"}),
        ("x = a and b\n", {"x = a or b\n"}),
        ("x = True\n", {"x = False\n"}),
        ("x = not a\n", {"x =  a\n"}),
        ("x = a + b\n", {"x = a - b\n"}),
        ("x = 5\n", {"x = 6\n", "x = 4\n"}),
        ("if a:\n    f(b)\n", {"if not a:\n    f(b)\n", "if a:\n    pass\n"}),
        ("def f():\n    self.x = y\n", {"def f():\n    pass\n"}),
        ("def f():\n    x += y\n", {"def f():\n    pass\n"}),
        ("for x in y:\n    continue\n", {"for x in []:\n    continue\n", "for x in y:\n    break\n"}),
    ],
)
def test_what_is_changed(source: str, expected: set[str]) -> None:
    assert changed(source) == expected


@pytest.mark.parametrize(
    "source",
    [
        "x: Literal[1] | None\n",
        "def f(x: Literal[1]) -> Literal[2]:\n    return x\n",
        '"""Of 5."""\n',
        'x = f"{a + 1}"\n',
        "@dataclass(frozen=True)\nclass A: ...\n",
        "class A:\n    model_config = ConfigDict(frozen=True)\n",
        "if TYPE_CHECKING:\n    x = 1\n",
        "x = y\n",
        "x = zip(a, b, strict=True)\n",
        "def f(a, *, b):\n    return b\n",
        "from a import b\n",
    ],
)
def test_what_says_nothing_of_what_is_done_is_left_alone(source: str) -> None:
    assert changed(source) == set()


def test_a_sample_depends_on_its_seed_alone_and_compiles() -> None:
    paths = ["features/window_spec.py", "deployments/domain/samples.py"]
    first, again, other = (sample(REPOSITORY, paths, 20, seed) for seed in (1, 1, 2))
    assert first == again
    assert first != other
    assert len({(one.module, one.mutation.line, one.mutation.column) for one in first}) == 20
    for mutant in first:
        compile(mutant.changed, mutant.module, "exec")
        before, after = mutant.lines
        assert before != after


def test_every_module_has_tests_that_are_there() -> None:
    paths = modules(REPOSITORY)
    assert {path.split("/")[0] for path in paths} == {"features", "deployments", "training"}
    for path in paths:
        assert all((REPOSITORY / one).exists() for one in covering_tests(REPOSITORY, path))
    assert covering_tests(REPOSITORY, "deployments/domain/samples.py") == [
        "tests/unit/deployments/domain/test_samples.py"
    ]
    assert covering_tests(REPOSITORY, "features/window_spec.py") == [
        "tests/unit/features/test_point_windows.py",
        "tests/unit/features/test_windows.py",
    ]


def test_known_equivalents_are_still_there() -> None:
    for (module, before, _), reason in equivalents(EQUIVALENT).items():
        lines = [line.strip() for line in (REPOSITORY / module).read_text().splitlines()]
        assert set(before.splitlines()) <= set(lines), f"{module}: {before}"
        assert reason


@pytest.fixture
def _only_the_plugin_that_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the rest, whose import takes longer than the tests of a mutant."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTEST_PLUGINS", "_hypothesis_pytestplugin")


def repository(folder: Path, tests: str) -> Path:
    (folder / "features").mkdir()
    (folder / "features" / "double.py").write_text("def double(x):\n    return 2 * x\n")
    (folder / "tests" / "unit" / "features").mkdir(parents=True)
    (folder / "tests" / "conftest.py").write_text(
        'from hypothesis import settings\n\nsettings.register_profile("mutants")\n'
    )
    (folder / "tests" / "unit" / "features" / "test_double.py").write_text(
        "from unittest import TestCase\n\nfrom features.double import double\n\n\n"
        "class TestMore(TestCase):\n    def test_more(self):\n        pass\n\n\n"
        f"def test_it():\n    {tests}\n"
    )
    return folder


@pytest.mark.usefixtures("_only_the_plugin_that_is_used")
@pytest.mark.parametrize(
    ("tests", "outcomes"), [("assert double(2) == 4", {"killed"}), ("assert double(0) == 0", {"survived"})]
)
def test_a_mutant_is_killed_if_its_tests_fail_and_is_taken_back(
    tmp_path: Path, tests: str, outcomes: set[str]
) -> None:
    copy = repository(tmp_path, tests)
    mutants = sample(copy, ["features/double.py"], 2, 1)
    assert mutants
    found = MutantRunner([copy], 1, lambda _: None).run([one for one in mutants if "/" not in one.lines[1]])
    assert {one.outcome for one in found} == outcomes
    assert (copy / "features" / "double.py").read_text() == "def double(x):\n    return 2 * x\n"


def test_tests_that_take_long_come_last_and_say_when_a_mutant_hangs() -> None:
    passed = Passed({"a": {"a::slow": 2.0, "a::quick": 0.5}, "b": {"b::slow": 0.6, "b::quick": 0.0}}, 3.0)
    assert passed.plan(["b", "a"]) == (["b::quick", "a::quick", "b::slow", "a::slow"], 30 + 4 * 6.1)
    assert passed.plan(["a"]) == (["a::quick", "a::slow"], 30 + 4 * 5.5)


@pytest.mark.usefixtures("_only_the_plugin_that_is_used")
def test_tests_that_fail_without_a_mutant_are_an_error(tmp_path: Path) -> None:
    copy = repository(tmp_path, "assert False")
    mutants: list[Mutant] = sample(copy, ["features/double.py"], 1, 1)
    with pytest.raises(UnmutatedFails, match=r"tests fail without a mutant \(killed\)(?s:.*)test_double"):
        MutantRunner([copy], 1, lambda _: None).run(mutants)
