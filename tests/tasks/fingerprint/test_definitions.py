"""Which function changed."""

from pathlib import Path

import pytest

from tasks.fingerprint.definitions import (
    MODULE_LEVEL,
    changed_definitions,
    definitions,
    keep_definitions,
)
from tasks.fingerprint.syntax_hash import hash_of_source

SOURCE = '''"""A module."""
LIMIT = 3

def double(value: int) -> int:
    """Double it."""
    return 2 * value

class Net:
    size = 4

    def forward(self, x: int) -> int:
        return x

    async def wait(self) -> None:
        return None
'''


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "net.py").write_text(SOURCE)
    return tmp_path


def fingerprint_now(root: Path) -> str:
    source = (root / "tasks" / "net.py").read_text()
    lines = [
        'settings {"a": 1}',
        "library:torch 2.13.0",
        'row {"seed": 0}',
        f"tasks.net {hash_of_source(source)}",
    ]
    return "\n".join([*lines, ""])


def test_functions_classes_and_methods_are_told_apart() -> None:
    assert sorted(definitions(SOURCE)) == [
        "Net", "Net.forward", "Net.wait", "double", MODULE_LEVEL,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        ("2 * value", "3 * value", ("double",)),
        ("return x", "return x + 1", ("Net.forward",)),
        ("return None", "return", ("Net.wait",)),
        ("size = 4", "size = 5", ("Net",)),
        ("LIMIT = 3", "LIMIT = 4", (MODULE_LEVEL,)),
        ("def double", "def triple", ("double", "triple")),
        ('"""Double it."""', '"""Twice."""  # a comment', ()),
    ],
)
def test_what_changed_since_it_was_kept_is_named(
    root: Path, old: str, new: str, changed: tuple[str, ...]
) -> None:
    keep_definitions(fingerprint_now(root), root)
    before = fingerprint_now(root).split()[-1]
    assert old in SOURCE
    (root / "tasks" / "net.py").write_text(SOURCE.replace(old, new))
    after = fingerprint_now(root).split()[-1]
    assert changed_definitions("tasks.net", before, after, root) == changed


def test_where_nothing_was_kept_or_a_module_is_gone_nothing_is_claimed(root: Path) -> None:
    assert changed_definitions("tasks.net", "0" * 32, "1" * 32, root) == ()
    assert changed_definitions("tasks.net", None, "1" * 32, root) == ()
    keep_definitions(fingerprint_now(root), root)
    known = fingerprint_now(root).split()[-1]
    (root / "tasks" / "net.py").unlink()
    assert changed_definitions("tasks.net", known, "1" * 32, root) == ()


def test_a_module_edited_since_its_fingerprint_is_not_kept_under_the_old_hash(root: Path) -> None:
    old = fingerprint_now(root)
    (root / "tasks" / "net.py").write_text("x = 1\n")
    keep_definitions(old, root)
    assert not Path(".downstream/definitions").exists()


@pytest.mark.parametrize(
    "path",
    ["data/sources/from-hub/pin.json", "data/sources/row/my bert", "./words.txt", "library:torch"],
)
def test_what_is_no_module_has_no_definitions(root: Path, path: str) -> None:
    keep_definitions(f"{fingerprint_now(root)}{path} {'0' * 32}\n", root)
    assert len(list(Path(".downstream/definitions").iterdir())) == 1
