"""Mail as records: subject and body, headers as columns, and what mail gets wrong."""

import mailbox
import time
from email.message import EmailMessage
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tasks.collect.sources import _mail
from tasks.errors import BadInput

if TYPE_CHECKING:
    from tests.tasks.collect.conftest import Corpus

FOLDER = {"kind": "files", "label_from": "folder"}
COLUMNS = ["from", "date", "attachments", "x-none"]


def message(subject: str, body: str, **headers: str) -> EmailMessage:
    mail = EmailMessage()
    mail["From"] = "Ann <ann@example.org>"
    mail["Subject"] = subject
    mail["Date"] = "Mon, 02 Mar 2026 10:00:00 +0100"
    for name, value in headers.items():
        mail[name.replace("_", "-")] = value
    mail.set_content(body)
    return mail


def texts(records: list[dict[str, Any]]) -> list[tuple[str, str | None]]:
    return [(record["text"], record["label"]) for record in records]


def test_a_message_is_subject_and_body_and_its_folder_is_its_class(corpus: "Corpus") -> None:
    corpus.write("spam/1.eml", message("Спам", "мы пишем 100 €\n").as_bytes())
    corpus.write("ham/2.eml", message("Minutes", "As discussed.\n").as_bytes())
    assert texts(corpus.collect(FOLDER)) == [
        ("Minutes\n\nAs discussed.", "ham"),
        ("Спам\n\nмы пишем 100 €", "spam"),
    ]


def test_plain_parts_are_preferred_to_html_and_attachments_are_named(corpus: "Corpus") -> None:
    mail = message("Report", "See below.\n")
    mail.add_alternative("<p>not this one</p>", subtype="html")
    mail.add_attachment(b"%PDF", maintype="application", subtype="pdf", filename="Übersicht.pdf")
    mail.add_attachment("secret,1", subtype="csv", filename="t.csv")
    corpus.write("a/1.eml", mail.as_bytes())
    (found,) = corpus.collect({**FOLDER, "columns": COLUMNS})
    assert found["text"] == "Report\n\nSee below."
    assert {name: found[name] for name in COLUMNS} == {
        "from": "Ann <ann@example.org>",
        "date": "2026-03-02T10:00:00+01:00",
        "attachments": "Übersicht.pdf, t.csv",
        "x-none": None,
    }


def test_html_alone_is_read_without_tags_scripts_and_styles(corpus: "Corpus") -> None:
    mail = EmailMessage()
    mail["Subject"] = "Offer"
    html = (
        "<html><head><style>p {}</style><title>x</title></head><body><p>Buy &amp;\n save</p>"
        "<script>alert(1)</script><div>Now<br>or <b>never</b></div></body></html>"
    )
    mail.set_content(html, subtype="html")
    corpus.write("a/1.eml", mail.as_bytes())
    assert corpus.collect(FOLDER)[0]["text"] == "Offer\n\nBuy & save\nNow\nor never"


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        ("<html><head><title>t</title><body><p>Hello</p>", "Hello"),
        ("<table><th>a</th><th>b</table><dt>c<dd>d", "a\nb\nc\nd"),
        ("<p>5 <![ 6</p>", "5"),
        ("a <![foo[x]]> b", "a b"),
        ("3 < 4 &lt; 5 <3", "3 < 4 < 5 <3"),
        ("a <!-- <b> hidden --> b", "a b"),
        ("a <!-- never closed", "a"),
        ("a <script>x</script> b <SCRIPT>y</SCRIPT > c <script>", "a b c"),
        ("<a " * 100_000, ""),
        ("<!--" * 100_000, ""),
        ("<script>" * 100_000, ""),
        ("<x>a" * 100_000, "a" * 100_000),
    ],
    ids=range(12),
)
def test_html_of_any_kind_is_read_at_once(corpus: "Corpus", page: str, expected: str) -> None:
    started = time.monotonic()
    corpus.write("a/1.eml", b"Content-Type: text/html\n\n" + page.encode())
    assert corpus.collect(FOLDER)[0]["text"] == expected
    assert time.monotonic() - started < 10


def test_a_long_header_of_encoded_words_is_read_at_once(corpus: "Corpus") -> None:
    started = time.monotonic()
    corpus.write("a/1.eml", b"Subject: " + b"=?a?b?c" * 100_000 + b"\n\nbody")
    assert corpus.collect(FOLDER)[0]["text"].endswith("body")
    assert time.monotonic() - started < 10


