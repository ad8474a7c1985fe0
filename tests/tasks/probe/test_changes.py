"""Changed code that was not executed is found, down to the branch of an expression."""

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from tasks.probe.changes import Tree, not_shown
from tasks.probe.driver import Executed

BASE = """
LIMIT = 100

def step(number, last):
    total = number * 2
    if number > last:
        total = late(total)
    return total

def late(total):
    return total + LIMIT

class Task:
    def loss(self, value):
        return value
"""


class States:
    """Modules in a folder of their own, whose code is run and watched."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._count = 0

    def run(self, call: Callable[[Any], Any], **sources: str) -> Tree:
        """Write modules, import the first one and call something with it."""
        self._count += 1
        folder = self._root / f"state{self._count}" / "tasks"
        folder.mkdir(parents=True)
        for name, source in sources.items():
            (folder / f"{name}.py").write_text(dedent(source))
        first = next(iter(sources))
        spec = importlib.util.spec_from_file_location(first, folder / f"{first}.py")
        assert spec
        assert spec.loader
        module = importlib.util.module_from_spec(spec)
        executed = Executed(folder)
        before = sys.gettrace()
        executed.start()
        try:
            spec.loader.exec_module(module)
            call(module)
        finally:
            executed.stop()
            sys.settrace(before)
        modules = {f"tasks.{name}": dedent(source) for name, source in sources.items()}
        return Tree(modules, executed.places())


@pytest.fixture
def states(tmp_path: Path) -> States:
    return States(tmp_path)


def step(module: Any) -> None:
    module.step(1, 5)
    module.Task().loss(1)


def test_the_same_code_hides_nothing(states: States) -> None:
    assert not_shown(states.run(step, m=BASE), states.run(step, m=BASE)) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("    total = number * 2\n", "    doubled = number * 2\n    total = doubled\n"),
        ("return total\n\ndef late", "return 0 + total\n\ndef late"),
        ("return value", "return value if value else 0 * value"),
        ("LIMIT = 100\n", "LIMIT = 100\nNAME = 'a'\n"),
        ("class Task:", "class Task:\n    kind = 'task'"),
    ],
)
def test_a_change_that_was_executed_is_shown(states: States, old: str, new: str) -> None:
    assert old in BASE
    changed = BASE.replace(old, new)
    expected = [] if "if value" not in new else ["tasks.m: Task.loss (line 15)"]
    assert not_shown(states.run(step, m=BASE), states.run(step, m=changed)) == expected


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ("return total + LIMIT", "return total - LIMIT", "tasks.m: late (line 11)"),
        ("total = late(total)", "total = late(total) + 1", "tasks.m: step (line 7)"),
        (
            "return total\n\n",
            "if last > 50:\n        return 0\n    return total\n\n",
            "step (line 9)",
        ),
        ("number * 2", "number * 2 if number < 4 else number", "step (line 5)"),
        ("number * 2", "number * 2 or last", "step (line 5)"),
        ("number * 2", "(lambda: number * 2) and number", "step (line 5)"),
    ],
)
def test_a_changed_line_or_branch_that_was_not_executed_is_told(
    states: States, old: str, new: str, where: str
) -> None:
    assert old in BASE
    found = not_shown(states.run(step, m=BASE), states.run(step, m=BASE.replace(old, new)))
    assert where in " ".join(found)


def test_a_number_that_changed_is_told_also_where_it_was_executed(states: States) -> None:
    changed = BASE.replace("LIMIT = 100", "LIMIT = 90")
    found = not_shown(states.run(step, m=BASE), states.run(step, m=changed))
    assert found == ["a number: 100 is gone", "a number: 90 is new"]


def test_local_names_do_not_count_even_where_nothing_ran(states: States) -> None:
    changed = BASE.replace("def late(total):\n    return total + LIMIT", LATE_RENAMED)
    assert changed != BASE
    assert not_shown(states.run(step, m=BASE), states.run(step, m=changed)) == []


LATE_RENAMED = "def late(amount):\n    return amount + LIMIT"


def test_a_changed_default_of_an_unexecuted_function_is_told(states: States) -> None:
    changed = BASE.replace("def late(total):", "def late(total, more=50):")
    found = not_shown(states.run(step, m=BASE), states.run(step, m=changed))
    assert found == ["a number: 50 is new"]


def test_what_moved_to_another_module_has_not_changed(states: States) -> None:
    old = states.run(step, m=BASE)
    rest = BASE[: BASE.index("def late")] + BASE[BASE.index("class Task") :]
    late = "LIMIT = 100\n" + BASE[BASE.index("def late") : BASE.index("class Task")]
    new = states.run(step, m=rest.replace("LIMIT = 100\n", ""), other=late)
    assert not_shown(old, new) == []


def test_a_removed_statement_has_to_have_been_executed(states: States) -> None:
    changed = BASE.replace("    if number > last:\n        total = late(total)\n", "")
    assert changed != BASE
    found = not_shown(states.run(step, m=BASE), states.run(step, m=changed))
    assert found == ["tasks.m: step (line 7)"]


def test_what_the_full_run_did_not_execute_either_hides_nothing(states: States) -> None:
    changed = BASE.replace("return total + LIMIT", "return total - LIMIT")
    old, new = states.run(step, m=BASE), states.run(step, m=changed)
    ran = [5, 6, 8, 15]  # all but the lines of ``late``, and its call
    assert not_shown(Tree(old.sources, old.executed, {"tasks/m.py": ran}), new) == []
    known = Tree(old.sources, old.executed, {"tasks/m.py": [*ran, 11]})
    assert not_shown(known, new) == ["tasks.m: late (line 11)"]


@pytest.mark.parametrize(
    ("old_line", "new_line"),
    [
        ("total = late(total)", "total = late(total) + 1"),
        ("total = late(total)", "total = late(total)\n        total += 1"),
        ("total = late(total)", "if last:\n            total = late(total)"),
    ],
)
def test_a_branch_that_neither_run_took_hides_nothing(
    states: States, old_line: str, new_line: str
) -> None:
    changed = BASE.replace(old_line, new_line)
    old, new = states.run(step, m=BASE), states.run(step, m=changed)
    without = Tree(old.sources, old.executed, {"tasks/m.py": [5, 6, 8, 15]})
    assert not_shown(without, new) == []
    taken = Tree(old.sources, old.executed, {"tasks/m.py": [5, 6, 7, 8, 11, 15]})
    assert not_shown(taken, new) != []


def test_a_branch_under_another_condition_has_to_be_executed(states: States) -> None:
    more = BASE.replace("total = late(total)", "print(total)\n        total = late(total)")
    changed = more.replace("number > last", "number >= last").replace("= late(", "= 1 + late(")
    old, new = states.run(step, m=more), states.run(step, m=changed)
    without = Tree(old.sources, old.executed, {"tasks/m.py": [5, 6, 9, 16]})
    assert not_shown(without, new) == ["tasks.m: step (line 8)"]


def test_a_statement_that_moved_into_another_branch_is_a_change(states: States) -> None:
    changed = BASE.replace(
        "        total = late(total)\n", "        pass\n    else:\n        total = late(total)\n"
    )
    assert changed != BASE
    found = not_shown(states.run(step, m=BASE), states.run(step, m=changed))
    assert found == ["tasks.m: step (line 7)"]


def test_imports_for_types_and_docstrings_say_nothing(states: States) -> None:
    head = "from typing import TYPE_CHECKING\n"
    more = "if TYPE_CHECKING:\n    from pathlib import Path\n"
    documented = BASE.replace("def late(total):", 'def late(total):\n    """Say it."""')
    old, new = states.run(step, m=head + BASE), states.run(step, m=head + more + documented)
    assert not_shown(old, new) == []


def test_threads_are_watched_too(states: States) -> None:
    def in_thread(module: Any) -> None:
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(1) as pool:
            pool.submit(module.late, 1).result()

    changed = BASE.replace("return total + LIMIT", "return LIMIT + total")
    assert not_shown(states.run(in_thread, m=BASE), states.run(in_thread, m=changed)) == []


def test_a_new_function_that_nothing_names_hides_nothing(states: States) -> None:
    old = states.run(step, m=BASE)
    for more in ("\n    def more(self):\n        return 0\n", "\ndef more():\n    return 0\n"):
        assert not_shown(old, states.run(step, m=BASE + more)) == []


def test_a_new_function_that_changed_code_names_has_to_be_executed(states: States) -> None:
    changed = BASE.replace("return value", "self.last = self.more\n        return value")
    new = states.run(step, m=changed + "\n    def more(self):\n        return 0\n")
    assert not_shown(states.run(step, m=BASE), new) == ["tasks.m: Task.more (line 19)"]


def test_a_new_method_may_stand_in_for_a_base_class_method(states: States) -> None:
    base = BASE.replace("class Task:", "class Base:\n    pass\n\nclass Task(Base):")
    new = states.run(step, m=base + "\n    def more(self):\n        return 0\n")
    assert not_shown(states.run(step, m=base), new) == ["tasks.m: Task.more (line 21)"]


def test_code_whose_work_is_cached_counts_though_the_full_run_did_not_execute_it(
    states: States,
) -> None:
    changed = BASE.replace("return total + LIMIT", "return total - LIMIT")
    old, new = states.run(step, inputs=BASE), states.run(step, inputs=changed)
    known = Tree(old.sources, old.executed, {"tasks/inputs.py": [5, 6, 8, 15]})
    assert not_shown(known, new) == ["tasks.inputs: late (line 11)"]
