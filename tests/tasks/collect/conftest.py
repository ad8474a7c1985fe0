"""A small corpus on disk that the real stage reads."""

import io
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from PIL import Image

from tasks.collect.refresh import refresh
from tasks.collect.settings import Settings
from tasks.collect.stage import run

NAME = "reviews"


class Corpus:
    """The row ``reviews`` in an empty workspace."""

    def __init__(self, root: Path) -> None:
        self.folder = root / "data" / "sources" / NAME
        self.pin = self.folder / "pin.json"
        self.output = root / "data" / "collect" / NAME
        self.folder.mkdir(parents=True)
        self.pin.write_text("{}\n")

    def write(self, name: str, content: str | bytes) -> Path:
        """Put a file among the sources."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def zip(self, name: str, members: dict[str, str | bytes]) -> Path:
        """Put a zip archive among the sources."""
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for member, content in members.items():
                archive.writestr(member, content)
        return self.write(name, file.getvalue())

    def settings(self, *sources: dict[str, Any]) -> Settings:
        """Check sources as ``params.yaml`` would have them."""
        raw = {"sources": list(sources) or [{"kind": "files"}]}
        return Settings.parse(raw, f"corpora.{NAME}.collect")

    def refresh(self, *sources: dict[str, Any]) -> dict[str, Any]:
        """Pin the sources."""
        return refresh(NAME, self.settings(*sources), self.pin)

    def collect(self, *sources: dict[str, Any]) -> list[dict[str, Any]]:
        """Run the stage and return its records."""
        run(NAME, self.folder, self.pin, self.output, self.settings(*sources))
        return pq.read_table(self.output / "records.parquet").to_pylist()


@pytest.fixture
def corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Corpus:
    """Return an empty corpus; the working directory is its workspace."""
    monkeypatch.chdir(tmp_path)
    return Corpus(tmp_path)


@pytest.fixture
def png() -> bytes:
    """Return a greyscale PNG of 2 x 2 pixels."""
    file = io.BytesIO()
    Image.new("L", (2, 2), 7).save(file, format="PNG")
    return file.getvalue()


class Quiet(SimpleHTTPRequestHandler):
    """Serves a folder; the first answer for ``flaky.csv`` is an error."""

    failures = 0

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """Answer, or fail once."""
        if self.path.startswith("/flaky") and Quiet.failures == 0:
            Quiet.failures = 1
            self.send_error(503)
        else:
            super().do_GET()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """Return a served folder and its address."""
    folder = tmp_path / "site"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()