def test_what_is_attached_is_not_read_and_what_has_but_a_name_is(corpus: "Corpus") -> None:
    forwarded = (
        b"Content-Type: multipart/mixed; boundary=x\n\n--x\n"
        b'Content-Type: text/plain; name="body.txt"\n\nthe body\n--x\n'
        b"Content-Type: message/rfc822\nContent-Disposition: attachment\n\n"
        b"Subject: inner\n\nattached mail\n--x--\n"
    )
    corpus.write("a/1.eml", forwarded)
    assert corpus.collect(FOLDER)[0]["text"] == "the body"


def test_html_is_read_where_the_plain_part_is_blank(corpus: "Corpus") -> None:
    mail = message("Offer", " \n")
    mail.add_alternative("<p>in html</p>", subtype="html")
    corpus.write("a/1.eml", mail.as_bytes())
    assert corpus.collect(FOLDER)[0]["text"] == "Offer\n\nin html"


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"Subject: =?gb2312?b?xOO6ww==?=\n\nok", "你好\n\nok"),
        (b"Subject: =?utf-8?q?a?=\n =?utf-8?q?b?=\n\nok", "ab\n\nok"),
        (b"Subject: =?no-such?q?caf=E9?=\n\nok", "caf\ufffd\n\nok"),
        (b"Subject: caf\xe9\n\nok", "caf\ufffd\n\nok"),
        (b"Subject: =?utf-8?b?!!!?=\n\nok", "ok"),
        (b"Content-Type: text/plain; charset=no-such\n\ncaf\xe9", "caf\ufffd"),
        (b"Content-Type: text/plain; charset=koi8-r\n\n\xd4\xc5\xd3\xd4", "тест"),
        (
            b"Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64\n\nww==",
            "\ufffd",
        ),
        (b"Content-Type: multipart/mixed; boundary=x\n\nno boundary", ""),
        (b"no header at all", "no header at all"),
        (b"Content-Type: text/plain; charset=\n\nok", "ok"),
        (b"Content-Type: text/plain; charset=idna\n\nok\xff", "ok\ufffd"),
        (b"Content-Type: text/plain; charset=rot13\n\nok", "ok"),
    ],
)
def test_charsets_that_are_wrong_cost_characters_and_not_the_corpus(
    corpus: "Corpus", raw: bytes, expected: str
) -> None:
    corpus.write("a/1.eml", raw)
    assert corpus.collect(FOLDER)[0]["text"] == expected


def test_an_mbox_holds_many_messages_and_a_header_may_be_the_class(
    corpus: "Corpus", tmp_path: Path
) -> None:
    box = mailbox.mbox(tmp_path / "box")
    for number, spam in enumerate(("YES", "NO")):
        mail = message(f"Mail {number}", "Hello\n\nFrom here on it is quoted\n", X_Spam=spam)
        box.add(mailbox.mboxMessage(mail))
    box.close()
    corpus.write("inbox.mbox", (tmp_path / "box").read_bytes())
    body = "Hello\n\nFrom here on it is quoted"
    found = corpus.collect({"kind": "files", "label": "X-Spam"})
    assert texts(found) == [(f"Mail 0\n\n{body}", "YES"), (f"Mail 1\n\n{body}", "NO")]
    assert [record["row"] for record in found] == [1, 2]
    by_file = corpus.collect({"kind": "files", "label_from": "file"})
    assert {record["label"] for record in by_file} == {"inbox"}


def test_what_is_no_mail_as_the_settings_say_is_refused(
    corpus: "Corpus", monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus.write("a.mbox", b"Subject: x\n\nno mbox")
    with pytest.raises(BadInput, match=r"a\.mbox is no mbox: it begins with b'Subject: x"):
        corpus.collect(FOLDER | {"label_from": "file"})
    corpus.write("a.mbox", b"From a\nSubject: x\n\nbody")
    with pytest.raises(BadInput, match=r"a\.mbox: message 1 has no header 'label'.*label_from"):
        corpus.collect({"kind": "files"})
    with pytest.raises(BadInput, match=r"a\.mbox lies in no folder that could be its class"):
        corpus.collect(FOLDER)
    monkeypatch.setattr(_mail, "MAXIMUM_BYTES", 10)
    with pytest.raises(BadInput, match=r"a\.mbox: message 1 has more than 10 bytes"):
        corpus.collect({"kind": "files", "label": ""})


def test_parts_within_parts_without_end_are_refused(corpus: "Corpus") -> None:
    raw = b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (depth, depth)
        for depth in range(5_000)
    )
    corpus.write("a/1.eml", raw)
    with pytest.raises(BadInput, match="parts within parts without end"):
        corpus.collect(FOLDER)
