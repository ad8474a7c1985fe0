"""What ``downstream clean`` removes, with sizes."""

from rich.table import Table

from flows.terminal import console, size
from flows.upkeep.prune import Removal


def show_removals(entries: list[str], removals: list[Removal], dry_run: bool) -> None:
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
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("what", overflow="fold")
    table.add_column("size", justify="right")
    table.add_column("why", overflow="fold")
    for name in entries:
        table.add_row(f"{name} in dvc.lock", "-", "its row is gone from params.yaml")
    for removal in removals:
        table.add_row(removal.path.as_posix(), size(removal.num_bytes), removal.why)
    out.print(table)
    total = size(sum(removal.num_bytes for removal in removals))
    done = "Would be removed" if dry_run else "Removed"
    out.print(f"\n{done}: {len(entries)} records, {len(removals)} files and folders, {total}.")
    if not dry_run:
        out.print("DVC's cache still has what was recorded: `dvc gc` empties it.", style="dim")
