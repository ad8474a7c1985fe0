"""Data Docs of a corpus: Great Expectations' own pages on what ``validate`` expects of it.

Its pages fetch scripts, styles and images from a dozen servers, and show what a corpus holds. So a
policy inside each page lets a browser fetch nothing and run nothing; the index, which is made by a
script in theirs, is ours, and so is the style, by which their filter works all the same.
"""

import os
import re
import shutil
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.contracts import files, paths
from tasks.contracts.paths import PARTS, Part
from tasks.contracts.records import modality_of, read_schema, split_schema
from tasks.corpora.columns import targets_of, with_fields
from tasks.reports.page import render
from tasks.stage_process.stage_hash import read_inputs
from tasks.tracking.runs.runs import record_run
from tasks.validate.expectations import Check, checks
from tasks.validate.settings import Settings
from tasks.validate.stage import measured

INDEX = "index.html"
_POLICY = (
    '<meta http-equiv="Content-Security-Policy" '
    "content=\"default-src 'none'; style-src 'unsafe-inline'\">"
    "<style>body{font:15px/1.45 system-ui,sans-serif;margin:1rem auto;max-width:68rem}"
    "table{border-collapse:collapse}td,th{padding:.25rem .55rem;border-bottom:1px solid #ddd;"
    "text-align:left;vertical-align:top}"
    # What needs a script or a picture is not shown; marks of fonts are words.
    ".navbar-brand,.modal,footer,button,input:not([name=options]),a[data-toggle]{display:none}"
    "td .fa-check-circle::before{content:'met'}td .fa-times::before{content:'not met'}"
    "td .fa-exclamation-triangle::before{content:'not met'}"
    # Their filter, without their script.
    "body:has(#option2:checked) tr:has(.hide-succeeded-validation-target-child){display:none}"
    "</style>"
)
_HEAD = re.compile(r"<head[^>]*>", re.IGNORECASE)


@dataclass(frozen=True)
class Suite:
    """The expectations on one table, and how they were met."""

    name: str
    num_expected: int
    failed: list[str]
    """What is not met, of the checks that are errors."""
    warned: list[str]
    page: str
    """Its page, relative to the index."""

    @property
    def num_met(self) -> int:
        """Return how many expectations are met."""
        return self.num_expected - len(self.failed) - len(self.warned)


def build_docs(corpus: str, settings: Settings, folder: Path) -> list[Suite]:
    """Write the pages of a corpus into an empty folder, ``index.html`` being the first.

    Args:
        corpus: its row.
        settings: those of ``validate``.
        folder: where the pages go.

    Returns:
        The suites, in the order of the index.
    """
    parts = {part: paths.split(corpus, part) for part in PARTS}
    tables, _, _ = measured(corpus, parts, settings)
    expected = [*_on_schema(parts), *_on_nulls(), *checks(tables, settings)]
    tables["schema"] = _schemas(parts)
    by_table: dict[str, list[Check]] = defaultdict(list)
    for check in expected:
        by_table[check.table].append(check)
    severity = {str(name): how for name, how in (settings.severity or {}).items()}
    context = _context(folder)
    results = {
        name: _judge(context, f"{corpus}.{name}", tables[name], of_table, severity)
        for name, of_table in by_table.items()
    }
    context.build_data_docs()
    suites = [
        _suite(name, result, folder / f"validations/{corpus}/{name}", folder)
        for name, result in results.items()
    ]
    shutil.rmtree(folder / "static")  # what the policy keeps from being read
    for page in folder.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        files.write_text(page, _HEAD.sub(lambda head: head[0] + _POLICY, text, count=1))
    index = render("flows/corpora/docs.html.j2", corpus=corpus, suites=suites)
    files.write_text(folder / INDEX, index)
    return suites


def keep_docs(corpus: str, settings: Settings, folder: Path, suites: list[Suite]) -> str | None:
    """Keep the pages with a run in MLflow; it is one for each state of the corpus and its settings.

    Args:
        corpus: its row.
        settings: those of ``validate``.
        folder: where the pages lie.
        suites: what was built.

    Returns:
        The run's id; None while the store is away.
    """
    inputs = read_inputs(f"validate@{corpus}")
    return record_run(
        stage="docs",
        row=corpus,
        stage_hash=inputs.stage_hash,
        params=settings.model_dump(mode="json"),
        tags={},
        inputs=inputs.files,
        metrics={"suites": len(suites), "suites_not_met": num_not_met(suites)},
        artifacts=[folder],
    )


