"""Sources of every format that collect reads, taken through clean, split and validate as well."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import struct
import zipfile
import zlib
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.fuzz import mutations
from benchmarks.fuzz.cases import Kind, Wrong

CORPUS = "reviews"
SOURCES = Path("data/sources") / CORPUS
SETTINGS = Path("settings.json")
WORK = Path("work")
ADDRESS = "http://127.0.0.1:9/"
WHEEL = "tiny_data-1.0-py3-none-any.whl"
WORDS = ("wheat", "corn", "profit", "trade", "ship", "rose", "fell", "bank", "café", "收购")
Rows = list[tuple[Any, Any]]
TEXT_FORMATS = ("csv", "tsv", "tab", "jsonl", "ndjson", "txt", "parquet")
IMAGE_FORMATS = {
    "png": "PNG",
    "jpg": "JPEG",
    "gif": "GIF",
    "bmp": "BMP",
    "tif": "TIFF",
    "webp": "WEBP",
    "ppm": "PPM",
    "pgm": "PPM",
}
DELIMITERS = {"csv": ",", "tsv": "\t", "tab": "\t"}
HUB_README = (
    "---\nconfigs:\n- config_name: default\n  data_files:\n  - split: train\n    path: train.*\n"
    "dataset_info:\n  features:\n  - name: text\n    dtype: string\n  - name: label\n"
    "    dtype: string\n---\n# A set\n"
)


def rows() -> Rows:
    """Return forty texts of two classes, all different."""
    random = Random(1)  # noqa: S311 - no secret
    return [
        (" ".join(random.choices(WORDS, k=9)) + f" {number}", ("earn", "grain")[number % 2])
        for number in range(40)
    ]


def plant(folder: Path) -> None:
    """Write a valid file of each format."""
    for form in TEXT_FORMATS:
        (folder / f"texts.{form}").write_bytes(table(form, rows()))
    for form, library in IMAGE_FORMATS.items():
        for number in range(6):
            (folder / f"{number}.{form}").write_bytes(image(library, number))
    (folder / "images.parquet").write_bytes(
        parquet([(image("PNG", number), ("a", "b")[number % 2]) for number in range(20)], "image")
    )


def table(form: str, values: Rows) -> bytes:
    """Return rows as a file of a format."""
    if form == "parquet":
        return parquet(values, "text")
    if form in DELIMITERS:
        file = io.StringIO()
        writer = csv.writer(file, delimiter=DELIMITERS[form], lineterminator="\n")
        writer.writerow(["text", "label"])
        writer.writerows(values)
        return mutations.encoded(mutations.with_raw(file.getvalue()))
    if form == "txt":
        return mutations.encoded("".join(f"{text}\n" for text, _ in values))
    lines = (mutations.json_text({"text": text, "label": label}) for text, label in values)
    return mutations.encoded("".join(f"{line}\n" for line in lines))


def image(library: str, number: int) -> bytes:
    """Return a small image, another for each number."""
    from PIL import Image

    file = io.BytesIO()
    mode = "L" if library == "PPM" else "RGB"
    colour: Any = number * 30 if mode == "L" else (number * 30, 10, 200)
    picture = Image.new(mode, (8, 8), colour)
    for place in range(8):
        picture.putpixel((place, place), 255 if mode == "L" else (255, place * 20, number))
    picture.save(file, format=library)
    return file.getvalue()


def parquet(values: Rows, content: str, random: Random | None = None) -> bytes:
    """Return rows as Parquet; with a generator, with types and settings that nobody expects."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns: list[Any] = [[row[0] for row in values], [row[1] for row in values]]
    names = [content, "label"]
    options: dict[str, Any] = {}
    made = [pa.array(column) for column in columns]
    if random is not None:
        place = random.randrange(2)
        made[place] = _odd(random, made[place])
        if random.random() < 0.2:
            names[place] = random.choice([names[1 - place], "", "a.b", "a" * 5_000, f"{content}\n"])
        if random.random() < 0.1:
            extra = random.choice([1, 3_000])
            made += [made[0]] * extra
            names += [f"column {number}" for number in range(extra)]
        options = {
            "compression": random.choice(["none", "snappy", "gzip", "zstd", "brotli", "lz4"]),
            "use_dictionary": random.random() < 0.5,
            "data_page_version": random.choice(["1.0", "2.0"]),
            "row_group_size": random.choice([1, 7, 1_000]),
            "write_statistics": random.random() < 0.5,
        }
    file = io.BytesIO()
    pq.write_table(pa.Table.from_arrays(made, names), file, **options)
    return file.getvalue()


