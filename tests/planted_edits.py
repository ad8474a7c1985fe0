"""Forty edits of this repository's code: twenty change the bytes of a result, twenty do not.

Each concerns one small row of ``tests.workspace.PARAMS``. What a fingerprint, a plan, a probe and a
real run say of an edit is held against this table.
"""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class PlantedEdit:
    """One edit of one file."""

    name: str
    row: str
    """``<stage>@<row>`` of ``tests.workspace.PARAMS``."""
    file: str
    old: str
    """Stands once in the file."""
    new: str
    changes_bytes: bool
    """Whether a result of the row differs; where ``late`` is ``resume``, that of a resumed run."""
    late: str = ""
    """When in a training it acts, if not from its beginning."""
    seen: bool | None = None
    """Whether the fingerprint changes; by default, it does where bytes do."""

    @property
    def is_seen(self) -> bool:
        """Whether the fingerprint of the row is to change."""
        return self.changes_bytes if self.seen is None else self.seen

    def apply(self, root: Path) -> None:
        """Make the edit in a copy of the repository.

        Raises:
            ValueError: the text does not stand in the file once: the code has moved on.
        """
        path = root / self.file
        text = path.read_text(encoding="utf-8")
        if text.count(self.old) != 1:
            raise ValueError(
                f"planted edit {self.name!r}: {self.file} holds {text.count(self.old)} times "
                f"{self.old!r}: let the edit follow the code"
            )
        path.write_text(text.replace(self.old, self.new), encoding="utf-8")


BERT, CONVNET = "pretrain@topics-bert", "pretrain@digits-convnet"
TOPICS, DIGITS = "finetune@topics-label", "finetune@digits-label"

CHANGING = [
    PlantedEdit(
        "a size of an architecture",
        BERT,
        "tasks/models/architectures/bert.py",
        "intermediate_size=4 * settings.hidden_size",
        "intermediate_size=3 * settings.hidden_size",
        True,
    ),
    PlantedEdit(
        "an activation",
        CONVNET,
        "tasks/models/architectures/convnet.py",
        "nn.ReLU(),\n    )",
        "nn.GELU(),\n    )",
        True,
    ),
    PlantedEdit(
        "a constant of an objective",
        BERT,
        "tasks/objectives/_masking.py",
        "np.where(fate < 0.8,",
        "np.where(fate < 0.7,",
        True,
    ),
    PlantedEdit(
        "how seeds are made",
        CONVNET,
        "tasks/training/determinism.py",
        ".digest()[:7]",
        ".digest()[:6]",
        True,
    ),
    PlantedEdit(
        "which parameters are decayed",
        DIGITS,
        "tasks/training/optimizers.py",
        "(0.0, [value for value in trained if value.ndim < 2])",
        "(0.1, [value for value in trained if value.ndim < 2])",
        True,
    ),
    PlantedEdit(
        "which texts are read",
        BERT,
        "tasks/inputs/tokenising.py",
        'yield from batch["text"].to_pylist()',
        'yield from batch["text"].to_pylist()[1:]',
        True,
    ),
    PlantedEdit(
        "the order of a tokenizer's letters",
        BERT,
        "tasks/inputs/tokenizer.py",
        'if token.startswith("##"))',
        'if token.startswith("##"))[::-1]',
        True,
    ),
    PlantedEdit(
        "how labels are cleaned",
        "clean@topics",
        "tasks/clean/one_record.py",
        'return clean_text(label or "", settings) or None',
        'return clean_text(label or "", settings).upper() or None',
        True,
    ),
    PlantedEdit(
        "what a line of progress does",
        "clean@topics",
        "tasks/clean/stage.py",
        "say(f\"clean: kept {num_kept:,} records; dropped {', '.join(counts) or 'none'}\")",
        "say(f\"clean: {write_json(output / 'report.json', {})}\")",
        True,
    ),
    PlantedEdit(
        "a share of the splits",
        "split@digits",
        "tasks/split/assign.py",
        "/ 2**48",
        "/ 2**49",
        True,
    ),
    PlantedEdit(
        "how a file is compressed",
        "split@topics",
        "tasks/contracts/records.py",
        'compression="zstd"',
        'compression="snappy"',
        True,
    ),
    PlantedEdit(
        "a method of settings",
        "split@digits",
        "tasks/split/settings.py",
        'the rest is train")\n        return self\n',
        'the rest is train")\n        return self.model_copy(update={"test": self.test / 2})\n',
        True,
    ),
    PlantedEdit(
        "a default of settings",
        CONVNET,
        "tasks/training/settings.py",
        "weight_decay: float = Field(\n        0.01,",
        "weight_decay: float = Field(\n        0.02,",
        True,
    ),
    PlantedEdit(
        "what settings.json says",
        "validate@digits",
        "tasks/contracts/stage_run.py",
        '"seed": run.seed,',
        '"seed": str(run.seed),',
        True,
    ),
    PlantedEdit(
        "a template",
        "evaluate@digits-label",
        "tasks/evaluate/card.md.j2",
        "## Limits",
        "## What it cannot do",
        True,
    ),
    PlantedEdit(
        "the schedule's last step",
        CONVNET,
        "tasks/training/optimizers.py",
        "    done = (step - warmup)",
        "    if step == num_steps - 1:\n        return 0.0\n    done = (step - warmup)",
        True,
        late="the last step",
    ),
    PlantedEdit(
        "which epoch is best",
        TOPICS,
        "tasks/finetune/callbacks.py",
        "signed = value if self._more_is_better else -value",
        "signed, loss = -value if self._more_is_better else value, -loss",
        True,
        late="early stopping",
    ),
    PlantedEdit(
        "what an epoch's end notes",
        CONVNET,
        "tasks/training/loop.py",
        "self._losses.append(mean)",
        "self._losses.append(round(mean, 1))",
        True,
        late="an epoch's end",
    ),
    PlantedEdit(
        "what a resumed training forgets",
        CONVNET,
        "tasks/training/loop.py",
        'self._optimizers.load_state_dict(kept.get("optimizers", {}))',
        "self._optimizers.load_state_dict({})",
        True,
        late="resume",
    ),
    PlantedEdit(
        "how a model is saved",
        DIGITS,
        "tasks/models/image.py",
        'save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})',
        'save_file(weights, folder / WEIGHTS, metadata={"format": "torch"})',
        True,
        late="saving",
    ),
]

