"""Data sets of the Hugging Face hub, at a pinned revision; no code of theirs is run."""

import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from tasks.collect.source import Record, SourceContext
from tasks.collect.sources._columns import (
    TableSettings,
    as_label,
    check_columns,
    others_of,
    text_in,
)
from tasks.collect.sources._parquet import image_bytes, values_of
from tasks.contracts.files import sha256_of_folder
from tasks.contracts.images import MAXIMUM_BYTES
from tasks.contracts.paths import PARTS, Part
from tasks.errors import BadInput, DownstreamError, Unreachable
from tasks.remote.downloads import part_of
from tasks.remote.hub import (
    commit_of,
    download_data,
    is_network,
    offline,
    snapshot_folder,
    stay_silent,
)
from tasks.remote.members import own_files

_PACKAGED = "datasets.packaged_modules."
# Images by class; and, offline, what the library has prepared before.
_IMAGE_FILES, _PREPARED = "imagefolder", "cache"
# Archives that are read in place.
_TARS = "webdataset"
# Formats of tables, texts and images. Others of the library name files or servers of their own
# (HDF5, Iceberg), run what they load (pickled frames), or are none of texts and images.
_READ = {"csv", "json", "parquet", "arrow", "text", _TARS, _IMAGE_FILES, _PREPARED}
_BATCH_ROWS = 16


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
    identity = identities(settings)[0]
    key = "sha256" if _is_local(settings) else "revision"
    pinned = part_of(context.pin(identity), key, identity)
    if _is_local(settings):
        if (found := _folder_sha256(settings)) != pinned:
            raise BadInput(
                f"{settings.id}: expected sha256 {pinned} (pin.json), found {found}: "
                f"if the change is wanted, `downstream refresh {context.corpus}`"
            )
    elif not offline():
        # One quick question, where the library asks for long.
        commit_of(settings.id, pinned, "dataset")
    # A folder of its own for each pin: the library tells the files of a local folder apart by their
    # times alone, and offline it takes what it has prepared last.
    revision = None if _is_local(settings) else pinned
    splits, image_folder = _load(settings, revision, context.downloads / "hub" / pinned)
    for part, name in _official(settings, list(splits)):
        yield from _records(splits[name], settings, part, name, image_folder)


def _is_local(settings: Settings) -> bool:
    return settings.id.startswith(("./", "../", "/"))


def _folder_sha256(settings: Settings) -> str:
    folder = Path(settings.id)
    if not folder.is_dir():
        raise BadInput(f"{settings.id} is not a folder (setting id)")
    for path in own_files(folder, folder.resolve()):
        if path.is_dir():
            raise BadInput(f"{path} is a link to a folder, which is not followed: copy the files")
    return sha256_of_folder(folder)


def _load(settings: Settings, revision: str | None, cache: Path) -> tuple[Any, Path | None]:
    """Return the splits, and the folder in which images lie beside them, if they are files."""
    stay_silent()
    os.environ.setdefault("USE_TORCH", "0")  # datasets would import it
    import datasets

    datasets.disable_progress_bars()
    options = {} if revision is None else {"revision": revision}
    try:
        builder = datasets.load_dataset_builder(
            settings.id, settings.config or None, cache_dir=str(cache), **options
        )
        kind = type(builder).__module__.removeprefix(_PACKAGED).partition(".")[0]
        if kind not in _READ:
            raise BadInput(
                f"hub {settings.id}: {kind} is not a format that collect reads "
                f"({', '.join(sorted(_READ))})"
            )
        files = [str(file) for each in (builder.config.data_files or {}).values() for file in each]
        _require_pinned(files, settings, revision)
        if kind != _TARS:
            _require_no_tar(files, settings, revision)
        builder.download_and_prepare()
        splits = builder.as_dataset()
    except DownstreamError:
        raise
    except Exception as error:  # noqa: BLE001 - the library meets foreign files with any error
        if is_network(error):
            raise Unreachable(
                f"hub {settings.id}: {error}: check the network and run again"
            ) from None
        # What has gone wrong is the cause of "An error occurred while generating the dataset".
        reason = error.__cause__ or error
        said = " ".join(str(reason).split()) or type(reason).__name__
        raise BadInput(f"hub {settings.id}: {said:.300}") from None
    if kind not in (_IMAGE_FILES, _PREPARED):
        return splits, None
    is_local = _is_local(settings)
    return splits, Path(settings.id) if is_local else snapshot_folder(settings.id, "dataset")


