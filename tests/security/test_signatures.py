"""A decision that a reviewer has signed is shown as theirs, and as nobody's once it is altered."""

import json
import subprocess
from pathlib import Path

import pytest

from flows.cli.registry import history
from tasks.errors import BadInput
from tasks.promotion.review import decisions
from tasks.promotion.review.decisions import BadAnswer, decide
from tasks.promotion.review.requests import request
from tasks.promotion.review.signatures import SIGNATURE, Checked, check, sign, signatures
from tasks.promotion.review.store import latest
from tasks.promotion.rollback import history as read_history
from tasks.tracking.audit.log import Entry, aliases_of, read_log
from tasks.tracking.store import opened
from tests.security.test_claims import DECISION, plant
from tests.tasks.promotion.scene import MODEL, Scene

ANN = "ann@example.org"


@pytest.fixture
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Ann's key, which git's file of allowed signers names."""
    made = make_key(tmp_path / "ann")
    allowed = tmp_path / "allowed"
    allowed.write_text(f"{ANN} {made.with_suffix('.pub').read_text()}")
    config = tmp_path / "gitconfig"
    config.write_text(f'[gpg "ssh"]\n\tallowedSignersFile = {allowed}\n')
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    return made


def make_key(path: Path) -> Path:
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(path)]
    subprocess.run(command, check=True)
    return path


def entries() -> list[Entry]:
    with opened() as client:
        return read_log(client, MODEL).entries


def test_a_signed_decision_is_shown_as_its_signers(
    reviewed: Scene, key: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    decide(latest(MODEL), "approve", 'Better, "really": é.', "Ann", key)
    assert history(MODEL, verify=True) == 0
    shown = capsys.readouterr().out
    assert f"signed by {ANN}" in shown
    assert "SSH SIGNATURE" not in shown
    assert history(MODEL, json=True) == 0
    assert list(json.loads(capsys.readouterr().out)["signed"].values()) == [f"signed by {ANN}"]


def altered(entry: Entry, name: str) -> Entry:
    if name in entry["evidence"]:
        return {**entry, "evidence": {**entry["evidence"], name: "0" * 16}}
    return {**entry, name: 1 if name == "version_to" else "Eve"}  # type: ignore[typeddict-unknown-key, return-value]


@pytest.mark.parametrize(
    "name",
    ["actor", "reason", "action", "model", "version_to", "review", "candidate/weights",
     "candidate/served", "champion_since", "signature"],
)  # fmt: skip
def test_a_signature_is_of_one_decision_alone(reviewed: Scene, key: Path, name: str) -> None:
    decide(latest(MODEL), "approve", "Better.", "Ann", key)
    log = entries()
    (number,) = signatures(log)
    assert signatures(log)[number] == Checked(True, f"signed by {ANN}")
    forged = [altered(each, name) if each["number"] == number else each for each in log]
    assert not signatures(forged)[number].holds
    replayed: Entry = {**log[number - 1], "number": len(log) + 1}
    assert signatures([*log, replayed])[len(log) + 1] == Checked(
        False, "the signature is of another moment"
    )


def test_verify_fails_for_a_signature_that_is_not_of_its_entry(
    reviewed: Scene, key: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    decide(latest(MODEL), "reject", "Slow.", "Ann", key)
    signature = entries()[-1]["evidence"][SIGNATURE]
    reviewed.register("other")
    review = request(MODEL)
    plant(f"decision.{review.id}", json.dumps({**DECISION, SIGNATURE: signature}))
    with opened() as client:
        decisions.carry_out_abandoned(client, MODEL)
        assert aliases_of(client, MODEL) == {"candidate": 3, "champion": 1}
    last = entries()[-1]
    assert (last["action"], "the signature is not of this decision" in last["reason"]) == (
        "lapse",
        True,
    )
    assert read_history(MODEL).problems == []


def test_a_key_that_is_nobodys_is_said_to_be(
    reviewed: Scene, key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decide(latest(MODEL), "approve", "Better.", "Ann", make_key(tmp_path / "eve"))
    (says,) = read_history(MODEL).signed.values()
    assert says.startswith("signed with ED25519 key SHA256:")
    assert says.endswith("which is nobody's that " + str(tmp_path / "allowed") + " names")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    (says,) = read_history(MODEL).signed.values()
    assert says.endswith("whose it is is not known here")


def test_a_signature_for_something_else_and_what_is_none_do_not_hold(key: Path) -> None:
    text = "approve"
    made = subprocess.run(
        ["ssh-keygen", "-Y", "sign", "-f", str(key), "-n", "git"],
        input=text, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    for signature in (made, "", "\x00\udcff", sign("reject", key)):
        assert not check(text, signature).holds


def test_what_cannot_be_signed_is_not_decided(reviewed: Scene, key: Path, tmp_path: Path) -> None:
    review = latest(MODEL)
    with pytest.raises(BadInput, match=r"--sign: .*none signs nothing: Couldn't load"):
        decide(review, "approve", "Better.", "Ann", tmp_path / "none")
    with pytest.raises(BadAnswer, match=r"1,001 characters are too long .* beside a signature"):
        decide(review, "approve", "x" * 1001, "Ann", key)
    decide(review, "approve", '"' * 1000, "Ann", key)  # the log takes the longest
    assert read_history(MODEL).problems == []