def _odd(random: Random, column: Any) -> Any:
    """Return an Arrow column as long, of a type that nobody expects in its place."""
    import pyarrow as pa

    number = len(column)
    values: list[Any] = column.to_pylist()
    not_utf8 = pa.array([mutations.TOKENS[index % 7] for index in range(number)], pa.binary())
    texts = [value if isinstance(value, str) else "a" for value in values]
    nested: Any = pa.array(values)
    for _ in range(random.choice([1, 5, 40])):
        nested = pa.StructArray.from_arrays([nested], ["a"])
    choices = [
        pa.array(range(number)),
        pa.array([float(random.choice(["nan", "inf", "1", "1e300"])) for _ in range(number)]),
        pa.nulls(number),
        pa.array([[value] for value in values]),
        pa.array([{"bytes": value, "path": "/etc/passwd"} for value in values]),
        nested,
        pa.array(values).dictionary_encode(),
        pa.array(["a" * random.choice([10, 1_000_000])] * number).dictionary_encode(),
        pa.StringArray.from_buffers(number, not_utf8.buffers()[1], not_utf8.buffers()[2]),
        pa.array(range(number)).cast(random.choice([pa.timestamp("ns"), pa.date64()])),
        pa.array([None if random.random() < 0.5 else value for value in values]),
        pa.array(texts).cast(random.choice([pa.large_string(), pa.large_binary()])),
        pa.array(texts).cast(random.choice([pa.string_view(), pa.binary_view()])),
        pa.array([value == values[0] for value in values]),
    ]
    return random.choice(choices)


def prepare(_planted: Path) -> None:
    """Import what the stages use."""
    import datasets
    import great_expectations  # noqa: F401
    import pandas as pd  # noqa: F401
    import PIL.Image
    import pyarrow.parquet as pq  # noqa: F401

    import tasks.clean.stage
    import tasks.collect.sources.files
    import tasks.collect.sources.hub
    import tasks.collect.sources.url
    import tasks.collect.sources.wheel
    import tasks.collect.stage
    import tasks.split.stage
    import tasks.validate.evidence
    import tasks.validate.stage  # noqa: F401

    PIL.Image.init()
    datasets.disable_progress_bars()


def _written_texts(random: Random, planted: Path, form: str) -> bytes:
    """Return a file of a format of which bytes or values have changed."""
    if random.random() < 0.5:
        other = planted / f"texts.{random.choice(TEXT_FORMATS)}"
        content = (planted / f"texts.{form}").read_bytes()
        return mutations.mutated_bytes(random, content, other.read_bytes())
    values = rows()
    if form == "parquet":
        return parquet(values, "text", random)
    for _ in range(random.choice([1, 2, 10])):
        place = random.randrange(len(values))
        text, label = values[place]
        nasty = mutations.nasty(random)
        values[place] = (nasty, label) if random.random() < 0.5 else (text, nasty)
    if random.random() < 0.2:
        values = random.choice([[], values[:1], values * 3, values[:6]])
    return table(form, values)


def _written_image(random: Random, planted: Path, form: str, number: int) -> bytes:
    content = (planted / f"{number}.{form}").read_bytes()
    other = planted / f"0.{random.choice(sorted(IMAGE_FORMATS))}"
    changed = mutations.mutated_bytes(random, content, other.read_bytes())
    return summed(changed) if form == "png" and random.random() < 0.7 else changed


