"""Prefect's memory of tags without a limit: ours lasts longer, and Prefect still reads it."""

from prefect.concurrency import services

from flows.orchestration.tag_limits import REMEMBERED_SECONDS, ask_seldom


def test_a_tag_without_a_limit_is_remembered_for_a_minute() -> None:
    ask_seldom()
    known = services._no_limits_cache
    assert known.ttl == REMEMBERED_SECONDS
    ask_seldom()
    assert services._no_limits_cache is known, "what is known already was forgotten"


def test_prefect_reads_that_memory_before_it_asks_its_server() -> None:
    acquire = services.ConcurrencySlotAcquisitionWithLeaseService.acquire
    assert "_no_limits_cache" in acquire.__code__.co_names
