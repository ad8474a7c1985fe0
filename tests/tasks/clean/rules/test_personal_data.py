"""Personal data, planted in real texts and masked."""

import csv
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tasks.clean.rules.personal_data import MASKS, Kind, masked

SAMPLE = Path(__file__).parents[3] / "data" / "reuters-sample.csv"
PLANTED: dict[Kind, list[str]] = {
    "email": [
        "anna.kowalska@example.org", "b_o+news@mail.example.co.uk", "x@y.de", "Jürgen@müller.de",
        "first.last@sub-domain.example.museum", "12345@qq.com", "info@example.com",
    ],
    "card": [
        "4111 1111 1111 1111", "4111111111111111", "5500-0000-0000-0004", "340000000000009",
        "3400 000000 00009", "6011000000000004", "3530111333300000", "2223003122003222",
    ],
    "ip": [
        "192.168.0.1", "10.0.0.255", "8.8.8.8", "2001:db8:85a3:0:0:8a2e:370:7334",
        "fe80::1ff:fe23:4567:890a", "255.255.255.0",
    ],
    "telephone": [
        "+49 30 123456", "+1 212 555 0123", "(212) 555-0123", "212-555-0123", "212.555.0123",
        "+44 20 7946 0958", "030 1234567", "0171-1234567", "+33 1 23 45 67 89", "1-800-555-0199",
        "0049 89 1234567", "+86 138 0013 8000", "(030) 123 4567", "+49 (0)89 123456",
    ],
}  # fmt: skip
DECOYS = [
    "12:30:45", "2020-01-02", "1,234,567.89", "3.14159265358979", "version 1.2.3", "1.2.3.4.5.6",
    "ISBN 0-306-40615-2", "4111 1111 1111 1112", "1234567890123456", "std::vector", "a::b",
    "user @ home", "@handle", "1990-1995", "01.02.2020", "2.5.2021", "555-0123", "12 345 678",
    "999.999.999.999", "page 100-200", "0.123456789", "(2019) 345-350", "§ 12 (3) 45", "10:00-12",
    "1 000 000 000", "12-34-56", "00:1A:2B", "US$ 100-200", "v10.0.0", "007", "$1,234,567,890",
]  # fmt: skip


def texts() -> list[str]:
    with SAMPLE.open(encoding="utf-8", newline="") as file:
        return [row["text"] for row in csv.DictReader(file)]


@pytest.mark.parametrize("kind", MASKS)
def test_each_kind_is_found_and_nothing_else(kind: Kind) -> None:
    found = wrong = planted = 0
    for number, text in enumerate(texts()):
        words = text.split()
        middle = len(words) // 2
        what = PLANTED[kind][number % len(PLANTED[kind])]
        decoy = DECOYS[number % len(DECOYS)]
        with_it = " ".join([*words[:middle], f"{what},", *words[middle:]])
        without = " ".join([*words[:middle], f"({decoy}).", *words[middle:]])
        planted += 1
        found += masked(with_it, [kind])[0] == with_it.replace(what, MASKS[kind])
        wrong += masked(without, [kind])[0] != without
    assert found / planted >= 0.95  # recall
    assert found / (found + wrong) >= 0.95  # precision


def test_a_card_is_not_masked_as_a_telephone() -> None:
    text = "call 212-555-0123, pay with 4111 1111 1111 1111, write to a@b.org, from 10.0.0.1"
    assert masked(text, ["telephone", "card", "email", "ip"]) == (
        "call <TELEPHONE>, pay with <CARD>, write to <EMAIL>, from <IP>",
        ["email", "card", "ip", "telephone"],
    )
    assert masked(text, ["ip"]) == (text.replace("10.0.0.1", "<IP>"), ["ip"])
    assert masked(text, []) == (text, [])


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ("card 4111 1111 1111 1111 12/26", "card <CARD> 12/26"),
        ("4111 1111 1111 1111 123 is its number and code", "<CARD> 123 is its number and code"),
        ("2 4111 1111 1111 1111", "2 <CARD>"),
        ("Card: 4111 1111 1111 1111 12 items", "Card: <CARD> 12 items"),
        ("Invoice 17 4111-1111-1111-1111", "Invoice 17 <CARD>"),
        ("4111 1111 1111 1111 12b", "<CARD> 12b"),
        ("17 340000000000009 4111111111111111 3", "17 <CARD> <CARD> 3"),
        ("3 3400 000000 00009 12", "3 <CARD> 12"),
    ],
)
def test_a_card_is_found_among_other_figures(found: str, expected: str) -> None:
    assert masked(found, ["card"]) == (expected, ["card"])


