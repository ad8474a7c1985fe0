"""The linear baselines get the records that the model got, and learn, in any script."""

import io
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image
from sklearn.datasets import load_digits
from threadpoolctl import threadpool_info, threadpool_limits

from tasks.evaluate.baselines import (
    common_shape,
    linear_baseline,
    pixels,
    train_and_validation,
    with_same_labels,
)
from tasks.metrics.predictions import Labelled

MARKET, SPORT = "股市今天上涨投资者高兴", "球队昨晚赢得比赛冠军"


def _png(colour: int | tuple[int, int, int], size: tuple[int, int] = (4, 4)) -> bytes:
    file = io.BytesIO()
    Image.new("L" if isinstance(colour, int) else "RGB", size, colour).save(file, format="PNG")
    return file.getvalue()


def test_words_tell_texts_apart() -> None:
    train = ["the cat sat", "a cat ran", "stocks fell today", "stocks rose again"] * 3
    labels = ["animal", "animal", "money", "money"] * 3
    found = linear_baseline("text", train, labels, ["my cat", "stocks"])
    assert found == ["animal", "money"]


def test_chinese_is_told_apart_by_its_characters() -> None:
    train = [MARKET + str(n) for n in range(5)] + [SPORT + str(n) for n in range(5)]
    labels = ["market"] * 5 + ["sport"] * 5
    assert linear_baseline("text", train, labels, ["投资者", "冠军"]) == ["market", "sport"]


def test_texts_without_a_single_word_do_not_fail() -> None:
    train = ["a b", "c d", "a", "c"]
    assert linear_baseline("text", train, ["x", "y", "x", "y"], ["a", "d"]) == ["x", "y"]


def test_a_single_class_is_the_answer_to_everything() -> None:
    assert linear_baseline("text", ["one", "two"], ["only", "only"], ["three"]) == ["only"]


def test_digits_are_told_apart_by_their_pixels() -> None:
    images, labels = digits(600)
    found = linear_baseline("image", images[:400], labels[:400], images[400:])
    right = sum(a == b for a, b in zip(found, labels[400:], strict=True))
    assert right / 200 > 0.8


def digits(number: int) -> tuple[list[bytes], list[str]]:
    rows, numbers = load_digits(return_X_y=True)
    images = []
    for row in rows[:number]:
        file = io.BytesIO()
        Image.fromarray((row.reshape(8, 8) * 15).astype("uint8")).save(file, format="PNG")
        images.append(file.getvalue())
    return images, [str(label) for label in numbers[:number]]


class Watched(list[bytes]):
    """Images, and how many threads linear algebra may take each time that they are read."""

    def __init__(self, images: list[bytes]) -> None:
        super().__init__(images)
        self.threads: list[int] = []

    def __iter__(self) -> Iterator[bytes]:
        self.threads.append(blas_threads())
        return super().__iter__()


def blas_threads() -> int:
    return max(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas")


def test_the_baseline_of_images_takes_one_thread_and_gives_the_others_back() -> None:
    images, labels = digits(40)
    watched = Watched(images)
    with threadpool_limits(2, "blas"):
        linear_baseline("image", images, labels, watched)
        assert (watched.threads, blas_threads()) == ([1], 2)


def test_images_take_the_most_common_shape_and_at_most_32_pixels() -> None:
    grey, large = _png(0), _png(255, (100, 20))
    assert common_shape([grey, grey, large]) == ((4, 4), "L")
    assert common_shape([large, large, grey]) == ((32, 20), "L")
    assert common_shape([grey, _png((255, 0, 0))]) == ((4, 4), "RGB")
    assert pixels([large], (4, 4), "L").tolist() == [[1.0] * 16]


def test_records_of_validation_count_where_they_were_learnt(tmp_path: Path) -> None:
    def split(ids: list[str]) -> Labelled:
        return Labelled("text", ids, [f"text {name}" for name in ids], ["x"] * len(ids), 0)

    both = train_and_validation(split(["a", "b"]), split(["b", "c"]))
    assert both == split(["a", "b", "c"])
    for chosen in (["a", "b"], ["a", "b", "c"]):
        path = tmp_path / "labels.parquet"
        pq.write_table(pa.table({"id": chosen, "label": ["x"] * len(chosen)}), path)
        assert with_same_labels(both, path) == split(chosen)


def test_only_the_chosen_records_are_left_in_their_order(tmp_path: Path) -> None:
    chosen = tmp_path / "labels.parquet"
    # The record b stands in the corpus with two labels; only one of them was chosen.
    pq.write_table(pa.table({"id": ["c", "b"], "label": ["earn", "corn"]}), chosen)
    train = Labelled(
        modality="text",
        ids=["a", "b", "b", "c"],
        contents=["one", "two", "two", "three"],
        labels=["corn", "corn", "earn", "earn"],
        num_unlabelled=1,
    )
    assert with_same_labels(train, chosen) == Labelled(
        modality="text",
        ids=["b", "c"],
        contents=["two", "three"],
        labels=["corn", "earn"],
        num_unlabelled=1,
    )
