"""The end of a run: one table of the models, what was run, and where to look further."""

import os
from collections import Counter
from typing import Any

from flows.run.session import Session
from flows.run.sync import reconcile_workspace
from flows.terminal import console, duration, table
from tasks.contracts import files, paths
from tasks.tracking.store import pages

TEMPORARY = "DOWNSTREAM_TEMPORARY_PREFECT"
"""Set where PREFECT_API_URL names a server that ends with the run."""
COLUMNS = ("model", "accuracy", "95 % interval", "linear", "NB-SVM", "twin", "gain", "version")

HEADED_BASELINES = ("linear", "nb_svm", "twin")
"""Those columns, of a model whose head has other metrics than accuracy."""


def finish(session: Session, seconds: float) -> list[dict[str, Any]]:
    """Reconcile the registry, print the results table and what was done.

    Args:
        session: a run whose stages are all done.
        seconds: how long it took.

    Returns:
        One row a model, as printed.
    """
    models = evaluated_models(session)
    rows = [model_row(model, version) for model, version in reconcile_workspace(models).items()]
    out = console()
    if rows:
        shown = table(*COLUMNS, right=COLUMNS[1:])
        for row in rows:
            shown.add_row(*row.values())
        out.print(shown)
    out.print(_what_was_done(session, seconds))
    for line in _pages() if rows else ():
        out.print(line, style="dim")
    return rows


def evaluated_models(session: Session) -> list[str]:
    """Return the models of ``params.yaml`` that have test metrics."""
    stages = session.graph.planned()
    models = [name.partition("@")[2] for name in stages if name.startswith("evaluate@")]
    return [model for model in models if paths.metrics(model).is_file()]


def model_row(model: str, version: int | None) -> dict[str, Any]:
    """Return a model's line of the table: shares as percentages, ``-`` for what there is not."""
    metrics = files.read_json(paths.metrics(model))
    if "head" in metrics:
        return _headed_row(model, metrics, version)
    low, high = metrics["intervals"]["accuracy"]
    gain = metrics.get("gain")
    cells = (
        model,
        _percent(metrics["accuracy"]),
        f"{_percent(low)} - {_percent(high)}",
        _baseline(metrics, "linear"),
        _baseline(metrics, "nb_svm"),
        _baseline(metrics, "twin"),
        "-" if gain is None else _gain(gain, metrics.get("repeats")),
        "-" if version is None else str(version),
    )
    return dict(zip(COLUMNS, cells, strict=True))


def _headed_row(model: str, metrics: dict[str, Any], version: int | None) -> dict[str, Any]:
    """Return the line of a model with another head than classification, in its own metric."""
    name = metrics["decides"]
    found = {who: one.get(name) for who, one in metrics["baselines"].items()}
    cells = (
        model,
        f"{name} {metrics[name]:.4f}",
        " - ".join(f"{end:.4f}" for end in metrics["intervals"][name] or ()) or "-",
        *("-" if found.get(who) is None else f"{found[who]:.4f}" for who in HEADED_BASELINES),
        "-" if metrics.get("gain") is None else f"{metrics['gain']:+.4f}",
        "-" if version is None else str(version),
    )
    return dict(zip(COLUMNS, cells, strict=True))


def _baseline(metrics: dict[str, Any], name: str) -> str:
    """Return a baseline's accuracy, and whether the model is ahead of it, level or behind."""
    accuracy = (metrics["baselines"].get(name) or {}).get("accuracy")
    verdict = metrics.get("against", {}).get(name, {}).get("verdict")
    return f"{_percent(accuracy)} ({verdict})" if verdict else _percent(accuracy)


def _gain(gain: float, repeats: dict[str, Any] | None) -> str:
    """Return what pretraining gains, in points; over several pairs with their deviation."""
    spread = f" ± {100 * repeats['gain']['deviation']:.2f}" if repeats else ""
    return f"{100 * gain:+.2f}{spread}"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.2f}"


def _pages() -> tuple[str, str]:
    """Say where MLflow's and Prefect's pages are, or which command opens them."""
    lasting = "" if TEMPORARY in os.environ else os.environ.get("PREFECT_API_URL", "")
    server = lasting.rstrip("/").removesuffix("/api")
    return (
        f"The runs and models:  {pages() or 'downstream mlflow'}",
        f"The flow's own pages: {server or 'downstream up'}",
    )


def _what_was_done(session: Session, seconds: float) -> str:
    counts = Counter(session.outcomes.values())
    left, waiting = session.left, session.not_reached
    changed = counts["ran"] + counts["restored"] + counts["recommitted"]
    fresh = len(session.plan.stages) - changed - len(left + waiting)
    recommitted = f"{counts['recommitted']} recommitted, " if counts["recommitted"] else ""
    done = f"{counts['ran']} ran, {counts['restored']} restored, {recommitted}{fresh} fresh"
    if not session.stages:
        return f"\nNothing to do. Stages: {done}."
    lines = [f"\nStages: {done}; in {duration(seconds)}."]
    if left:
        lines.append(f"Left, since they need a GPU: {', '.join(left)}")
    if waiting:
        lines.append(f"These wait on them: {', '.join(waiting)}")
    return "\n".join(lines)
