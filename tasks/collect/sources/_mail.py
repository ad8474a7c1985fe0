"""Mail: one message an ``eml`` file, or many in an ``mbox``.

The text is the subject, an empty line, and what the message says: its plain parts, or, where it has
none, its HTML without tags, scripts and styles. Attachments are not read; ``columns`` may ask for
their names, and for any header. Mail comes from anywhere, with charsets that do not exist and bytes
that are not of the one it names: what cannot be decoded becomes U+FFFD, in place of refusing the
corpus for it.
"""

import email
import html
import re
from collections.abc import Iterator
from email.errors import HeaderParseError
from email.header import decode_header
from email.message import Message
from email.utils import parsedate_to_datetime

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
    "address", "article", "blockquote", "br", "dd", "div", "dt", "h1", "h2", "h3", "h4", "h5", "h6",
    "hr", "li", "option", "p", "pre", "td", "th", "title", "tr",
])
# fmt: on
_SILENT = frozenset(("script", "style", "title"))
_TAG = re.compile(r"</?([a-zA-Z][a-zA-Z0-9]*)")
# Splitting encoded words takes the square of a header's length; no real one is longer.
_LONGEST_HEADER = 10_000


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
    if settings.targets is not None:
        raise BadInput(f"{where}: mail has no targets (setting targets): drop it, or use a table")
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
    if len(str(value)) > _LONGEST_HEADER:
        value = str(value)[:_LONGEST_HEADER]
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


def _is_attached(part: Message) -> bool:
    return part.get_content_disposition() == "attachment"


def _attachments(message: Message) -> list[str]:
    """Return the names of what is attached, or shown within the text as an image is."""
    return [
        str(name)
        for part in message.walk()
        if (name := part.get_filename())
        and (_is_attached(part) or part.get_content_maintype() != "text")
    ]


def _said(part: Message) -> Iterator[Message]:
    """Yield the parts that are what the message says: those that are not attached."""
    if _is_attached(part):
        return
    yield part
    if part.is_multipart():
        for inner in part.get_payload():
            if isinstance(inner, Message):
                yield from _said(inner)


def _body(message: Message) -> str:
    by_kind: dict[str, list[str]] = {"text/plain": [], "text/html": []}
    for part in _said(message):
        texts = by_kind.get(part.get_content_type())
        content = part.get_payload(decode=True)
        if texts is not None and isinstance(content, bytes):
            texts.append(_decoded(content, str(part.get_content_charset("utf-8"))))
    plain = [text for text in by_kind["text/plain"] if text.strip()]
    shown = plain or [_without_tags(page) for page in by_kind["text/html"]]
    return "\n\n".join(text.strip() for text in shown).replace("\r\n", "\n")


def _without_tags(page: str) -> str:
    """Return what an HTML page shows, a line a block.

    By hand, from front to back: the library's parser takes the square of some pages' length, and
    raises on others.
    """
    lower = page.lower()
    texts = []
    position = 0
    while (start := page.find("<", position)) >= 0:
        texts.append(page[position:start].replace("\n", " "))
        tag = _TAG.match(page, start)
        if page.startswith("<!--", start):
            end = page.find("-->", start)
        elif tag or page.startswith(("<!", "<?"), start):
            end = page.find(">", start)
        else:  # a sign of its own
            texts.append("<")
            position = start + 1
            continue
        if end < 0:
            return _as_lines(texts)
        position = page.find(">", end) + 1
        name = tag.group(1).lower() if tag else ""
        if name in _BLOCKS:
            texts.append("\n")
        if name in _SILENT and page[start + 1] != "/":
            position = lower.find(f"</{name}", position)
            if position < 0:
                return _as_lines(texts)
    texts.append(page[position:].replace("\n", " "))
    return _as_lines(texts)


def _as_lines(texts: list[str]) -> str:
    lines = (" ".join(html.unescape(line).split()) for line in "".join(texts).split("\n"))
    return "\n".join(line for line in lines if line)
