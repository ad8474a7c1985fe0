"""Hugging Face's Trainer, quiet and on the CPU, for benchmarks that time it beside our engine."""

from __future__ import annotations

import time
from typing import Any


def quiet_arguments(folder: str, **given: Any) -> Any:
    """Return ``TrainingArguments`` that save, report and show nothing.

    Args:
        folder: what Trainer may write to.
        given: the others.
    """
    from transformers import TrainingArguments

    return TrainingArguments(
        output_dir=folder,
        use_cpu=True,
        report_to=[],
        save_strategy="no",
        disable_tqdm=True,
        **given,
    )


def quiet_trainer(starts: list[float], **given: Any) -> Any:
    """Return a ``Trainer`` that prints nothing.

    Args:
        starts: is given the time at which each step begins.
        given: what Trainer takes.
    """
    from transformers import PrinterCallback, Trainer, TrainerCallback

    class Watch(TrainerCallback):
        def on_step_begin(self, *_: Any, **__: Any) -> None:
            starts.append(time.perf_counter())

    trainer = Trainer(callbacks=[Watch()], **given)
    trainer.remove_callback(PrinterCallback)
    return trainer
