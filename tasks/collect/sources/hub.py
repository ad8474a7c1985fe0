"""Data sets of the Hugging Face hub, at a pinned revision; no code of theirs is run."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from tasks.collect.source import Record, SourceContext
from tasks.collect.sources._columns import TableSettings, as_label, as_text, check_columns
from tasks.collect.sources._parquet import image_bytes
from tasks.contracts.files import sha256_of_folder
from tasks.contracts.paths import PARTS, Part
from tasks.errors import BadInput, Unreachable
from tasks.remote.hub import commit_of, offline, stay_silent


class Settings(TableSettings):
    """A data set that ``datasets.load_dataset`` knows."""

    kind: Literal["hub"] = "hub"
    id: str = Field(
        min_length=1, description="name on the hub, or a local folder that begins with ./ ../ or /"
    )
    config: str = Field("", description="configuration of the data set; '' for its only one")
    revision: str = Field("main", min_length=1, description="branch, tag or commit to pin")
    splits: dict[Part, str] = Field(
        {}, description="the data set's split for each official one; {} where the names agree"
    )


def identities(settings: Settings) -> list[str]:
    """Return the name of the data set's pin."""
    return [f"hub:{settings.id}@{settings.revision}"]


def resolve(settings: Settings, context: SourceContext) -> dict[str, dict[str, Any]]:  # noqa: ARG001 - an entry's signature
    """Return the exact commit, or the sha256 of a local folder.

    Raises:
        BadInput: there is no such data set.
        Unreachable: the hub does not answer.
    """
    identity = identities(settings)[0]
    if _is_local(settings):
        return {identity: {"sha256": _folder_sha256(settings)}}
    return {identity: {"revision": commit_of(settings.id, settings.revision, "dataset")}}


def read(settings: Settings, context: SourceContext) -> Iterator[Record]:
    """Yield the records of each official split.

    Raises:
        BadInput: the data set, a split or a column does not exist, or a folder has changed.
        MissingPin: the data set is not pinned.
        Unreachable: the hub does not answer.
    """
    pin = context.pin(identities(settings)[0])
    if _is_local(settings):
        if (found := _folder_sha256(settings)) != pin["sha256"]:
            raise BadInput(
                f"{settings.id}: expected sha256 {pin['sha256']} (pin.json), found {found}: "
                f"if the change is wanted, `downstream refresh {context.corpus}`"
            )
    elif not offline():
        commit_of(
            settings.id, pin["revision"], "dataset"
        )  # one quick question, where load_dataset asks for long
    splits = _load(settings, pin.get("revision"), context.downloads / "hub")
    for part, name in _official(settings, list(splits)):
        yield from _records(splits[name], settings, part, name)


def _is_local(settings: Settings) -> bool:
    return settings.id.startswith(("./", "../", "/"))


def _folder_sha256(settings: Settings) -> str:
    if not Path(settings.id).is_dir():
        raise BadInput(f"{settings.id} is not a folder (setting id)")
    return sha256_of_folder(Path(settings.id))


def _load(settings: Settings, revision: str | None, cache: Path) -> Any:
    stay_silent()
    os.environ.setdefault("USE_TORCH", "0")  # datasets would import it
    import datasets

    datasets.disable_progress_bars()
    options = {} if revision is None else {"revision": revision}
    try:
        return datasets.load_dataset(
            settings.id, settings.config or None, cache_dir=str(cache), **options
        )
    except ConnectionError as error:
        raise Unreachable(f"hub {settings.id}: {error}: check the network and run again") from None
    except (
        ValueError,
        FileNotFoundError,
        RuntimeError,
        datasets.exceptions.DatasetsError,
    ) as error:
        raise BadInput(f"hub {settings.id}: {' '.join(str(error).split())[:300]}") from None


def _official(settings: Settings, names: list[str]) -> list[tuple[Part, str]]:
    chosen = dict(settings.splits) or {part: part for part in PARTS if part in names}
    unknown = set(chosen.values()) - set(names) if settings.splits else set(names) - set(PARTS)
    if unknown:
        raise BadInput(
            f"hub {settings.id} has the splits {', '.join(names)}; say in `splits` which of them "
            f"stand for {', '.join(PARTS)} ({', '.join(sorted(unknown))} does not fit)"
        )
    return [(part, chosen[part]) for part in PARTS if part in chosen]


def _records(split: Any, settings: Settings, part: Part, name: str) -> Iterator[Record]:
    import datasets

    source = f"hub:{settings.id}/{name}"
    check_columns(settings, split.column_names, source)
    if settings.image and isinstance(split.features[settings.image], datasets.Image):
        split = split.cast_column(settings.image, datasets.Image(decode=False))
    classes = getattr(split.features[settings.label], "names", None) if settings.label else None
    for row, values in enumerate(split, start=1):
        where = f"{source}: row {row}"
        label = values[settings.label] if settings.label else None
        if classes is not None and label is not None:
            label = classes[label] if label >= 0 else None
        yield Record(
            _content(values[settings.content], settings, where),
            as_label(label, where),
            part,
            source,
            row,
        )


def _content(value: Any, settings: Settings, where: str) -> str | bytes:
    if not settings.image:
        return as_text(value, where)
    if isinstance(value, dict) and value.get("bytes") is None and value.get("path"):
        return image_bytes(Path(value["path"]).read_bytes(), where)
    return image_bytes(value, where)
