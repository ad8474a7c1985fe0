"""The command ``downstream lineage``."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from rich.text import Text

from flows.terminal import console, print_json, table
from tasks.errors import BadInput

if TYPE_CHECKING:
    from tasks.promotion.lineage import Lineage

HASH_SHOWN = 16


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
    from tasks.promotion.lineage import lineage as follow

    reconcile_workspace([model])
    chain = follow(model, version)
    if json:
        print_json({**asdict(chain), "holds": not chain.broken})
    else:
        _print_chain(chain)
    if chain.broken:
        first = chain.broken[0]
        raise BadInput(
            f"{model} version {chain.version}: {len(chain.broken)} of {len(chain.links)} links do "
            f"not hold; the first: {first.stage}: {first.what}: {first.problem}"
        )
    return 0


def _print_chain(chain: "Lineage") -> None:
    aliases = f" ({', '.join(chain.aliases)})" if chain.aliases else ""
    out = console()
    out.print(f"{chain.model} version {chain.version}{aliases}, commit {chain.commit}")
    shown = table("", "stage", "what", "hash", "")
    for link in chain.links:
        mark = Text("NO", style="red") if link.problem else "ok"
        recorded, note = link.recorded[:HASH_SHOWN], link.problem or link.note
        shown.add_row(mark, link.stage, link.what, recorded, note)
    for row, pins in chain.pins.items():
        for source, pin in pins.items():
            exact = ", ".join(f"{key} {value}" for key, value in pin.items())
            shown.add_row("ok", f"source {row}", source, "", exact)
    out.print(shown)
