"""The command ``downstream clean``, and what it removes, with sizes."""

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from flows.terminal import console, size, table

if TYPE_CHECKING:
    from flows.upkeep.prune import Removal


def clean(
    *,
    dry_run: Annotated[
        bool, Parameter(help="Only say what would go.", negative="", show_default=False)
    ] = False,
) -> int:
    """Remove what is left of rows that params.yaml no longer has, and leftovers in .downstream/.

    Reads params.yaml, dvc.yaml and dvc.lock; writes dvc.lock, removes folders in data/ and
    .downstream/. Sources, and results and checkpoints that dvc.lock does not have yet, stay.
    """
    from flows.dvc.graph import load_graph
    from flows.upkeep import prune

    graph = load_graph()
    entries, removals = prune.find_lock_entries(graph), prune.find_removals(graph)
    show_removals(entries, removals if dry_run else prune.remove(graph, removals), dry_run)
    return 0


def show_removals(entries: list[str], removals: list["Removal"], dry_run: bool) -> None:
    """Print a table of what is removed, or would be.

    Args:
        entries: stages that leave ``dvc.lock``.
        removals: files and folders.
        dry_run: nothing was removed.
    """
    out = console()
    if not entries and not removals:
        out.print("Nothing to remove.")
        return
    shown = table("what", "size", "why", right=["size"])
    for name in entries:
        shown.add_row(f"{name} in dvc.lock", "-", "its row is gone from params.yaml")
    for removal in removals:
        shown.add_row(removal.path.as_posix(), size(removal.num_bytes), removal.why)
    out.print(shown)
    total = size(sum(removal.num_bytes for removal in removals))
    done = "Would be removed" if dry_run else "Removed"
    out.print(f"\n{done}: {len(entries)} records, {len(removals)} files and folders, {total}.")
    if not dry_run:
        out.print("DVC's cache still has what was recorded: `dvc gc` empties it.", style="dim")
