"""The command ``downstream lineage``."""

import json as to_json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

if TYPE_CHECKING:
    from tasks.promotion.lineage import Lineage

SHORT = 16


def lineage(
    model: Annotated[str, Parameter(help="A row of models: the registered model's name.")],
    version: Annotated[
        int | None, Parameter(help="Its number; by default that of the candidate.")
    ] = None,
    *,
    json: Annotated[
        bool, Parameter(help="Print one JSON object.", negative="", show_default=False)
    ] = False,
) -> int:
    """Print the chain from a version in the registry back to its sources, each link checked.

    Reads the version's tags and files in MLflow, dvc.lock, accepted.jsonl, data/ and its pin.json
    files; exits with 1 where a link does not hold. First makes MLflow agree with the workspace, as
    sync does.
    """
    from flows.run.sync import reconcile_workspace
    from tasks.errors import BadInput
    from tasks.promotion.lineage import lineage as follow

    reconcile_workspace([model])
    found = follow(model, version)
    _print_json(found) if json else _print_table(found)
    if found.broken:
        first = found.broken[0]
        raise BadInput(
            f"{model} version {found.version}: {len(found.broken)} of {len(found.links)} links do "
            f"not hold; the first: {first.stage}: {first.what}: {first.problem}"
        )
    return 0


def _print_json(found: "Lineage") -> None:
    print(to_json.dumps({**asdict(found), "holds": not found.broken}, indent=2))  # noqa: T201 - the output asked for


def _print_table(found: "Lineage") -> None:
    from rich.markup import escape
    from rich.table import Table

    from flows.terminal import console

    named = f" ({', '.join(found.aliases)})" if found.aliases else ""
    out = console()
    out.print(f"{found.model} version {found.version}{named}, commit {escape(found.commit)}")
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("", "stage", "what", "hash", ""):
        table.add_column(column, overflow="fold")
    for link in found.links:
        mark = "[red]NO[/]" if link.problem else "ok"
        told = escape(link.problem or link.note)
        table.add_row(mark, link.stage, escape(link.what), link.recorded[:SHORT], told)
    for row, pins in found.pins.items():
        for source, pin in pins.items():
            exact = ", ".join(f"{key} {value}" for key, value in pin.items())
            table.add_row("ok", f"source {row}", escape(source), "", escape(exact))
    out.print(table)