def _require_pinned(files: list[str], settings: Settings, revision: str | None) -> None:
    """Refuse files that the data set's README names, but that are no part of what is pinned.

    Raises:
        BadInput: one lies elsewhere.
    """
    for file in files:
        if revision is None:
            is_pinned = _lies_in(Path(file), Path(settings.id))
        else:
            is_pinned = file.startswith(_address(settings, revision))
        if not is_pinned or ".." in file.split("/"):
            raise BadInput(
                f"hub {settings.id} asks for {file}, which is not among its own files: it was not "
                "read"
            )


def _require_no_tar(files: list[str], settings: Settings, revision: str | None) -> None:
    """Refuse tar archives, by whatever name: the library unpacks a FIFO too, and waits for it.

    Raises:
        BadInput: there is one.
        Unreachable: the hub does not answer.
    """
    if revision is not None and files:
        names = [file.removeprefix(_address(settings, revision)) for file in files]
        folder = download_data(settings.id, revision, names)
        files = [str(folder / name) for name in names]
    for file in files:
        if Path(file).is_file() and tarfile.is_tarfile(file):
            raise BadInput(f"hub {settings.id}: {file} is a tar archive: unpack it")


def _address(settings: Settings, revision: str) -> str:
    return f"hf://datasets/{settings.id}@{revision}/"


def _lies_in(file: Path, folder: Path) -> bool:
    return Path(os.path.abspath(file)).is_relative_to(os.path.abspath(folder))  # noqa: PTH100 - a hub's own links may lead into its cache


def _official(settings: Settings, names: list[str]) -> list[tuple[Part, str]]:
    chosen = dict(settings.splits) or {part: part for part in PARTS if part in names}
    unknown = set(chosen.values()) - set(names) if settings.splits else set(names) - set(PARTS)
    if unknown:
        raise BadInput(
            f"hub {settings.id} has the splits {', '.join(names)}; say in `splits` which of them "
            f"stand for {', '.join(PARTS)} ({', '.join(sorted(unknown))} does not fit)"
        )
    return [(part, chosen[part]) for part in PARTS if part in chosen]


def _records(
    split: Any, settings: Settings, part: Part, name: str, image_folder: Path | None
) -> Iterator[Record]:
    source = f"hub:{settings.id}/{name}"
    check_columns(settings, split.column_names, source)
    classes = getattr(split.features[settings.label], "names", None) if settings.label else None
    others = (column for _, column in settings.other_columns())
    columns = {settings.content, settings.label, *others} - {""}
    # As Arrow has them: the library would decode other columns too, with files that they name.
    raw = split.select_columns(sorted(columns)).with_format("arrow")
    before = 0
    for batch in raw.iter(batch_size=_BATCH_ROWS):
        for row, values in enumerate(values_of(batch, before, source), start=before + 1):
            where = f"{source}: row {row}"
            label = values[settings.label] if settings.label else None
            if classes is not None and label is not None:
                label = classes[label] if label >= 0 else None
            content = _content(values, settings, image_folder, where)
            kept = others_of(settings, values, where)
            yield Record(content, as_label(label, where), part, source, row, kept)
        before += batch.num_rows


def _content(
    values: dict[str, Any], settings: Settings, image_folder: Path | None, where: str
) -> str | bytes:
    if not settings.image:
        return text_in(settings, values, where)
    value = values[settings.image]
    if isinstance(value, dict) and value.get("bytes") is None and value.get("path"):
        path = Path(value["path"])
        if image_folder is None or not _lies_in(path, image_folder) or not path.is_file():
            raise BadInput(
                f"{where}: expected the bytes of an image, found a path, {value['path']!r:.80}: "
                "it was not read"
            )
        with path.open("rb") as file:
            return image_bytes(file.read(MAXIMUM_BYTES + 1), where)
    return image_bytes(value, where)
