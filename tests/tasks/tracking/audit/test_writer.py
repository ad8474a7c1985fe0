"""A subject is claimed once; who comes second gets what the first has claimed."""

from pathlib import Path

from tasks.tracking.audit.log import read_log
from tasks.tracking.audit.writer import claim
from tasks.tracking.store import opened


def test_the_first_claim_holds(workspace: Path) -> None:
    ann, bob = {"decision": "approve", "by": "ann"}, {"decision": "reject", "by": "bob"}
    with opened() as client:
        assert read_log(client, "m").claims == {}
        assert claim(client, "m", "review-1", ann) == ann
        assert claim(client, "m", "review-1", bob) == ann
        assert claim(client, "m", "review-1", ann) == ann
        assert claim(client, "m", "review-2", bob) == bob
        assert read_log(client, "m").claims == {"review-1": ann, "review-2": bob}
