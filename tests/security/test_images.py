"""Images of strangers: in a corpus, in a request to a served model, behind a thumbnail."""

import base64
import io
import shutil
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import EpsImagePlugin, Image

from tasks.clean.images import clean_image
from tasks.clean.settings import Settings
from tasks.contracts.images import MAXIMUM_BYTES, MAXIMUM_PIXELS, check, decoded, opened
from tasks.errors import BadInput, BadSettings
from tasks.metrics.slices import brightness
from tasks.reports.drawing import thumbnail
from tasks.tracking.registry.packaging import log_model
from tasks.tracking.store import opened as store
from tasks.tracking.store import tracking_uri

EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n%%EOF\n"


def saved(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, format=kind, **options)
    return file.getvalue()


def bomb(width: int, height: int) -> bytes:
    """Return a PNG of a few bytes that says it is as large as that."""
    png = saved(Image.new("L", (2, 2)))
    chunk = b"IHDR" + struct.pack(">II", width, height) + png[24:29]
    return png[:12] + chunk + struct.pack(">I", zlib.crc32(chunk)) + png[33:]


def frames(kind: str) -> bytes:
    others = [Image.new("L", (4, 4), shade) for shade in (90, 200)]
    return saved(Image.new("L", (4, 4)), kind, save_all=True, append_images=others)


ATTACKS = {
    "a program that Ghostscript would run": EPS,
    "just over the limit": bomb(9460, 9460),
    "a bomb": bomb(60_000, 60_000),
    "cut off": saved(Image.new("L", (64, 64), 9))[:60],
    "several frames, GIF": frames("GIF"),
    "several frames, PNG": frames("PNG"),
    "several frames, WEBP": frames("WEBP"),
    "several pages, TIFF": frames("TIFF"),
    "nothing": b"",
    "a TIFF without an end": b"II*\x00\x08\x00\x00\x00\xff\xff",
    "a PPM of text": b"P6 a b c",
}


@pytest.fixture
def ghostscript(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program named ``gs`` that leaves a file where it was started."""
    started = tmp_path / "started"
    program = tmp_path / "bin" / "gs"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\ntouch {started}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    monkeypatch.setattr(EpsImagePlugin, "gs_binary", None)
    return started


@pytest.fixture(scope="module")
def served(
    new_store: Path, image_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[Any], Any]]:
    """What a served model answers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow warns of its own code while it is imported
        import mlflow.pyfunc
    folder = tmp_path_factory.mktemp("served")
    shutil.copy(new_store, folder / "mlflow.db")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        with store() as client:
            run = client.create_run(client.create_experiment("images"))
            logged = log_model(image_model, run.info.run_id)
        patch.setenv("MLFLOW_TRACKING_URI", tracking_uri())
        mlflow.set_tracking_uri(tracking_uri())
        yield mlflow.pyfunc.load_model(f"models:/{logged}").predict


def clean(content: bytes) -> Any:
    return clean_image(content, "a record", Settings(size=[4, 4]))


LIBRARY: dict[str, Callable[[bytes], Any]] = {
    "collect": lambda content: check(content, "a record"),
    "clean": clean,
    "thumbnail": thumbnail,
    "slices": lambda content: brightness([content]),
}


@pytest.mark.parametrize("door", LIBRARY)
@pytest.mark.parametrize("attack", ATTACKS)
def test_it_is_refused_in_one_line_and_no_program_is_started(
    door: str, attack: str, ghostscript: Path
) -> None:
    with pytest.raises(BadInput) as error:
        LIBRARY[door](ATTACKS[attack])
    assert len(str(error.value).splitlines()) == 1
    assert len(str(error.value)) < 400
    assert not ghostscript.exists()


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_served_model_refuses_it_by_its_number_and_starts_no_program(
    served: Callable[[Any], Any], attack: str, ghostscript: Path
) -> None:
    from mlflow.exceptions import MlflowException

    good = base64.b64encode(saved(Image.new("L", (8, 8)))).decode()
    evil = base64.b64encode(ATTACKS[attack]).decode()
    with pytest.raises(MlflowException, match=r"record 1 (is not an image|has )") as error:
        served([good, evil])
    assert error.value.get_http_status_code() == 400
    assert not ghostscript.exists()
    assert len(served([good])) == 1


def test_an_absurd_number_of_bytes_is_not_looked_at() -> None:
    with pytest.raises(BadInput, match=r"a has 536,870,913 bytes, over 536,870,912: scale it"):
        opened(bytes(MAXIMUM_BYTES + 1), "a")


def test_an_image_is_not_scaled_to_what_would_not_be_read() -> None:
    with pytest.raises(BadSettings) as error:
        Settings.parse({"size": [60_000, 60_000]}, "corpora.a.clean")
    assert str(error.value) == (
        f"params.yaml: corpora.a.clean.size: expected at most {MAXIMUM_PIXELS:,} pixels, width "
        "times height, found [60000, 60000]"
    )


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "MPO"])
def test_one_picture_of_a_format_that_is_read_passes(kind: str) -> None:
    content = saved(Image.new("L", (4, 4), 7), kind)
    check(content, "a")
    assert decoded(content, "a").size == (4, 4)


def test_a_photograph_with_its_preview_behind_it_is_one_picture() -> None:
    preview = Image.new("RGB", (2, 2))
    content = saved(Image.new("RGB", (4, 4)), "MPO", save_all=True, append_images=[preview])
    check(content, "a")
    assert decoded(content, "a").size == (4, 4)
