"""One file of the web, within bounded time, and no further than its address means.

A server that sends a little now and then never runs into a time-out of its own, and one that
redirects may name any address that this machine can reach. Both are decided here.
"""

import ipaddress
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urljoin, urlsplit

from tasks.errors import BadInput, Unreachable

if TYPE_CHECKING:
    from requests import Response, Session

ATTEMPTS = 4
GRACE_SECONDS = 60.0
"""How long a download may be slow: until it is answered, and in all."""
LEAST_BYTES_A_SECOND = 16 * 2**10
_CHUNK_BYTES = 64 * 2**10
_TIMEOUT_SECONDS = (10, 60)
_LOOKS_EVERY_SECONDS = 0.2
_MOST_REDIRECTS = 10
_LONGEST_NAME = 120


class _GivenUpError(Exception):
    """Ends a download that nobody waits for."""


def check_address(url: str) -> None:
    """Refuse what is no address of the web.

    Raises:
        ValueError: it is none, or has a login.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"expected http:// or https://, found {url!r}")
    if parts.password or parts.username:
        raise ValueError("an address holds no password: put it into ~/.netrc")
    # Libraries leave such characters out, or take them for others; so it would be another address.
    if not url.isprintable() or "\\" in url or url != url.strip():
        raise ValueError("an address with control characters, a backslash or spaces around it")
    try:
        parts.hostname.encode("idna")
    except UnicodeError:
        raise ValueError(f"{parts.hostname:.80} is no name of a host") from None
    _ = parts.port  # a ValueError where it is none


def file_name(url: str) -> str:
    """Return the name under which a download is kept: the last part of its address."""
    name = unquote(urlsplit(url).path).rsplit("/", 1)[-1]
    if name in ("", ".", "..") or not name.isprintable():
        return "download"
    # A format is told by a name's end.
    return name if len(name.encode()) <= 2 * _LONGEST_NAME else name[-_LONGEST_NAME // 2 :]


def download(url: str, path: Path, maximum_bytes: int) -> None:
    """Download a file; a failure of the network is tried again.

    Args:
        url: its address.
        path: where it is written.
        maximum_bytes: how large it may be.

    Raises:
        BadInput: there is none, it is too large, or the server redirects to where it may not.
        Unreachable: the server does not answer, or too slowly.
    """
    import requests
    import urllib3
    from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential

    failures = (requests.RequestException, urllib3.exceptions.HTTPError)
    retrying = Retrying(
        retry=retry_if_exception_type(failures),
        stop=stop_after_attempt(ATTEMPTS),
        wait=wait_exponential(multiplier=0.5, max=10),
        reraise=True,
    )
    try:
        retrying(_watched, url, path, maximum_bytes)
    except failures as error:
        raise Unreachable(
            f"{url} does not answer ({type(error).__name__}, {ATTEMPTS} attempts): try again later"
        ) from None


def _watched(url: str, path: Path, maximum_bytes: int) -> None:
    """Download in a thread of its own, which is left alone where it takes too long.

    No time-out of a socket ends a name that is not resolved, headers that never end, or a byte a
    minute.
    """
    started, done = time.monotonic(), Future[None]()
    num_bytes = 0

    def received(count: int) -> None:
        nonlocal num_bytes
        if done.cancelled():
            raise _GivenUpError
        num_bytes += count
        if num_bytes > maximum_bytes:
            raise BadInput(f"{url} is larger than {maximum_bytes:,} bytes: raise maximum_megabytes")

    def run() -> None:
        try:
            _stream(url, path, received)
        except Exception as error:  # noqa: BLE001 - raised where it is waited for
            _settle(done, error)
        else:
            _settle(done, None)

    threading.Thread(target=run, daemon=True, name=f"download {url}").start()
    while True:
        try:
            return done.result(_LOOKS_EVERY_SECONDS)
        except FutureTimeout:
            elapsed = time.monotonic() - started
            if elapsed > GRACE_SECONDS and num_bytes < LEAST_BYTES_A_SECOND * elapsed:
                done.cancel()
                raise Unreachable(
                    f"{url} is too slow: {num_bytes:,} bytes in {elapsed:.0f} seconds; try again "
                    "later, or copy the file into data/sources"
                ) from None


def _settle(done: "Future[None]", error: Exception | None) -> None:
    if done.set_running_or_notify_cancel():
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)


def _stream(url: str, path: Path, received: Callable[[int], None]) -> None:
    import requests

    with requests.Session() as session, _answer(session, url) as answer:
        if 400 <= answer.status_code < 500:
            raise BadInput(f"{url} answers {answer.status_code} {answer.reason}: check the address")
        answer.raise_for_status()
        with path.open("wb") as file:
            for chunk in answer.iter_content(_CHUNK_BYTES):
                received(len(chunk))
                file.write(chunk)


def _answer(session: "Session", url: str) -> "Response":
    target = url
    for _ in range(_MOST_REDIRECTS + 1):
        answer = _one_answer(session, target)
        following = session.get_redirect_target(answer)
        if not following:
            return answer
        answer.close()
        target = checked_redirect(target, following, url)
    raise BadInput(f"{url} redirects more than {_MOST_REDIRECTS} times: check the address")


def _one_answer(session: "Session", url: str) -> "Response":
    """Ask without following: ``Session.get`` would read a redirect's whole body all the same."""
    from requests import Request
    from requests.cookies import extract_cookies_to_jar

    # Without this a server may pack a file for the way, and the sha256 would depend on it.
    request = session.prepare_request(Request("GET", url, {"Accept-Encoding": "identity"}))
    environment: Any = session.merge_environment_settings(url, {}, True, None, None)
    answer = session.get_adapter(url).send(request, timeout=_TIMEOUT_SECONDS, **environment)
    extract_cookies_to_jar(session.cookies, request, answer.raw)
    return answer


def checked_redirect(base: str, following: str, url: str) -> str:
    """Return where an answer leads on, unless only this machine or its network can reach it.

    The host of the address itself is what was asked for, wherever it is.

    Args:
        base: what was asked.
        following: where a redirect, or a link, says to go on, perhaps in relation to that.
        url: what was asked first.

    Raises:
        BadInput: the target is such a host, or no address.
    """
    from requests.utils import get_environ_proxies, select_proxy

    try:
        target = urljoin(base, following)
        check_address(target)
    except ValueError as error:
        raise BadInput(f"{url} redirects to no address: {error}") from None
    host = urlsplit(target).hostname or ""
    if host == urlsplit(url).hostname:
        return target
    # A proxy resolves names by itself; only what is an address already can be told here.
    by_proxy = select_proxy(target, get_environ_proxies(target)) is not None
    flags = socket.AI_NUMERICHOST if by_proxy and host != "localhost" else socket.AddressInfo(0)
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=flags)
    except OSError:
        return target  # asking for it says so too
    for *_, where in found:
        address = ipaddress.ip_address(str(where[0]).partition("%")[0])
        inner = getattr(address, "ipv4_mapped", None) or getattr(address, "sixtofour", None)
        if not (inner or address).is_global:
            raise BadInput(
                f"{url} redirects to {target}, in this machine or its own network, which was not "
                "asked: name that address if it is meant"
            )
    return target