def num_not_met(suites: list[Suite]) -> int:
    """Return how many suites have an error."""
    return sum(bool(suite.failed) for suite in suites)


def _schemas(parts: Mapping[Part, Path]) -> Any:
    import pandas as pd

    columns = [
        ", ".join(f"{field.name} {field.type}" for field in read_schema(path))
        for path in parts.values()
    ]
    return pd.DataFrame({"split": list(parts), "columns": columns})


def _on_schema(parts: Mapping[Part, Path]) -> list[Check]:
    found = read_schema(parts["train"])
    schema = with_fields(split_schema(modality_of(found)), targets_of(found))
    wanted = ", ".join(f"{field.name} {field.type}" for field in schema)
    return [
        Check(
            "schema",
            "ExpectColumnValuesToBeInSet",
            {"column": "columns", "value_set": [wanted]},
            "columns of the splits and their types",
            "`downstream run split`",
            "schema",
        )
    ]


def _on_nulls() -> list[Check]:
    return [
        Check(
            part,
            "ExpectColumnValuesToNotBeNull",
            {"column": "id"},
            f"records of {part} without an id",
            "`downstream run split`",
            "nulls",
        )
        for part in PARTS
    ]


def _context(folder: Path) -> Any:
    """Return a context whose one site lies in the folder."""
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    import great_expectations
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = great_expectations.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False, metric_calculations=False)
    for site in list(context.variables.data_docs_sites or {}):
        context.delete_data_docs_site(site)
    context.add_data_docs_site(
        site_name="corpus",
        site_config={
            "class_name": "SiteBuilder",
            "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
            "store_backend": {
                "class_name": "TupleFilesystemStoreBackend",
                "base_directory": str(folder.resolve()),
            },
        },
    )
    return context


def _judge(
    context: Any, name: str, table: Any, of_table: list[Check], severity: Mapping[str, str]
) -> Any:
    """Add a table's suite to the context, judge the table by it, and return the result.

    Args:
        context: Great Expectations'.
        name: of the suite; what comes before a dot becomes a folder.
        table: its rows.
        of_table: what is expected of it.
        severity: of each check that has one, by name.
    """
    import great_expectations
    from great_expectations.core.run_identifier import RunIdentifier

    suite = context.suites.add(great_expectations.ExpectationSuite(name=name))
    for check in of_table:
        kind = getattr(great_expectations.expectations, check.expectation)
        how = "warning" if severity.get(check.name) == "warning" else "critical"
        suite.add_expectation(
            kind(**check.arguments, severity=how, meta={"what": check.what}, notes=check.what)
        )
    asset = context.data_sources.add_pandas(name).add_dataframe_asset(name)
    definition = context.validation_definitions.add(
        great_expectations.ValidationDefinition(
            name=name, data=asset.add_batch_definition_whole_dataframe(name), suite=suite
        )
    )
    checkpoint = context.checkpoints.add(
        great_expectations.Checkpoint(
            name=name, validation_definitions=[definition], result_format="SUMMARY"
        )
    )
    done = checkpoint.run(
        batch_parameters={"dataframe": table}, run_id=RunIdentifier(run_name="validate")
    )
    (result,) = done.run_results.values()
    return result


def _suite(name: str, result: Any, pages: Path, folder: Path) -> Suite:
    """Return how a suite was met.

    Args:
        name: of its table.
        result: Great Expectations'.
        pages: where its one page lies.
        folder: that of the index.
    """
    missed: dict[str, list[str]] = {"critical": [], "warning": []}
    for each in result.results:
        if not each.success:
            config = each.expectation_config
            missed[config.severity.value].append(config.meta["what"])
    (page,) = pages.rglob("*.html")
    return Suite(
        name,
        len(result.results),
        missed["critical"],
        missed["warning"],
        page.relative_to(folder).as_posix(),
    )
