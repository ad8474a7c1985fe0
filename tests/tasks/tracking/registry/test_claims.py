"""A subject is claimed once; who comes second gets what the first has claimed."""

from pathlib import Path

from tasks.tracking.registry.claims import claim, claimed
from tasks.tracking.store import opened


def test_the_first_claim_holds(workspace: Path) -> None:
    ann, bob = {"decision": "approve", "by": "ann"}, {"decision": "reject", "by": "bob"}
    with opened() as client:
        assert claimed(client, "m", "review-1") is None
        assert claim(client, "m", "review-1", ann) == ann
        assert claim(client, "m", "review-1", bob) == ann
        assert claim(client, "m", "review-1", ann) == ann
        assert claim(client, "m", "review-2", bob) == bob
        assert claimed(client, "m", "review-1") == ann
