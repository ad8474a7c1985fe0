"""Candidate and champion with a head other than classification, on the same test records.

The head's metric that decides is compared by the paired approximate randomisation test, over all
records and within each slice (Holm's correction), with paired bootstrap intervals; where answers
are right or wrong, by McNemar's test and Tango's interval.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.contracts import records
from tasks.contracts.files import rounded
from tasks.errors import BadInput
from tasks.heads import _evidence as evidence
from tasks.heads._model import load_predictor
from tasks.metrics.intervals import resamples
from tasks.metrics.scores import once_each
from tasks.metrics.significance import holm
from tasks.models.model import description
from tasks.progress import say
from tasks.promotion.comparison.comparison import excerpt
from tasks.promotion.comparison.schema import Comparison, Flip, Serving, SliceChange
from tasks.promotion.comparison.serving import measure_serving
from tasks.tracking.registry.bindings import CODE, SPLIT
from tasks.tracking.registry.version import PREDICTIONS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from tasks.promotion.review.subject import Subject
    from tasks.promotion.settings import PromotionSettings
    from tasks.promotion.versions import FetchedVersion

NUM_TIMED = 50
"""Records whose latency is measured, or whose answers are repeated."""
TOLERANCE = 1e-4
"""Of an answer that is a number, relatively: other machines add up in another order."""


@dataclass(frozen=True)
class HeadedSides:
    """What one or two versions answer to the test records; ``candidate``, perhaps ``champion``."""

    test: evidence.Test
    names: dict[str, str]
    answers: dict[str, list[Any]]
    outputs: list[str]
    """What they answer with together, by name."""
    serving: dict[str, Serving]

    @classmethod
    def of(
        cls,
        versions: Mapping[str, FetchedVersion],
        subject: Subject,
        split: Path,
        head: str,
        folder: Path,
    ) -> HeadedSides:
        """Read the logged answers of each version, or make them, and measure what serving costs.

        Args:
            versions: by ``candidate`` and ``champion``.
            subject: what the review is of.
            split: the file of the test records.
            head: the name of the head.
            folder: gets the predictions of each.

        Raises:
            BadInput: no test record has the head's targets, or a model cannot be loaded.
        """
        test = evidence.read_test(split, head)
        answers: dict[str, list[Any]] = {}
        outputs: list[str] = []
        serving: dict[str, Serving] = {}
        for who, fetched in versions.items():
            known = description(fetched.model)["labels"]
            outputs += [name for name in known if name not in outputs]
            answers[who] = _answers(fetched, subject, test)
            kept = folder / f"{who}.parquet"
            evidence.write_predictions(kept, test, {"model": answers[who]}, known)
            serving[who] = measure_serving(fetched.model, test.contents[:NUM_TIMED])
        names = {who: fetched.name for who, fetched in versions.items()}
        return cls(test, names, answers, outputs, serving)

    def compare(
        self, model: str, settings: PromotionSettings, missed_gates: Sequence[str] = ()
    ) -> Comparison:
        """Compare the two.

        Args:
            model: the row of ``params.yaml``.
            settings: level of significance, resamples, least size of a slice.
            missed_gates: the gates that the candidate misses, one sentence each.
        """
        head, alpha = self.test.head, settings.review.alpha
        metric = next(iter(head.measures(self.outputs)))
        better_by, p_value = self._difference()
        metrics, interval = self._metrics(settings.review.bootstrap_samples, alpha)
        test = {}
        if evidence.right_or_wrong(head):
            both = self.answers["candidate"], self.answers["champion"]
            interval = evidence.tango_interval(self.test, *both, 1 - alpha)
            test = {"test": "McNemar's exact test", "interval_by": "Tango's interval"}
        ahead = "better" if better_by > 0 else "worse"
        comparison: dict[str, Any] = {
            "schema": 1,
            "model": model,
            "candidate": self.names["candidate"],
            "champion": self.names["champion"],
            "modality": "text",
            "records": len(self.test),
            "alpha": alpha,
            "verdict": ahead if p_value < alpha else "no significant difference",
            "metrics": metrics,
            "decides": {
                "metric": metric,
                "told": head.METRICS[metric],
                "less_is_better": metric in head.LESS_IS_BETTER,
                "better_by": better_by,
                "p_value": p_value,
                "interval": interval,
                **test,
            },
            "minimum_records": settings.slices.minimum_records,
            "slices": self._slices(alpha, settings.slices.minimum_records),
            "flipped": self._changed(settings.review.shown_examples),
            "serving": dict(self.serving),
            "missed_gates": list(missed_gates),
        }
        result: Comparison = rounded(comparison)
        return result

    def _difference(self, members: np.ndarray | None = None) -> tuple[float, float]:
        ours, theirs = self.answers["candidate"], self.answers["champion"]
        return evidence.difference(self.test, ours, theirs, self.outputs, members)

    def _metrics(self, num_samples: int, alpha: float) -> tuple[list[dict[str, Any]], list[float]]:
        """Return all metrics of both, and the interval of the one that decides, more being better.

        Both see the same resamples, of a fixed seed: the same answers give the same page.
        """
        head, true = self.test.head, self.test.true
        prepared = {w: head.prepare(true, self.answers[w], self.outputs) for w in self.answers}
        metrics, of_first = [], []
        samples = list(resamples(len(self.test), num_samples, [0]))
        for number, (name, measure) in enumerate(head.measures(self.outputs).items()):
            values = {w: float(measure(once_each(len(true)), prepared[w])[0]) for w in prepared}
            drawn = np.concatenate(
                [
                    measure(c, prepared["candidate"]) - measure(c, prepared["champion"])
                    for c in samples
                ]
            )
            drawn = drawn[np.isfinite(drawn)]
            if number == 0:
                sign = -1 if name in head.LESS_IS_BETTER else 1
                of_first = np.quantile(sign * drawn, [alpha / 2, 1 - alpha / 2]).tolist()
            interval = np.quantile(drawn, [0.025, 0.975]).tolist() if len(drawn) else []
            difference = values["candidate"] - values["champion"]
            if np.isfinite(difference):
                one = {"name": name, **values, "difference": difference, "interval": interval}
                metrics.append({**one, "told": head.METRICS[name]})
        return metrics, of_first

    def _slices(self, alpha: float, least: int) -> list[SliceChange]:
        slices = evidence.slices_of(self.test)
        values = {
            who: evidence.slice_values(self.test, slices, given, self.outputs)
            for who, given in self.answers.items()
        }
        sizes = [int(one.members.sum()) for one in slices]
        found = [
            self._difference(one.members) if size >= least else None
            for one, size in zip(slices, sizes, strict=True)
        ]
        adjusted = iter(holm([one[1] for one in found if one is not None]).tolist())
        changes: list[SliceChange] = []
        for number, one in enumerate(slices):
            tested = found[number]
            corrected = next(adjusted) if tested is not None else None
            difference = values["candidate"][number] - values["champion"][number]
            metric = next(iter(self.test.head.measures(self.outputs)))
            sign = -1 if metric in self.test.head.LESS_IS_BETTER else 1
            changes.append(
                {
                    "kind": one.kind,
                    "name": one.name,
                    "records": sizes[number],
                    "candidate": values["candidate"][number],
                    "champion": values["champion"][number],
                    "difference": sign * difference,
                    "interval": [],
                    "p_value": tested[1] if tested is not None else None,
                    "adjusted_p_value": corrected,
                    "verdict": "too few records"
                    if corrected is None
                    else "no significant change"
                    if corrected >= alpha
                    else "better"
                    if sign * difference > 0
                    else "worse",
                }
            )
        return changes

    def _changed(self, num_shown: int) -> dict[str, list[Flip]]:
        """Return the records whose answers have become better, and worse, by most."""
        head, true, ids = self.test.head, self.test.true, self.test.ids
        ours, theirs = (head.errors(true, self.answers[who]) for who in ("candidate", "champion"))
        shown: dict[str, list[Flip]] = {}
        for direction, gain in (("won", theirs - ours), ("lost", ours - theirs)):
            order = [int(n) for n in np.argsort(-gain, kind="stable")[:num_shown] if gain[n] > 0]
            shown[direction] = [self._flip(place, true, ids) for place in order]
        return shown

    def _flip(self, place: int, true: list[Any], ids: list[str]) -> Flip:
        answers = {
            "label": true[place],
            **{who: given[place] for who, given in self.answers.items()},
        }
        shown = {
            who: self.test.head.shown(self.test.contents[place], answer, [*answers.values()])
            for who, answer in answers.items()
        }
        return {
            "id": ids[place],
            "label": shown["label"],
            "candidate": shown["candidate"],
            "champion": shown["champion"],
            "excerpt": excerpt(self.test.texts[place]),
        }


def _answers(fetched: FetchedVersion, subject: Subject, test: evidence.Test) -> list[Any]:
    """Return the logged answers if they are of these records and this code, or make them."""
    logged, tags = fetched.evidence / PREDICTIONS, fetched.version.tags
    same_records = tags.get(f"{SPLIT}test") == subject.test_split
    if same_records and tags.get(f"{CODE}evaluate") == subject.code and logged.is_file():
        return evidence.read_predictions(logged, test)
    changed = "the code of evaluate is another now" if same_records else "the test split is another"
    say(f"{subject.model}: {fetched.name} is scored again: {changed}")
    return load_predictor(fetched.model).answers(test.contents)


def repeats(fetched: FetchedVersion, head: str, splits: Sequence[Path]) -> str:
    """Check that a version answers some of its recorded records as it did.

    Args:
        fetched: the version with its model and its ``predictions.parquet``.
        head: the name of its head.
        splits: those of today, in one of which the records are looked for.

    Returns:
        What was found, in a few words.

    Raises:
        BadInput: an answer differs, or none of the records is here.
    """
    table = records.read_table(fetched.evidence / PREDICTIONS)
    recorded = dict(
        zip(table["id"].to_pylist(), table[evidence.PREDICTED].to_pylist(), strict=True)
    )
    for path in splits:
        if not path.is_file():
            continue
        test = evidence.read_test(path, head)
        known = [place for place, identity in enumerate(test.ids) if identity in recorded]
        if not known:
            continue
        chosen = known[:NUM_TIMED]
        contents, ids = test.contents, test.ids
        predictor = load_predictor(fetched.model)
        now = predictor.answers([contents[place] for place in chosen])
        for place, answer in zip(chosen, now, strict=True):
            before = recorded[ids[place]]
            if not _repeated(test, predictor, contents[place], answer, before):
                raise BadInput(
                    f"{fetched.version.title} does not answer as recorded: record "
                    f"{ids[place][:12]} is {answer!r:.60}, was {before!r:.60}: check out the "
                    "commit in its tag mlflow.source.git.commit and try from there"
                )
        return f"{len(chosen)} recorded predictions repeated"
    raise BadInput(
        f"{fetched.version.title}: none of its {len(recorded)} test records lies in "
        f"{splits[0].parent}: `dvc pull {splits[0].parent}`"
    )


def _repeated(test: evidence.Test, predictor: Any, content: Any, now: Any, before: Any) -> bool:
    """Tell whether a recorded answer is given again, as far as the head can.

    Args:
        test: the records.
        predictor: the version's model.
        content: what it has answered.
        now: its answer.
        before: the recorded one.
    """
    if _alike(now, before):
        return True
    # What is written may depend on the batch where two tokens are as likely; all else may not.
    if not hasattr(test.head, "may_be_either"):
        return False
    others = [{name: one[name] for name in one if name != "response"} for one in (now, before)]
    return _alike(*others) and bool(test.head.may_be_either(predictor, content, now, before))


def _alike(one: Any, other: Any) -> bool:
    """Tell whether two answers are the same, but for the last digits of their numbers."""
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) <= TOLERANCE * max(1.0, abs(other))
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        return all(_alike(value, other[name]) for name, value in one.items())
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return all(map(_alike, one, other))
    return bool(one == other)
