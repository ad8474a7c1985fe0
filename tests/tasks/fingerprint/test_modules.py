"""Which modules and files of a repository a stage can reach."""

import shutil
from pathlib import Path

import pytest

from tasks.errors import BadInput
from tasks.fingerprint import modules
from tasks.fingerprint.modules import Code

ROOTS = ["tasks.stage"]


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write("tasks/__init__.py", "")
    write("tasks/stage.py", "")
    return tmp_path


def write(path: str, text: str) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text)


def reached(source: str) -> set[str]:
    """Return what a stage with this text reaches beside itself and its package."""
    write("tasks/stage.py", source)
    return {*Code(Path.cwd()).reachable(ROOTS)} - {"tasks", *ROOTS}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import tasks.net", {"tasks.net"}),
        ("from tasks import net", {"tasks.net"}),
        ("from tasks.net import build", {"tasks.net"}),
        ("from . import net", {"tasks.net"}),
        ("from .deep.inner import x", {"tasks.deep.inner"}),
        ("from .deep import inner", {"tasks.deep.inner"}),
        ("def f():\n    from tasks import net", {"tasks.net"}),
        ("try:\n    import helper\nexcept ImportError: ...", {"helper"}),
        ("import lib.code.more", {"lib.code.more"}),
        ("import importlib\nimportlib.import_module('tasks.net')", {"tasks.net"}),
        ("from importlib import import_module\nimport_module('helper')", {"helper"}),
        ("__import__('helper')", {"helper"}),
        ("import package", {"package", "package.part"}),
        ("import json, numpy, data", set()),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import helper", set()),
        ("from tasks.errors import BadInput", set()),
    ],
)
def test_what_is_imported_is_followed(source: str, expected: set[str]) -> None:
    for path in ("tasks/net.py", "tasks/deep/inner.py", "helper.py", "lib/code/more.py"):
        write(path, "x = build = 1")
    write("tasks/errors.py", "")
    write("package/__init__.py", "from .part import x")
    write("package/part.py", "x = 1")
    write("data/table.csv", "")
    assert reached(source) == expected


@pytest.mark.parametrize(
    "source",
    [
        "import importlib\nname = 'tasks.net'\nimportlib.import_module(name)",
        "import importlib\nimportlib.import_module(f'tasks.{1}')",
        "import importlib\nimportlib.import_module('.net', 'tasks')",
        "from importlib import import_module as load\nload('tasks.net')",
        "import runpy\nrunpy.run_path('net.py')",
        "from importlib.util import spec_from_file_location\nspec_from_file_location('a', 'b.py')",
        "exec('import tasks.net')",
    ],
)
def test_an_import_that_cannot_be_followed_is_refused_by_its_line(source: str) -> None:
    with pytest.raises(BadInput, match=r"tasks/stage\.py, line \d: an import of what no constant"):
        reached(source)


def test_one_that_is_listed_is_let_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(modules.DYNAMIC_IMPORTS, "tasks.stage", "a test")
    assert reached("import importlib\nimportlib.import_module(f'tasks.{1}')") == set()


def test_a_module_that_settings_name_is_not_reached_by_an_import_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(modules.OPTIONAL, "tasks.lora", "a test")
    write("tasks/lora.py", "import tasks.adapters")
    write("tasks/adapters.py", "")
    assert reached("def f():\n    from tasks import lora") == set()
    found = Code(Path.cwd()).reachable([*ROOTS, "tasks.lora"])
    assert {"tasks.lora", "tasks.adapters"} <= {*found}


def test_code_that_is_no_python_is_told_by_its_line() -> None:
    with pytest.raises(BadInput, match=r"tasks/stage\.py, line 2: the code is no Python"):
        reached("x = 1\nimport io(\n")