@pytest.mark.parametrize(
    "text",
    [
        "x4111 1111 1111 1111", "4111 1111 1111 1111b", "0.4111111111111111",
        "4111 1111 1111 1112 12/26", "17 24111111111111111", "411 111 111 111 1111 12",
    ],
)  # fmt: skip
def test_figures_that_only_hold_a_card_s_digits_stay(text: str) -> None:
    assert masked(text, ["card"]) == (text, [])


@pytest.mark.parametrize(
    ("kind", "found", "expected"),
    [
        ("email", "_john@example.com_", "<EMAIL>_"),
        ("email", "mail john@example.com- now", "mail <EMAIL>- now"),
        ("email", "jo@example.xn--p1ai", "<EMAIL>"),
        ("email", "john@mail.example.com.", "<EMAIL>."),
        ("email", f"请联系john@example.com{'请联系我们的客户服务部门' * 4}", None),
        ("email", "문의는 john@example.com으로", "문의는 <EMAIL>으로"),
        ("email", "почта@пример.рф", "<EMAIL>"),
        ("ip", "地址192.168.1.1", "地址<IP>"),
        ("ip", "地址192.168.1.1的", "地址<IP>的"),
        ("ip", "fe80::1 and 2001:db8::", "<IP> and <IP>"),
        ("ip", "of 2001:db8::1: nothing", "of <IP>: nothing"),
        ("ip", "地址2001:db8::1的", "地址<IP>的"),
        ("card", "卡号4111 1111 1111 1111的", "卡号<CARD>的"),
        ("telephone", "電話は03-1234-5678です", "電話は<TELEPHONE>です"),
        ("telephone", "Tel.+49 89 12345678", "Tel.<TELEPHONE>"),
        ("telephone", "06 12 34 56 78 or 06.12.34.56.78", "<TELEPHONE> or <TELEPHONE>"),
        ("telephone", "call 01761234567, 09012345678", "call <TELEPHONE>, <TELEPHONE>"),
        ("telephone", "(03) 1234 5678", "<TELEPHONE>"),
    ],
)
def test_ordinary_forms_are_found(kind: Kind, found: str, expected: str | None) -> None:
    expected = expected or found.replace("john@example.com", "<EMAIL>")
    assert masked(found, [kind]) == (expected, [kind])


@pytest.mark.parametrize(
    "text",
    [
        "12::34", "core::f128::x", "<b>f128::</b>", "dead::beef", "abc::def1::x",
        "std::a1::", "a1::b2", "12:30:45:", "fe80:1:",
        "john@example.c", "john@example", "a@b-c", "v192.168.1.1", "192.168.1.1a",
        "06 12 34 56 78 90 12", "net 01 12 03 14 05 16 vs 02", "0.01761234567", "0306406152",
        "06 12 34 56", "03 1986 1987", "<Buffer 01 02 03 04 05>", "0b11001100_00110011",
        "036000291452", "0000000000012",
    ],
)  # fmt: skip
def test_what_only_looks_alike_stays(text: str) -> None:
    assert masked(text, list(MASKS)) == (text, [])


DIGITS = st.text(alphabet="0123456789.-+@: ()_ab地", max_size=60)


@given(DIGITS)
@example("+1 212 555 0123+49 30 123456")
@example("212-555-0123(212) 555-0123")
def test_what_is_masked_stays_so(text: str) -> None:
    once, _ = masked(text, list(MASKS))
    assert masked(once, list(MASKS)) == (once, [])


@pytest.mark.parametrize(
    "character",
    [
        "a",
        "1",
        "1 ",
        "4 ",
        "41 ",
        "a@",
        "a.",
        ":",
        "1.",
        "@",
        "地",
        "a-",
        "a@a",
        "01 ",
        "1:",
        "::1",
        "a@a.",
        "+1 ",
    ],
)
def test_a_long_text_of_one_character_takes_no_time(character: str) -> None:
    text = character * 200_000
    assert isinstance(masked(text, list(MASKS))[0], str)


def test_masked_records_are_counted_by_kind(clean: Any) -> None:
    found = [
        {"text": "mail a@b.org or c@d.org", "split": "train"},
        {"text": "mail x@y.org or c@d.org", "split": "train"},
        {"text": "call +49 30 123456", "split": "test"},
    ]
    records, report = clean(found, personal_data=["email", "telephone"])
    assert [record["text"] for record in records] == ["mail <EMAIL> or <EMAIL>", "call <TELEPHONE>"]
    assert report["changed"] == {"email": 2, "telephone": 1}
    assert report["changed_examples"]["telephone"] == [{"source": "files:a", "row": 3}]
    assert report["dropped"]["duplicate"] == 1
