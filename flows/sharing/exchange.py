"""Results shared with other machines by DVC's remote, beside the stages that run.

Fetching happens where a stage would start, or before, where ``dvc.lock`` tells already what it will
need; sending in threads of its own once a result is recorded, so that no stage waits for it.
"""

import os
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from typing import Any, TypeVar

from flows.dvc.recorder import Wanted
from flows.plan.plan import StagePlan
from flows.sharing.remote import Remote
from tasks.contracts.lock import hashes
from tasks.errors import DownstreamError, Unreachable
from tasks.progress import say
from tasks.stage_process.stage_hash import entry_hash

STAGES_AT_ONCE = 4
TRIES, LONGEST_WAIT_SECONDS = 4, 60.0
"""Of one transfer when a stage waits for it; the flow tries the stage four times more."""
SENDING_TRIES = 8
FIRST_WAIT_SECONDS = float(os.environ.get("DOWNSTREAM_RETRY_SECONDS", "2"))

T = TypeVar("T")


class Exchange:
    """What one run takes from the remote, and what it sends."""

    def __init__(self, pull: bool, push: bool) -> None:
        """Open the remote.

        Args:
            pull: take results from it.
            push: send results to it.

        Raises:
            BadSettings: there is no remote that can be used.
        """
        self.pull, self.push = pull, push
        self._remote = Remote()
        self._threads = ThreadPoolExecutor(STAGES_AT_ONCE, thread_name_prefix="exchange")
        self._coming: dict[str, Future[bool]] = {}
        self._going: dict[str, Future[int]] = {}

    @property
    def name(self) -> str:
        """The remote's name in DVC's configuration."""
        return self._remote.name

    def fetch_early(self, stages: Iterable[StagePlan], lock: Mapping[str, dict[str, Any]]) -> None:
        """Begin to fetch what ``dvc.lock`` records and what is only missing here.

        Args:
            stages: of a plan, upstream first.
            lock: the entries of ``dvc.lock``.
        """
        expected: set[str] = set()
        for stage in stages:
            entry, reasons = lock.get(stage.name), stage.reasons
            above = {reason.what for reason in reasons if reason.kind == "upstream"}
            missing = {reason.kind for reason in reasons} <= {"missing", "upstream"}
            if entry and missing and above <= expected:
                recorded = hashes(entry, "outs")
                wanted = Wanted(entry_hash(entry), tuple(recorded), recorded)
                expected.add(stage.name)
                self._coming[stage.name] = self._threads.submit(self._fetch, stage.name, wanted)

    def fetch(self, name: str, wanted: Wanted) -> bool:
        """Bring a stage's result into DVC's cache, if the remote has it.

        Args:
            name: the stage.
            wanted: which result.

        Returns:
            Whether it was fetched.

        Raises:
            Unreachable: the remote does not answer.
        """
        early = self._coming.pop(name, None)
        # One that was begun early is of this result, or has nothing to do with it.
        came = early.result() if early else False
        return self._fetch(name, wanted) or came

    def _fetch(self, name: str, wanted: Wanted) -> bool:
        arguments = (name, wanted.stage_hash, wanted.outputs, wanted.recorded)
        return _patiently(TRIES, self._remote.fetch, *arguments)

    def fetch_added(self, name: str, contents: Mapping[str, str]) -> bool:
        """Bring what was ``dvc add``ed into DVC's cache; tell whether it is there now.

        Args:
            name: its ``.dvc`` file.
            contents: its hashes by path.

        Raises:
            Unreachable: the remote does not answer.
        """
        return _patiently(TRIES, self._remote.fetch_contents, name, contents)

    def send_at_once(self, contents: Mapping[str, str]) -> None:
        """Send what files and folders hold, and wait until the remote has it.

        Args:
            contents: their hashes by path.

        Raises:
            Unreachable: the remote does not answer.
        """
        _patiently(TRIES, self._remote.send_contents, list(contents.values()))

    def send(self, name: str, stage_hash: str) -> None:
        """Begin to send a recorded result."""
        self._going[name] = self._threads.submit(
            _patiently, SENDING_TRIES, self._remote.send, name, stage_hash
        )

    def send_added(self, name: str, contents: Mapping[str, str]) -> None:
        """Begin to send what was ``dvc add``ed."""
        self._going[name] = self._threads.submit(
            _patiently, SENDING_TRIES, self._remote.send_contents, list(contents.values())
        )

    def finish(self, stopping: bool) -> dict[str, str]:
        """Wait until all is sent; return why what could not be was not, by its name.

        Args:
            stopping: begin nothing that has not begun; the next run sends it.
        """
        # A stage that wanted what was begun early has it by now, or did not come to it.
        for coming in self._coming.values():
            coming.cancel()
        self._remote.stop_fetching()
        if stopping:
            self._threads.shutdown(cancel_futures=True)
        try:
            sent, failures = self._ended()
        except BaseException:  # an interrupt: what has not begun would else hold up the exit
            self._threads.shutdown(wait=False, cancel_futures=True)
            self._remote.close()
            raise
        if sent:
            say(f"{sent} objects sent to DVC's remote {self.name}")
        self._threads.shutdown()
        self._remote.close()
        self._going.clear()
        return failures

    def _ended(self) -> tuple[int, dict[str, str]]:
        """Return how many objects were sent, and why what could not be was not, by its name."""
        sent, failures = 0, {}
        for name, future in self._going.items():
            try:
                sent += future.result()
            except CancelledError:
                failures[name] = "the run was stopped"
            except DownstreamError as failure:
                failures[name] = str(failure)
        return sent, failures


def _patiently(tries: int, transfer: Callable[..., T], *arguments: object) -> T:
    """Call until the remote answers, so that one that is away for a minute costs that minute."""
    from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential

    retrying = Retrying(
        retry=retry_if_exception_type(Unreachable),
        stop=stop_after_attempt(tries),
        wait=wait_exponential(multiplier=FIRST_WAIT_SECONDS, max=LONGEST_WAIT_SECONDS),
        reraise=True,
    )
    return retrying(transfer, *arguments)