def files_read(source: str, module: str = "tasks.stage") -> list[str]:
    write(f"{module.replace('.', '/')}.py", source)
    return [path.as_posix() for path in Code(Path.cwd()).files_of([module])]


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("tasks/labels.json", "Path(__file__).with_name('labels.json')"),
        ("tasks/labels.json", "Path(__file__).parent / NAME"),
        ("tasks/pages/page.html", "(Path(__file__).parent / 'pages').iterdir()"),
        ("tasks/stage.md.j2", "render(NAME)"),
        ("tasks/other.html.j2", "render('tasks/other.html.j2')"),
        ("tasks/room/words.txt", "open('tasks/room/words.txt')"),
        ("words.txt", "open('words.txt')"),
        ("lists/words.txt", "open('lists/words.txt')"),
        ("lists/words.txt", "(Path(__file__).parent / '../lists/words.txt')"),
    ],
)
def test_a_file_that_a_module_may_read_is_found(path: str, source: str) -> None:
    write(path, "text")
    write("tasks/other.py", "")
    write("tasks/room/stage.py", "")
    assert files_read(source) == [path]


@pytest.mark.parametrize(
    "path",
    [
        "params.yaml",
        "data/table.csv",
        ".downstream/note.txt",
        "tasks/other.md.j2",
        "tasks/room/words.txt",
        "tasks/__pycache__/stage.cpython-311.pyc",
        "tasks/.stage.py.swp",
        "tasks/stage.py~",
    ],
)
def test_what_dvc_compares_or_belongs_to_another_module_is_not(path: str) -> None:
    write(path, "text")
    write("tasks/other.py", "")
    write("tasks/room/stage.py", "")
    names = ["params.yaml", "data/table.csv", ".downstream/note.txt"]
    assert files_read(f"names = {names}") == []


def test_a_template_that_another_one_names_is_found_with_it() -> None:
    write("tasks/stage.html.j2", '{% extends "tasks/room/frame.html.j2" %}')
    write("tasks/room/frame.html.j2", "frame")
    write("tasks/room/frame.py", "")
    assert files_read("") == ["tasks/room/frame.html.j2", "tasks/stage.html.j2"]


def test_settings_are_told_by_their_bases_through_modules_not_by_their_name() -> None:
    write("tasks/contracts/__init__.py", "")
    write("tasks/contracts/settings.py", "class Settings: ...")
    write(
        "tasks/settings.py",
        "from tasks.contracts import settings as contract\nclass Base(contract.Settings): ...\n"
        "class Own(Base): ...\nclass LooksLikeSettings: ...\nclass List(list[int]): ...",
    )
    write("tasks/stage.py", "import tasks.settings\nclass Row(tasks.settings.Own): ...")
    code = Code(Path.cwd())
    assert code.schemas_of("tasks.contracts.settings") == ["Settings"]
    assert code.schemas_of("tasks.settings") == ["Base", "Own"]
    assert code.schemas_of("tasks.stage") == ["Row"]


def test_a_snapshot_stands_in_place_of_tasks_and_of_nothing_else() -> None:
    write("tasks/stage.py", "import helper, tasks.net\nopen('words.txt'), open('tasks/list.txt')")
    write("tasks/net.py", "x = 1")
    for path in ("helper.py", "words.txt", "tasks/list.txt"):
        write(path, "y = 1")
    shutil.copytree("tasks", "snapshot/tasks")
    before = lines(Code(Path.cwd()))
    assert [line.split()[0] for line in before] == [
        "helper", "tasks", "tasks.net", "tasks.stage", "tasks/list.txt", "words.txt"
    ]  # fmt: skip
    for path in ("tasks/net.py", "tasks/list.txt"):
        write(path, "x = 2")
    assert lines(Code(Path.cwd(), Path.cwd() / "snapshot")) == before
    write("helper.py", "y = 2")
    after = lines(Code(Path.cwd(), Path.cwd() / "snapshot"))
    assert [line.split()[0] for line in set(after) - set(before)] == ["helper"]


def lines(code: Code) -> list[str]:
    found = code.reachable(ROOTS)
    files = code.files_of(found)
    return [
        *(f"{module} {code.hash_of(module)}" for module in found),
        *(f"{path} {code.content_of(path)}" for path in files),
    ]