def summed(png: bytes) -> bytes:
    """Return a PNG with the sums of its chunks made right, so that what they hold is looked at."""
    made, start = png[:8], 8
    while len(png) - start >= 12:
        (size,) = struct.unpack(">I", png[start : start + 4])
        end = start + 8 + min(size, len(png) - start - 12)
        body = png[start + 4 : end]
        made += struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
        start = end + 4
    return made


def write_texts(random: Random, planted: Path, folder: Path) -> None:
    """Write a corpus of texts."""
    form = random.choice(TEXT_FORMATS)
    content = _written_texts(random, planted, form)
    name = _odd_name(random, f"a.{form}")
    settings: dict[str, Any] = {}
    if form == "txt":
        settings["label"] = ""
    if random.random() < 0.15:
        settings |= random.choice(
            [
                {"quote": ""},
                {"quote": "'"},
                {"quote": "\n"},
                {"quote": "\0"},
                {"quote": ","},
                {"header_rows": 3},
                {"header_rows": 10**9},
                {"label": ""},
                {"label": "text"},
                {"text": "label"},
                {"image": "text"},
            ]
        )
    _lay(random, folder, {name: content}, settings)


def write_images(random: Random, planted: Path, folder: Path) -> None:
    """Write a corpus of images: in folders by class, or in a table."""
    settings: dict[str, Any] = {}
    if random.random() < 0.25:
        settings["image"] = "image"
        if random.random() < 0.5:
            content = (planted / "images.parquet").read_bytes()
            content = mutations.mutated_bytes(random, content)
        else:
            values: Rows = [(image("PNG", n), ("a", "b")[n % 2]) for n in range(20)]
            place = random.randrange(20)
            png = mutations.mutated_bytes(random, values[place][0])
            values[place] = (png, "a")
            odd = random if random.random() < 0.5 else None
            content = parquet(values, "image", odd)
        found = {"a.parquet": content}
    else:
        form = random.choice(sorted(IMAGE_FORMATS))
        found = {
            f"{'ab'[number % 2]}/{number}.{form}": (planted / f"{number}.{form}").read_bytes()
            for number in range(6)
        }
        number = random.randrange(6)
        content = _written_image(random, planted, form, number)
        found[f"{'ab'[number % 2]}/{_odd_name(random, f'{number}.{form}')}"] = content
    _lay(random, folder, found, settings)


def write_hub(random: Random, planted: Path, folder: Path) -> None:
    """Write a data set as the hub has them, in a local folder."""
    form = random.choice(["csv", "jsonl", "parquet", "txt"])
    changed = random.choice(["README.md", f"train.{form}", f"train.{form}"])
    found = {
        "README.md": HUB_README.encode(),
        f"train.{form}": (planted / f"texts.{form}").read_bytes(),
    }
    if changed == "README.md":
        found[changed] = mutations.mutated_bytes(random, found[changed])
    else:
        found[changed] = _written_texts(random, planted, form)
    for name, content in found.items():
        path = folder / "set" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    _settings(folder, [{"kind": "hub", "id": "./set"}])
    (folder / SOURCES).mkdir(parents=True)


def _odd_name(random: Random, name: str) -> str:
    """Return a name of a file, at times one that nobody expects (but one that a disk takes)."""
    if random.random() < 0.9:
        return name
    odd = random.choice([text for text in mutations.TEXTS if "/" not in text and "\0" not in text])
    return f"{odd[:60]}{name}" if odd not in (".", "..") else name


