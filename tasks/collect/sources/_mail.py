"""Mail: one message an ``eml`` file, or many in an ``mbox``.

The text is the subject, an empty line, and what the message says: its plain parts, or, where it has
none, its HTML without tags, scripts and styles. Attachments are not read; ``columns`` may ask for
their names, and for any header. Mail comes from anywhere, with charsets that do not exist and bytes
that are not of the one it names: what cannot be decoded becomes U+FFFD, in place of refusing the
corpus for it.
"""

import email
import re
from collections.abc import Iterator
from email.errors import HeaderParseError
from email.header import decode_header
from email.message import Message
from email.utils import parsedate_to_datetime
from html.parser import HTMLParser

from tasks.collect.sources._columns import Row, TableSettings, as_label, as_text
from tasks.errors import BadInput
from tasks.remote.members import Member

MAXIMUM_BYTES = 64 * 2**20
"""A message with its attachments."""
ATTACHMENTS = "attachments"
_FROM = b"From "
_QUOTED_FROM = re.compile(rb"^>(>*From )", re.MULTILINE)
# fmt: off
_BLOCKS = frozenset([
    "address", "article", "blockquote", "br", "div", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "li",
    "p", "pre", "td", "tr",
])
# fmt: on
_SILENT = frozenset(("script", "style", "head", "title"))


def eml_rows(member: Member, settings: TableSettings) -> Iterator[Row]:
    """Yield the one message of a file.

    Raises:
        BadInput: it is too large, or lacks a header that the settings name.
    """
    with member.open() as file:
        content = file.read(MAXIMUM_BYTES + 1)
    yield _row(content, settings, member.name)


def mbox_rows(member: Member, settings: TableSettings) -> Iterator[Row]:
    """Yield the messages of an mbox (RFC 4155; lines quoted as ``>From `` are restored).

    Raises:
        BadInput: it is none, or a message is too large or lacks a header that the settings name.
    """
    with member.open() as file:
        first = file.readline(MAXIMUM_BYTES + 1)
        if first and not first.startswith(_FROM):
            raise BadInput(
                f"{member.name} is no mbox: it begins with {first[:20]!r}, expected 'From '"
            )
        lines: list[bytes] = []
        number, size, is_blank = 1, 0, False
        for line in iter(lambda: file.readline(MAXIMUM_BYTES + 1), b""):
            if is_blank and line.startswith(_FROM):
                yield _row(_unquoted(lines), settings, f"{member.name}: message {number}")
                lines, size, is_blank, number = [], 0, False, number + 1
                continue
            lines.append(line)
            size += len(line)
            if size > MAXIMUM_BYTES:
                raise BadInput(_too_large(f"{member.name}: message {number}"))
            is_blank = not line.strip(b"\r\n")
        if first:
            yield _row(_unquoted(lines), settings, f"{member.name}: message {number}")


def _unquoted(lines: list[bytes]) -> bytes:
    return _QUOTED_FROM.sub(rb"\1", b"".join(lines))


def _row(content: bytes, settings: TableSettings, where: str) -> Row:
    if len(content) > MAXIMUM_BYTES:
        raise BadInput(_too_large(where))
    if not content.strip():
        return Row("", None)
    try:
        message = email.message_from_bytes(content)
        text = f"{_header(message, 'subject') or ''}\n\n{_body(message)}".strip()
    except RecursionError:
        raise BadInput(f"{where} has parts within parts without end: leave it out") from None
    label = _value(message, settings.label) if settings.label else None
    if settings.label and label is None:
        raise BadInput(
            f"{where} has no header {settings.label!r} (setting label): name another one, '' if "
            "the records have no labels, or label_from: folder"
        )
    others = None
    if settings.columns is not None:
        others = {column: _value(message, column) for column in settings.columns}
    return Row(as_text(text, where), as_label(label, where), others)


def _too_large(where: str) -> str:
    return f"{where} has more than {MAXIMUM_BYTES:,} bytes: leave it out"


def _value(message: Message, name: str) -> str | None:
    """Return a header, a date as ISO 8601 has it, or the names of what is attached."""
    if name == ATTACHMENTS:
        return ", ".join(_decoded_words(found) for found in _attachments(message)) or None
    value = _header(message, name)
    if value is not None and name.lower() == "date":
        try:
            return parsedate_to_datetime(value).isoformat()
        except (ValueError, TypeError, OverflowError):
            return None
    return value


def _header(message: Message, name: str) -> str | None:
    try:
        value = message.get(name)
    except UnicodeError:
        return None
    return None if value is None else _decoded_words(value)


def _decoded_words(value: object) -> str:
    """Return a header's text (RFC 2047), its lines joined."""
    try:
        parts = decode_header(value)  # type: ignore[arg-type]
    except (HeaderParseError, ValueError):
        parts = [(str(value), None)]
    texts = [
        part if isinstance(part, str) else _decoded(part, charset or "utf-8")
        for part, charset in parts
    ]
    return " ".join("".join(texts).encode("utf-8", "replace").decode("utf-8").split())


def _decoded(content: bytes, charset: str) -> str:
    try:
        return content.decode(charset, "replace")
    except (LookupError, ValueError, UnicodeError):  # no such charset
        return content.decode("utf-8", "replace")


def _attachments(message: Message) -> list[str]:
    return [str(name) for part in message.walk() if (name := part.get_filename())]


def _body(message: Message) -> str:
    by_kind: dict[str, list[str]] = {"text/plain": [], "text/html": []}
    for part in message.walk():
        texts = by_kind.get(part.get_content_type())
        is_attached = part.get_filename() or part.get_content_disposition() == "attachment"
        if texts is None or part.is_multipart() or is_attached:
            continue
        content = part.get_payload(decode=True)
        if isinstance(content, bytes):
            texts.append(_decoded(content, str(part.get_content_charset("utf-8"))))
    plain = by_kind["text/plain"] or [_without_tags(html) for html in by_kind["text/html"]]
    return "\n\n".join(text.strip() for text in plain).replace("\r\n", "\n")


def _without_tags(html: str) -> str:
    parser = _Text()
    parser.feed(html)
    parser.close()
    lines = (" ".join(line.split()) for line in "".join(parser.texts).split("\n"))
    return "\n".join(line for line in lines if line)


class _Text(HTMLParser):
    """What a page shows."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002 - the library's signature
        """Begin a line at a block, and stop listening in a script."""
        self._silent += tag in _SILENT
        if tag in _BLOCKS:
            self.texts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        """End what the tag began."""
        self._silent -= tag in _SILENT and self._silent > 0
        if tag in _BLOCKS:
            self.texts.append("\n")

    def handle_data(self, data: str) -> None:
        """Keep a text."""
        if not self._silent:
            self.texts.append(data.replace("\n", " "))
