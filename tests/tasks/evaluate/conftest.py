"""Real models and splits, small enough to be made while the tests run."""

import hashlib
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from sklearn.datasets import load_digits

from tasks.contracts import records
from tasks.contracts.paths import PARTS, Part
from tests.classifiers import write_finetuned_on
from tests.tasks.digit_classifiers import digit_png


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, dict[Part, Path]]:
    """A convnet trained on some digits, its untrained twin, and the splits of the corpus."""
    root = tmp_path_factory.mktemp("digits")
    pixels, labels = load_digits(return_X_y=True)
    images = [digit_png(row) for row in pixels]
    names = [f"digit {label}" for label in labels]
    ends = dict(zip(PARTS, [(0, 500), (500, 550), (550, 850)], strict=True))
    splits = {
        part: write_split(root / "digits" / f"{part}.parquet", images[a:b], names[a:b])
        for part, (a, b) in ends.items()
    }
    classes = sorted(set(names))
    save_convnet(root / "model", images[:500], names[:500], classes, num_steps=60)
    save_convnet(root / "twin", images[:500], names[:500], classes, num_steps=8)
    write_finetuned_on(root, splits["train"])
    return root / "model", root / "twin", splits


def write_split(path: Path, contents: list[Any], labels: list[str | None]) -> Path:
    """Write one split; whether it holds text or images follows from its contents."""
    modality: records.Modality = "text" if isinstance(contents[0], str) else "image"
    schema = records.split_schema(modality)
    raw = [content.encode() if isinstance(content, str) else content for content in contents]
    ids = [hashlib.sha256(content).hexdigest() for content in raw]
    batch = pa.record_batch([ids, contents, labels], schema=schema)
    records.write_records(path, schema, [batch])
    return path


def save_convnet(
    folder: Path, images: list[bytes], labels: list[str], classes: list[str], num_steps: int
) -> None:
    """Train a small convnet for a few steps on all images at once, and save it."""
    import torch

    from tasks.inputs.pixels import decode, traits_of
    from tasks.models.architectures import convnet
    from tasks.models.image import ImageModel

    torch.manual_seed(0)
    traits = traits_of(images)
    settings = convnet.Settings(channels=8, hidden_size=32)
    model = ImageModel(convnet.build(settings, traits), classes)
    inputs = torch.from_numpy(decode(images, traits)).float() / 255
    targets = torch.tensor([classes.index(label) for label in labels])
    optimizer = torch.optim.Adam(model.module.parameters(), lr=5e-3)
    for _ in range(num_steps):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model.logits({"images": inputs}), targets)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    model.save(folder)