def _lay(random: Random, folder: Path, found: dict[str, bytes], settings: dict[str, Any]) -> None:
    """Lay files among the sources: as they are, packed, or as what was downloaded."""
    kind = random.choice(["files"] * 4 + ["gz", "zip", "zip", "url", "wheel"])
    (folder / SOURCES).mkdir(parents=True)
    if kind in ("files", "gz"):
        for name, content in found.items():
            path = folder / SOURCES / (name if kind == "files" else f"{name}.gz")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if kind == "files" else _gzipped(random, content))
        _settings(folder, [{"kind": "files", **settings}])
        return
    archive = _archive(random, found)
    if kind == "zip":
        (folder / SOURCES / "a.zip").write_bytes(archive)
        _settings(folder, [{"kind": "files", **settings}])
        return
    digest = hashlib.sha256(archive).hexdigest()
    name = "a.zip" if kind == "url" else WHEEL
    kept = folder / ".downstream" / "downloads" / digest / name
    kept.parent.mkdir(parents=True)
    kept.write_bytes(archive)
    if kind == "url":
        source: dict[str, Any] = {"kind": "url", "urls": f"{ADDRESS}{name}"}
        identity = f"url:{ADDRESS}{name}"
    else:
        source = {"kind": "wheel", "package": "tiny-data", "version": "1.0", "members": "**/*"}
        identity = "wheel:tiny-data==1.0"
    pin = {identity: {"file": name, "sha256": digest}}
    (folder / SOURCES / "pin.json").write_text(json.dumps(pin))
    _settings(folder, [{**source, **settings}])


def _gzipped(random: Random, content: bytes) -> bytes:
    packed = gzip.compress(content, mtime=0)
    return mutations.mutated_bytes(random, packed) if random.random() < 0.5 else packed


def _archive(random: Random, found: dict[str, bytes]) -> bytes:
    """Return a zip archive, of which names, members or bytes may be what nobody expects."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in found.items():
            member = name
            if random.random() < 0.1:
                member = str(mutations.nasty(random))[:5_000]
            info = zipfile.ZipInfo(member.encode(errors="replace").decode() or "a")
            info.compress_type = random.choice([0, 8, 8, 8, 12, 14])
            archive.writestr(info, content)
    if random.random() < 0.4:
        return mutations.mutated_bytes(random, file.getvalue())
    return file.getvalue()


def _settings(folder: Path, sources: list[dict[str, Any]]) -> None:
    (folder / SETTINGS).write_text(json.dumps({"sources": sources}))


def attempt() -> None:
    """Take the corpus of the current folder through the data stages, as far as they go."""
    from tasks.collect.settings import Settings
    from tasks.collect.stage import run

    raw = json.loads(SETTINGS.read_text())
    settings = Settings.parse(raw, f"corpora.{CORPUS}.collect")
    pin = SOURCES / "pin.json"
    if raw["sources"][0]["kind"] == "hub":
        from tasks.collect.refresh import refresh

        refresh(CORPUS, settings, pin)
    outputs = {stage: WORK / stage for stage in ("collect", "clean", "split", "validate")}
    run(CORPUS, SOURCES, pin, outputs["collect"], settings)
    after_collect(outputs)
    if sorted(path.name for path in WORK.iterdir()) != sorted(outputs):
        raise Wrong(f"found beside the outputs: {sorted(WORK.iterdir())}")


def after_collect(outputs: dict[str, Path]) -> None:
    """Run the stages after collect, each with its defaults."""
    import tasks.clean.settings
    import tasks.clean.stage
    import tasks.split.settings
    import tasks.split.stage
    import tasks.validate.settings
    import tasks.validate.stage

    cleaned = outputs["clean"] / "records.parquet"
    clean = tasks.clean.settings.Settings()
    tasks.clean.stage.run(outputs["collect"] / "records.parquet", outputs["clean"], clean)
    shares = tasks.split.settings.Settings(validation=0.2, test=0.2)
    tasks.split.stage.run(cleaned, outputs["split"], shares, 0)
    train, validation, test = (
        outputs["split"] / f"{part}.parquet" for part in ("train", "validation", "test")
    )
    gate = tasks.validate.settings.Settings(minimum_records_per_class=0, maximum_class_drift=1.0)
    tasks.validate.stage.run(CORPUS, train, validation, test, outputs["validate"], gate)


TEXTS = Kind("texts", 30, plant, prepare, write_texts, attempt)
IMAGES = Kind("images", 25, plant, prepare, write_images, attempt)
HUB = Kind("hub", 3, plant, prepare, write_hub, attempt)
