"""The commands ``downstream data …``."""

from typing import Annotated

from cyclopts import App, Parameter

data = App(name="data", help="Look at the data.")


@data.command
def show(
    corpus: Annotated[str, Parameter(help="A row of corpora.")],
    *,
    part: Annotated[
        str | None, Parameter(help="One split: train, validation or test; none is all.")
    ] = None,
    dropped: Annotated[
        bool, Parameter(help="What clean dropped, and why.", negative="", show_default=False)
    ] = False,
    rows: Annotated[int, Parameter(help="How many records of each split to print.")] = 5,
) -> int:
    """Show a corpus: records by class, the verdict of validate, some records, what was dropped.

    Reads params.yaml and data/; writes nothing.
    """
    from flows.cli.data_view import show_corpus

    show_corpus(corpus, part, dropped, rows)
    return 0
