"""The Hugging Face hub: exact commits, and files by commit; no code of it is run."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from tasks.errors import BadInput, Unreachable

Kind = Literal["dataset", "model"]
_CALLED = {"dataset": "data set", "model": "model"}


def snapshot_folder(repository: str, kind: Kind) -> Path:
    """Return the folder in which the hub's library keeps the files of all commits."""
    stay_silent()
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE) / f"{kind}s--{repository.replace('/', '--')}"


def stay_silent() -> None:
    """Keep the hub's library from reporting home."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")


def offline() -> bool:
    """Tell whether the user has asked for no network (``HF_HUB_OFFLINE``)."""
    stay_silent()
    from huggingface_hub import constants

    return bool(constants.HF_HUB_OFFLINE)


def commit_of(repository: str, revision: str, kind: Kind) -> str:
    """Return the exact commit of a branch or tag.

    Args:
        repository: its name on the hub.
        revision: a branch, a tag or a commit.
        kind: what it holds.

    Raises:
        BadInput: there is no such repository or revision.
        Unreachable: the hub does not answer.
    """
    stay_silent()
    from huggingface_hub import HfApi

    with _errors(repository, revision, kind):
        return str(HfApi().repo_info(repository, repo_type=kind, revision=revision).sha)


def download_model(repository: str, commit: str, patterns: tuple[str, ...], folder: Path) -> None:
    """Download the files of a model that match one of the patterns into a folder.

    Args:
        repository: its name on the hub.
        commit: the exact commit.
        patterns: globs of file names.
        folder: what is downloaded into.

    Raises:
        BadInput: there is no such model or commit.
        Unreachable: the hub does not answer.
    """
    stay_silent()
    from huggingface_hub import snapshot_download

    with _errors(repository, commit, "model"):
        snapshot_download(
            repository, revision=commit, allow_patterns=list(patterns), local_dir=folder
        )


def download_data(repository: str, commit: str, names: list[str]) -> Path:
    """Download files of a data set into the hub's own cache, and return the commit's folder there.

    Args:
        repository: its name on the hub.
        commit: the exact commit.
        names: the files' paths in it.

    Raises:
        BadInput: there is no such data set or commit.
        Unreachable: the hub does not answer.
    """
    stay_silent()
    from huggingface_hub import snapshot_download

    with _errors(repository, commit, "dataset"):
        return Path(
            snapshot_download(
                repository, repo_type="dataset", revision=commit, allow_patterns=names
            )
        )


@contextmanager
def _errors(repository: str, revision: str, kind: Kind) -> Iterator[None]:
    """Turn what the hub's client raises into one line."""
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        yield
    except HFValidationError as error:
        raise BadInput(f"hub {repository}: {error}") from None
    except HfHubHTTPError as error:
        status = error.response.status_code
        if status in (408, 429) or status >= 500:
            raise Unreachable(
                f"the hub answers {status} for {repository}: try again later"
            ) from None
        raise BadInput(
            f"the hub has no {_CALLED[kind]} {repository} at {revision} for you (answer {status}): "
            "check id and revision, and HF_TOKEN if it is private"
        ) from None
    except Exception as error:
        if not is_network(error):
            raise
        raise Unreachable(
            f"the Hugging Face hub does not answer for {repository} ({type(error).__name__}): "
            "check the network and run again"
        ) from None


def is_network(error: BaseException) -> bool:
    """Tell a network failure whatever HTTP library the hub's client is built on."""
    names = {kind.__name__ for kind in type(error).__mro__}
    offered = {"ConnectionError", "TransportError", "RequestException", "Timeout"}
    return bool(names & {*offered, "LocalEntryNotFoundError"})
