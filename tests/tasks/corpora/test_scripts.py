"""Which scripts tell words apart by spaces."""

from tasks.corpora.scripts import words_are_spaced


def test_scripts_without_spaces_are_known() -> None:
    assert words_are_spaced(["Plain English, of course."])
    assert words_are_spaced(["한국어는 띄어쓰기를 한다"])
    for text in (
        "股市今天上涨投资者高兴",
        "これは日本語の文章です",
        "ภาษาไทยไม่เว้นวรรค",
        "ພາສາລາວ",
        "ភាសាខ្មែរ",
        "မြန်မာဘာသာ",
    ):
        assert not words_are_spaced([text]), text
