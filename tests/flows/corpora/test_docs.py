"""Data Docs of a corpus, opened in a browser that may fetch nothing."""

import importlib
import warnings
from pathlib import Path

import pyarrow as pa
import pytest
from playwright.sync_api import Page, expect

from flows.corpora.docs import Suite, build_docs
from tasks.contracts import paths
from tasks.contracts.paths import PARTS
from tasks.contracts.records import split_schema, write_records
from tasks.validate.settings import Settings
from tests.flows.servers.test_up import page

__all__ = ["page"]  # a fixture

NEAR = " ".join(f"word{number}" for number in range(40))
LABELS = ("好评", "<script>document.title='run'</script>")
SETTINGS = {
    "maximum_leaked_share": 1.0,
    "minimum_records": 4,
    "near_duplicates": {},
    "severity": {"near_duplicates": "warning"},
}


@pytest.fixture(scope="module", autouse=True)
def _great_expectations() -> None:
    """Import the library while its own deprecation warnings are not errors; ours stay errors."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        importlib.import_module("great_expectations")


@pytest.fixture
def suites(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Suite]:
    """Build the docs of a corpus whose test split is too small and like train."""
    monkeypatch.chdir(tmp_path)
    schema = split_schema("text")
    for number, part in enumerate(PARTS):
        rows = [
            {"id": f"{number}{row:063x}", "text": f"{part} {row}", "label": LABELS[row % 2]}
            for row in range(3 if part == "test" else 8)
        ]
        rows[0]["text"] = f"{NEAR} {part}"
        batch = pa.RecordBatch.from_pylist(rows, schema=schema)
        write_records(paths.split("reviews", part), schema, [batch])
    (tmp_path / "docs").mkdir()
    settings = Settings.parse(SETTINGS, "corpora.reviews.validate")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        built = build_docs("reviews", settings, tmp_path / "docs")
    return {suite.name: suite for suite in built}


def test_each_table_has_a_suite_with_its_verdict(suites: dict[str, Suite]) -> None:
    assert list(suites) == [
        "schema", "train", "validation", "test", "leakage", "near_leakage", "classes", "corpus",
    ]  # fmt: skip
    assert suites["test"].failed == ["records in test"]
    assert suites["near_leakage"].failed == []
    assert [what[:28] for what in suites["near_leakage"].warned] == ["share of the second split th"]
    assert [name for name, suite in suites.items() if suite.failed] == ["test"]
    assert suites["train"].num_met == suites["train"].num_expected == 5


def test_the_pages_open_in_a_browser_run_nothing_and_fetch_nothing(
    suites: dict[str, Suite], tmp_path: Path, page: Page
) -> None:
    fetched: list[str] = []
    page.on("requestfinished", lambda request: fetched.append(request.url))
    page.goto((tmp_path / "docs" / "index.html").as_uri())
    row = page.get_by_role("row").filter(has=page.get_by_role("link", name="test", exact=True))
    expect(row).to_contain_text("not met")
    expect(row).to_contain_text("records in test")
    page.get_by_role("link", name="test", exact=True).click()
    expect(page.locator("body")).to_contain_text("reviews.test")
    expect(page.locator("body")).to_contain_text("Must have greater than or equal to 4 rows.")
    expect(page.locator("body")).to_contain_text("Failed")
    page.goto((tmp_path / "docs" / suites["classes"].page).as_uri())
    expect(page.locator("body")).to_contain_text("Succeeded")
    expect(page.locator("img:visible")).to_have_count(0)
    assert page.title() != "run"
    page.goto((tmp_path / "docs" / suites["test"].page).as_uri())
    met, missed = page.get_by_text("values must be unique."), page.get_by_text("Must have greater")
    expect(met).to_be_visible()
    page.get_by_text("Failed Only").click()
    expect(met).to_be_hidden()
    expect(missed).to_be_visible()
    assert len(fetched) == 4
    assert all(address.startswith(tmp_path.as_uri()) for address in fetched)
