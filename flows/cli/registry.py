"""The commands about a registered model's past: ``rollback`` and ``history``."""

import re
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from rich.text import Text

from flows.terminal import console, plain, print_json, table
from tasks.progress import say

if TYPE_CHECKING:
    from tasks.promotion.rollback import History
    from tasks.tracking.audit.log import Entry

BROKEN = 1
HASH = re.compile(r"[0-9a-f]{32,}")
HASH_SHOWN = 12
SIGNATURE = "signature"
"""The key of the evidence that is not shown, but what is known of it."""

Model = Annotated[str, Parameter(help="A row of models: the registered model's name.")]


def rollback(
    model: Model,
    *,
    reason: Annotated[str, Parameter(help="Why; it is recorded.")],
    to: Annotated[
        int | None, Parameter(help="The version to make champion; by default `previous`.")
    ] = None,
) -> int:
    """Make an earlier version the champion again, once it loads and still scores as recorded.

    Reads the version's files from MLflow; writes its aliases champion and previous, and an entry
    of the model's audit log.
    """
    from tasks.promotion.rollback import roll_back

    say(roll_back(model, to, reason))
    return 0


def history(
    model: Model,
    *,
    verify: Annotated[
        bool,
        Parameter(
            help="Check the chain, and exit with 1 if it does not hold.",
            negative="",
            show_default=False,
        ),
    ] = False,
    json: Annotated[
        bool, Parameter(help="Print one JSON object.", negative="", show_default=False)
    ] = False,
    head: Annotated[
        bool,
        Parameter(
            help="Print the model, the newest entry's number and its sha256 alone, to be kept "
            "outside of MLflow.",
            negative="",
            show_default=False,
        ),
    ] = False,
    head_file: Annotated[
        Path | None,
        Parameter(help="Check the log against the heads in this file, and write the newest to it."),
    ] = None,
    begin_log: Annotated[
        str | None,
        Parameter(
            help="Why: begin the log of a model whose aliases were set before there was one."
        ),
    ] = None,
) -> int:
    """Print every change of a model's aliases: when, who, what, from, to and why.

    Reads the audit log on the MLflow server; writes to it only the changes that were made by hand
    since the last command, and what --begin-log says.
    """
    from tasks.promotion.rollback import begin
    from tasks.promotion.rollback import history as read_history

    if begin_log is not None:
        say(f"{model}: the log begins with {begin(model, begin_log)} entries")
    past = read_history(model, head_file)
    if head:
        console().print(f"{model} {past.head}")
    elif json:
        print_json(asdict(past))
    else:
        _print_history(past)
    return _verdict(past) if verify or head_file else 0


def _print_history(past: "History") -> None:
    out = console()
    if past.entries:
        shown = table("", "time (UTC)", "action", "change", "by", "reason, evidence")
        for entry in past.entries:
            shown.add_row(
                *_cells(entry, past.signed), style="bold yellow" if _is_by_hand(entry) else None
            )
        out.print(shown)
    else:
        out.print(f"{past.model}: no alias was ever set.")
    now = ", ".join(f"{alias} {number}" for alias, number in past.aliases.items())
    out.print(f"\nNow: {now or 'no alias'}")


def _cells(entry: "Entry", signed: Mapping[int, str]) -> list[str | Text]:
    before, after = (
        "-" if number is None else str(number)
        for number in (entry["version_from"], entry["version_to"])
    )
    change = f"{entry['alias']} {before} → {after}" if entry["alias"] else f"version {after}"
    evidence = ", ".join(
        f"{name} {value[:HASH_SHOWN] if HASH.fullmatch(value) else value}"
        for name, value in entry["evidence"].items()
        if name != SIGNATURE
    )
    why = [Text(plain(" ".join(entry["reason"].split())))] if entry["reason"] else []
    if entry["number"] in signed:
        why.append(Text(plain(signed[entry["number"]]), style="bold"))
    if evidence:
        why.append(Text(plain(evidence), style="dim"))
    time = entry["time"].replace("T", " ").removesuffix("Z")
    return [
        *(str(entry["number"]), time, entry["action"], change, entry["actor"]),
        Text("\n").join(why),
    ]


def _is_by_hand(entry: "Entry") -> bool:
    from tasks.tracking.audit.log import FOUND

    return entry["action"] == FOUND


def _verdict(past: "History") -> int:
    for problem in past.problems:
        say(f"error: {problem}")
    by_hand = [str(entry["number"]) for entry in past.entries if _is_by_hand(entry)]
    if by_hand:
        count = "1 entry was" if len(by_hand) == 1 else f"{len(by_hand)} entries were"
        say(f"{count} made outside downstream: {', '.join(by_hand)}")
    if past.problems:
        say("The log does not hold: MLflow's database was altered; restore it from a backup")
        return BROKEN
    say(f"The chain of {len(past.entries)} entries holds")
    return 0
