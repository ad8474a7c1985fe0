"""Servers of strangers that a corpus is downloaded from: redirects, slowness, odd addresses."""

import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tasks.errors import BadInput, BadSettings, Unreachable
from tasks.remote import web
from tests.tasks.collect.conftest import Corpus


class Stranger(BaseHTTPRequestHandler):
    """Answers by path; ``asked`` has the paths, ``leads_to`` where ``/away`` redirects."""

    asked: list[str]
    leads_to: str
    ended: threading.Event
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """Answer."""
        self.asked.append(self.path)
        self.close_connection = True
        with suppress(OSError):  # the client may go away
            getattr(self, f"answer_{self.path.strip('/').partition('.')[0]}", self.answer_file)()

    def answer_file(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"a\n")

    def answer_away(self) -> None:
        self.send_response(302)
        self.send_header("Connection", "close")
        self.send_header("Location", self.leads_to)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def answer_drip(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "1000000")
        self.end_headers()
        self._drip(b"a")

    def answer_headers(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
        self._drip(b"x")

    def _drip(self, content: bytes) -> None:
        while not self.ended.wait(0.05):
            self.wfile.write(content)
            self.wfile.flush()


@pytest.fixture
def stranger() -> Iterator[tuple[type[Stranger], int]]:
    """A server, as a handler to look into, and its port."""
    handler = type("Asked", (Stranger,), {"asked": [], "ended": threading.Event(), "leads_to": ""})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield handler, server.server_port
    handler.ended.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    "target",
    [
        "http://127.0.0.1:{port}/secret",
        "http://[::1]:{port}/secret",
        "http://[::ffff:127.0.0.1]:{port}/secret",
        "http://0x7f.1:{port}/secret",
        "http://2130706433:{port}/secret",
        "http://0.0.0.0:{port}/secret",
        "http://169.254.169.254/latest/meta-data",
        "http://10.0.0.1/",
        "//127.0.0.1:{port}/secret",
    ],
)
def test_no_redirect_leads_into_the_machine_or_its_network(
    corpus: Corpus, stranger: tuple[type[Stranger], int], target: str
) -> None:
    handler, port = stranger
    handler.leads_to = target.format(port=port)
    with pytest.raises(BadInput, match=r"in this machine or its own network, which was not asked"):
        corpus.refresh({"kind": "url", "urls": f"http://localhost:{port}/away.txt"})
    assert handler.asked == ["/away.txt"]


@pytest.mark.parametrize(
    "target", ["file:///etc/passwd", "ftp://127.0.0.1/a", "http://u:p@example.org/", "http://[::1"]
)
def test_nor_to_what_is_no_address_of_the_web(
    corpus: Corpus, stranger: tuple[type[Stranger], int], target: str
) -> None:
    handler, port = stranger
    handler.leads_to = target
    with pytest.raises(BadInput, match=r"/away\.txt redirects to no address: "):
        corpus.refresh({"kind": "url", "urls": f"http://localhost:{port}/away.txt"})


def test_a_redirect_within_the_host_that_was_named_is_followed(
    corpus: Corpus, stranger: tuple[type[Stranger], int]
) -> None:
    handler, port = stranger
    handler.leads_to = "/file.txt"
    source = {"kind": "url", "urls": f"http://127.0.0.1:{port}/away.txt"}
    corpus.refresh(source)
    assert [record["text"] for record in corpus.collect(source)] == ["a"]
    assert handler.asked == ["/away.txt", "/file.txt"]


def test_redirects_in_a_circle_end(corpus: Corpus, stranger: tuple[type[Stranger], int]) -> None:
    handler, port = stranger
    handler.leads_to = "/away.txt"
    with pytest.raises(BadInput, match="redirects more than 10 times: check the address"):
        corpus.refresh({"kind": "url", "urls": f"http://127.0.0.1:{port}/away.txt"})


@pytest.mark.parametrize("path", ["drip.txt", "headers.txt"])
def test_a_server_that_sends_a_byte_now_and_then_is_given_up(
    corpus: Corpus,
    stranger: tuple[type[Stranger], int],
    path: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(web, "GRACE_SECONDS", 0.3)
    _, port = stranger
    with pytest.raises(Unreachable, match=rf"{path} is too slow: [0-9]+ bytes in [0-9]+ seconds"):
        corpus.refresh({"kind": "url", "urls": f"http://127.0.0.1:{port}/{path}"})
    assert list(corpus.folder.iterdir()) == [corpus.pin]
    assert corpus.pin.read_text() == "{}\n"


@pytest.mark.parametrize(
    "url",
    [
        "http://[::1",
        "http://example.org:99999/a.txt",
        "http://example.org:x/a.txt",
        "http://good.org\\@evil.org/a.txt",
        "http://example.org/a\nb.txt",
        "http://example.org/a\x1b[2Jb.txt",
        "http://a..b/a.txt",
        f"http://{'a' * 64}.org/a.txt",
        "http:///a.txt",
        "file:///etc/passwd",
        " http://example.org/a.txt",
        "http://u:p@example.org/a.txt",
    ],
)
def test_an_odd_address_is_refused_before_anybody_is_asked(corpus: Corpus, url: str) -> None:
    with pytest.raises(BadSettings, match=r"^params\.yaml: corpora\.reviews\.collect\.sources\.0"):
        corpus.settings({"kind": "url", "urls": url})


@pytest.mark.parametrize(
    ("end", "name"),
    [
        ("a.csv", "a.csv"),
        ("x/", "download"),
        ("..", "download"),
        ("%2e%2e", "download"),
        ("..%2f..%2fetc%2fpasswd.csv", "passwd.csv"),
        ("a%00b.csv", "download"),
        ("a%0ab.csv", "download"),
        (f"{'a' * 300}.csv.gz", f"{'a' * 53}.csv.gz"),
        ("测试.csv?x=/y.txt#z", "测试.csv"),
    ],
)
def test_a_download_is_kept_under_a_name_without_harm(end: str, name: str) -> None:
    assert web.file_name(f"http://example.org/{end}") == name


def test_what_is_given_up_ends_its_thread(
    stranger: tuple[type[Stranger], int], tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "GRACE_SECONDS", 0.3)
    monkeypatch.setattr(web, "_CHUNK_BYTES", 1)
    address = f"http://127.0.0.1:{stranger[1]}/drip.txt"
    with pytest.raises(Unreachable):
        web.download(address, tmp_path / "a.txt", 100)
    deadline = time.monotonic() + 60
    while any(thread.name == f"download {address}" for thread in threading.enumerate()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
