"""A record's split depends on its content, the seed and the shares alone."""

from hypothesis import given
from hypothesis import strategies as st

from tasks.contracts.paths import PARTS, Part
from tasks.split.assign import assign, part_by_hash, point

IDENTITIES = st.text(alphabet="0123456789abcdef", min_size=64, max_size=64)


def test_the_point_of_a_record_never_changes() -> None:
    # Written down once: another value here means that every corpus is divided anew.
    assert point("00" * 32, 0) == 0.9660078297513444
    assert point("00" * 32, 1) == 0.7616444570908776


@given(IDENTITIES, st.integers())
def test_points_lie_between_0_and_1(identity: str, seed: int) -> None:
    assert 0 <= point(identity, seed) < 1


@given(IDENTITIES, st.floats(0, 0.5), st.floats(0, 0.4))
def test_a_larger_test_share_takes_no_record_out_of_test(
    identity: str, test: float, more: float
) -> None:
    if part_by_hash(identity, 0, 0.1, test) == "test":
        assert part_by_hash(identity, 0, 0.1, test + more) == "test"


def test_shares_of_nothing_give_all_to_train() -> None:
    assert {part_by_hash(f"{number:064x}", 0, 0, 0) for number in range(100)} == {"train"}


@given(st.sampled_from(PARTS), st.sets(st.sampled_from(PARTS)))
def test_records_without_an_official_split_go_by_their_hash(
    by_hash: Part, official: set[Part]
) -> None:
    assert assign(None, by_hash, frozenset(official)) == by_hash


@given(st.sampled_from(PARTS), st.sampled_from(PARTS), st.sets(st.sampled_from(PARTS)))
def test_only_official_train_is_ever_moved_and_only_to_what_is_missing(
    official: Part, by_hash: Part, others: set[Part]
) -> None:
    existing = frozenset({official, *others})
    found = assign(official, by_hash, existing)
    if official != "train" or by_hash in existing:
        assert found == official
    else:
        assert found == by_hash
