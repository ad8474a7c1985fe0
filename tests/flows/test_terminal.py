"""How anything is printed."""

import pytest
from rich.text import Text

from flows.terminal import console, duration, plain, size, table


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.44, "0.4 s"), (9.94, "9.9 s"), (81.2, "81 s"), (720, "12 min"), (7500, "2 h 05 min")],
)
def test_durations_read_as_people_say_them(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_sizes_read_as_people_say_them() -> None:
    assert [size(n) for n in (0, 999, 1520, 2_500_000)] == ["0 B", "999 B", "1.5 kB", "2.5 MB"]


def test_a_plain_text_cannot_steer_a_terminal_and_keeps_its_lines() -> None:
    assert plain("a\x1b[2Jb\x07\tc\nنص 大") == "a [2Jb  c\nنص 大"


def test_what_others_have_written_is_shown_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    shown = table("what", "how many", right=["how many"])
    shown.add_row("[bold]a[/] :smile:\x1b[2J", "1,000")
    shown.add_row(Text("b\nc"), "2")
    out = console()
    out.print(shown)
    out.print("[/] [red]d")
    assert capsys.readouterr().out.splitlines() == [
        "what                    how many",
        "[bold]a[/] :smile: [2J     1,000",
        "b                              2",
        "c                               ",
        "[/] [red]d",
    ]