HARMLESS = [
    PlantedEdit(
        "a comment",
        BERT,
        "tasks/objectives/masked.py",
        "VALIDATION_BATCH_SIZE = 64",
        "VALIDATION_BATCH_SIZE = 64  # texts",
        False,
    ),
    PlantedEdit(
        "a docstring",
        CONVNET,
        "tasks/training/loop.py",
        '"""Take the steps that are left."""',
        '"""Train to the end."""',
        False,
    ),
    PlantedEdit(
        "formatting",
        CONVNET,
        "tasks/training/batches.py",
        "return -(-len(self._lengths) // self._batch_size)",
        "return -(\n            -len(self._lengths)\n            // self._batch_size\n        )",
        False,
    ),
    PlantedEdit(
        "the text of an error",
        BERT,
        "tasks/training/loop.py",
        "examples to train on: lower it",
        "examples in the split: lower batch_size",
        False,
    ),
    PlantedEdit(
        "a line of progress",
        DIGITS,
        "tasks/finetune/callbacks.py",
        "loss {loss:.4f}",
        "mean loss {loss:.3f}",
        False,
    ),
    PlantedEdit(
        "another name for a local variable",
        BERT,
        "tasks/objectives/masked.py",
        '        tokens = max(sums["tokens"], 1)\n        metrics = {\n'
        '            "loss": sums["loss"] / tokens,\n'
        '            "perplexity": float(np.exp(sums["loss"] / tokens)),\n'
        '            "unigram_perplexity": float(np.exp(sums["unigram_loss"] / tokens)),\n'
        '            "masked_accuracy": sums["correct"] / tokens,\n'
        '            "unigram_masked_accuracy": sums["most_frequent"] / tokens,\n',
        '        num_tokens = max(sums["tokens"], 1)\n        metrics = {\n'
        '            "loss": sums["loss"] / num_tokens,\n'
        '            "perplexity": float(np.exp(sums["loss"] / num_tokens)),\n'
        '            "unigram_perplexity": float(np.exp(sums["unigram_loss"] / num_tokens)),\n'
        '            "masked_accuracy": sums["correct"] / num_tokens,\n'
        '            "unigram_masked_accuracy": sums["most_frequent"] / num_tokens,\n',
        False,
    ),
    PlantedEdit(
        "an annotation",
        CONVNET,
        "tasks/training/batches.py",
        "def _shuffle(self, epoch: int) -> list[np.ndarray]:",
        "def _shuffle(self, epoch):",
        False,
    ),
    PlantedEdit(
        "an import for type checkers",
        CONVNET,
        "tasks/training/determinism.py",
        "import hashlib\nimport os\n",
        "import hashlib\nimport os\nfrom typing import TYPE_CHECKING\n\n"
        "if TYPE_CHECKING:\n    from pathlib import Path\n",
        False,
    ),
    PlantedEdit(
        "the code of another architecture",
        BERT,
        "tasks/models/architectures/gpt2.py",
        "class Settings(TransformerSettings):",
        "DROPOUT = 0.5\n\n\nclass Settings(TransformerSettings):",
        False,
    ),
    PlantedEdit(
        "the code of another objective",
        BERT,
        "tasks/objectives/causal.py",
        "class Settings(contract.Settings):",
        "SHARE = 0.5\n\n\nclass Settings(contract.Settings):",
        False,
    ),
    PlantedEdit(
        "how several devices are started",
        CONVNET,
        "tasks/training/launcher.py",
        "SECONDS_TO_CHECKPOINT = 10",
        "SECONDS_TO_CHECKPOINT = 20",
        False,
    ),
    PlantedEdit(
        "adapters, which the row has not",
        DIGITS,
        "tasks/finetune/lora.py",
        "module.merge()",
        "module.merge(safe_merge=True)",
        False,
    ),
    PlantedEdit(
        "folds, which the row has not",
        TOPICS,
        "tasks/finetune/folds.py",
        "np.arange(len(dealt)) % num_folds",
        "np.arange(len(dealt))[::-1] % num_folds",
        False,
    ),
    PlantedEdit(
        "where init finds its checkpoint, which the row has not",
        BERT,
        "tasks/pretrain/init.py",
        "        return Path(init.path)\n",
        "        return Path(init.path).resolve()\n",
        False,
    ),
    PlantedEdit(
        "how often progress is told",
        DIGITS,
        "tasks/progress.py",
        "LINE_EVERY_SECONDS = 10.0",
        "LINE_EVERY_SECONDS = 5.0",
        False,
    ),
    PlantedEdit(
        "a bound, a description and a check of settings",
        "split@digits",
        "tasks/split/settings.py",
        "if self.validation + self.test >= 1:",
        "if self.validation + self.test > 0.99:",
        False,
    ),
    PlantedEdit(
        "how a stage's process waits for its lock",
        "clean@topics",
        "tasks/stage_process/process.py",
        "LOCK_TIMEOUT_SECONDS = 30",
        "LOCK_TIMEOUT_SECONDS = 60",
        False,
    ),
    PlantedEdit(
        "the same sum, written otherwise",
        CONVNET,
        "tasks/training/batches.py",
        "epoch, index = divmod(step, self.steps_per_epoch)",
        "epoch, index = step // self.steps_per_epoch, step % self.steps_per_epoch",
        False,
        seen=True,
    ),
    PlantedEdit(
        "what is measured of a training's speed",
        CONVNET,
        "tasks/training/meter.py",
        '"waiting_share": self._waited / seconds',
        '"waiting_share": min(1.0, self._waited / seconds)',
        False,
        seen=True,
    ),
    PlantedEdit(
        "what the argument of an error does that is not raised",
        "split@digits",
        "tasks/split/stage.py",
        "gave \"\n                f\"{', '.join(",
        "gave \"\n                f\"{(part := 'x')} {', '.join(",
        False,
        seen=True,
    ),
]

EDITS = [*CHANGING, *HARMLESS]
