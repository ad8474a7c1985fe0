"""The commands about a registered model's past: ``rollback`` and ``history``."""

from typing import Annotated

from cyclopts import Parameter

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
    from tasks.progress import say
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
) -> int:
    """Print every change of a model's aliases: when, who, what, from, to and why.

    Reads the audit log on the MLflow server; writes to it only the changes that were made by hand
    since the last command.
    """
    from flows.cli.history_view import print_history, print_json
    from tasks.promotion.history import history as history_of

    return (print_json if json else print_history)(history_of(model), verify)
