"""Whether training is ready for a GPU, and how fast it is there: one table.

    python -m benchmarks.gpu [--part NAME] [--small] [--json]

| part | what it shows |
|---|---|
| `gpt` | a GPT of 124 million parameters in bf16: tokens a second, share of the GPU's peak |
| `compile` | the same with `compile: true`, and how long compiling takes |
| `cross-entropy` | the same with `causal.fused_loss: true`: speed and peak memory of both |
| `batches` | the share of the time in which steps wait for batches; batches are pinned |
| `kill` | the same bytes as undisturbed, after `kill -9` in the middle |
| `sync` | nothing in a step waits for the device, of any objective |
| `objectives` | ten deterministic steps of every objective, twice: the same bytes |
| `lstm` | an LSTM under autocast, beside fp32 |

On a GPU of the class of an H100 each part takes less than 8 minutes, all together less than 25.
Without a GPU, or with `--small`, sizes are tiny: that shows that each part works, and that bytes
repeat on this device; speed, memory, pinning and the operators that a GPU lacks need one.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch

from tasks.contracts import records
from tasks.inputs import token_cache
from tasks.inputs.documents import Documents
from tasks.inputs.traits import TextTraits
from tasks.models import transformer
from tasks.models.architectures import gpt2, lstm
from tasks.models.model import describe
from tasks.objectives import causal
from tasks.tracking.runs.journal import lines
from tasks.tracking.runs.metric_log import MetricLog
from tasks.training import checkpoints as _checkpoints
from tasks.training.checkpoints import Checkpoints
from tasks.training.determinism import make_deterministic
from tasks.training.loop import _Training, train
from tasks.training.settings import LongTrainingSettings
from tasks.training.task import Task
from tasks.training.watch import flops_of_length, peak_flops
from tests.tasks.conftest import write_images, write_texts
from tests.tasks.training.test_ranks_of_objectives import (
    NUM_EXAMPLES,
    PRETRAININGS,
    TASKS,
    Pretraining,
    pretraining,
)
from tests.tasks.training.waits import waits_of_a_step

STEPS_OF_OBJECTIVES = 10
WARM = 3
"""Steps before time is taken: kernels are chosen in them, and memory is allotted."""
WANTED_UTILISATION = 0.4
GPT = {"layers": 12, "hidden_size": 768, "heads": 12, "positions": 1024}
SMALL_GPT = {"layers": 2, "hidden_size": 32, "heads": 2, "positions": 32}


class Scale(NamedTuple):
    """How large things are."""

    gpt: dict[str, int]
    vocabulary: int
    batch_size: int
    accumulation: int
    steps: int
    lstm: dict[str, int]


LARGE = Scale(GPT, 50_304, 64, 4, 30, {"layers": 2, "hidden_size": 1024})
SMALL = Scale(SMALL_GPT, 300, 4, 2, 8, {"layers": 1, "hidden_size": 32})


class Row(NamedTuple):
    """A line of the table; ``holds`` is ``None`` where nothing is promised."""

    part: str
    what: str
    figure: str
    holds: bool | None = None


def main() -> None:
    """Run the parts, print one table; exit with 1 where something does not hold."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--part", choices=PARTS, help="one of them alone")
    parser.add_argument("--small", action="store_true", help="tiny sizes, as without a GPU")
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    parser.add_argument("--train-in", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    scale = SMALL if arguments.small or not torch.cuda.is_available() else LARGE
    if arguments.train_in:
        train_to_be_killed(scale, arguments.train_in)
        return
    rows = []
    for name in [arguments.part] if arguments.part else PARTS:
        started = time.perf_counter()
        rows += PARTS[name](scale)
        print(f"{name}: {time.perf_counter() - started:.0f} s", file=sys.stderr)
    print_table(rows, is_small=scale is SMALL)
    if arguments.json:
        print(json.dumps({"device": device_name(), "rows": [row._asdict() for row in rows]}))
    sys.exit(any(row.holds is False for row in rows))


def print_table(rows: list[Row], *, is_small: bool) -> None:
    """Print what was found."""
    print(f"{device_name()}, torch {torch.__version__}\n")
    print("| part | | figure | holds |\n|---|---|---|---|")
    told = {True: "yes", False: "**no**", None: ""}
    for row in rows:
        print(f"| {row.part} | {row.what} | {row.figure} | {told[row.holds]} |")
    if is_small:
        print("\nTiny sizes: speed, memory, utilisation and pinning say nothing; run it on a GPU.")


def device_name() -> str:
    """Return what is computed on."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU: a CPU"


def gpt(scale: Scale) -> list[Row]:
    """Time the GPT in bf16."""
    task = gpt_task(scale)
    parameters = sum(value.numel() for value in task.model.parameters())
    run = timed_gpt(scale, task)
    rows = [
        Row("gpt", f"{parameters / 1e6:.0f} M parameters, bf16: tokens/s", f"{run.rate:,.0f}"),
        Row("gpt", "peak memory", f"{run.peak_memory / 1e9:.1f} GB"),
        Row("gpt", "loss of the first and the last steps", run.losses, run.learns),
    ]
    if run.utilisation is not None:
        holds = run.utilisation >= WANTED_UTILISATION
        rows.append(Row("gpt", "model FLOPs utilisation", f"{run.utilisation:.1%}", holds))
    return rows


def compiled(scale: Scale) -> list[Row]:
    """Time the GPT with and without ``compile: true``."""
    plain = timed_gpt(scale, gpt_task(scale))
    try:
        run = timed_gpt(scale, gpt_task(scale), compile=True)
    except Exception as error:  # noqa: BLE001 - it stands in the table
        return [Row("compile", "compile: true", first_line(error), False)]
    used = "" if run.utilisation is None else f", {run.utilisation:.1%}"
    return [
        Row("compile", "tokens/s", f"{run.rate:,.0f}{used}, {run.rate / plain.rate:.2f} times"),
        Row(
            "compile",
            f"until step {WARM}, plain and compiled",
            f"{plain.warm:.0f}, {run.warm:.0f} s",
        ),
    ]


def cross_entropy(scale: Scale) -> list[Row]:
    """Time the GPT with all logits of a part at once, and in pieces."""
    plain = timed_gpt(scale, gpt_task(scale))
    fused = timed_gpt(scale, gpt_task(scale, fused_loss=True))
    holds = abs(plain.last_loss - fused.last_loss) < 0.02 * plain.last_loss
    memory = f"{plain.peak_memory / 1e9:.1f} and {fused.peak_memory / 1e9:.1f} GB"
    return [
        Row("cross-entropy", "fused: tokens/s", f"{fused.rate / plain.rate:.2f} times"),
        Row("cross-entropy", "peak memory, plain and fused", memory),
        Row(
            "cross-entropy",
            "last losses, plain and fused",
            f"{plain.last_loss:.3f} and {fused.last_loss:.3f}",
            holds,
        ),
    ]


def batches(scale: Scale) -> list[Row]:
    """Tell how long steps wait for their batches, and whether these are pinned."""
    with tempfile.TemporaryDirectory() as folder:
        run = timed_gpt(scale, gpt_task(scale), log=MetricLog(Path(folder)))
        shares = [
            line["metrics"]["waiting_share"]
            for line, _ in lines(Path(folder))
            if "waiting_share" in line["metrics"]
        ]
    task = gpt_task(scale)
    training = _Training(task, settings_of(scale), 0, "batches", None, None, None)
    _, parts = training._make(0)
    pinned = all(value.is_pinned() for part in parts for value in part.values())
    on_gpu = torch.cuda.is_available()
    share = float(np.median(shares))
    return [
        Row("batches", "waiting share", f"{share:.1%}", share < 0.05 if run and on_gpu else None),
        Row("batches", "pinned", "yes" if pinned else "no", pinned if on_gpu else None),
    ]


def kill(scale: Scale) -> list[Row]:
    """Train twice, once killed in the middle; compare the weights' bytes."""
    command = [sys.executable, "-m", "benchmarks.gpu", "--train-in"]
    small = ["--small"] if scale is SMALL else []
    with tempfile.TemporaryDirectory() as name:
        undisturbed, disturbed = Path(name, "undisturbed"), Path(name, "killed")
        subprocess.run([*command, str(undisturbed), *small], check=True, stdout=subprocess.DEVNULL)
        with subprocess.Popen(
            [*command, str(disturbed), *small], stdout=subprocess.DEVNULL
        ) as process:
            while not list(disturbed.glob("step-*[2-9].json")) and process.poll() is None:
                time.sleep(0.005)
            was_killed = process.poll() is None
            process.kill()
        again = subprocess.run(
            [*command, str(disturbed), *small], check=True, capture_output=True, text=True
        )
        went_on = "goes on from the checkpoint" in again.stdout + again.stderr
        digests = [(folder / "weights.sha256").read_text() for folder in (undisturbed, disturbed)]
    holds = was_killed and went_on and digests[0] == digests[1]
    told = "the same" if digests[0] == digests[1] else "others"
    gone = "killed and gone on" if was_killed and went_on else "it was not killed in the middle"
    return [Row("kill", f"bytes after kill -9 ({gone})", told, holds)]


def train_to_be_killed(scale: Scale, folder: Path) -> None:
    """Train the GPT with a checkpoint after every step; leave the hash of its weights."""
    _checkpoints.SECONDS_BETWEEN = _checkpoints.TIMES_AS_LONG = 0.0
    task = gpt_task(scale)
    settings = settings_of(scale, max_steps=12)
    train(task, settings, 0, "gpt", checkpoints=Checkpoints(folder))
    (folder / "weights.sha256").write_text(digest_of(task))


def sync(scale: Scale) -> list[Row]:
    """Take a step of everything while waiting for the device is an error."""
    rows = []
    with every_task() as known, attention_of_a_gpu():
        tasks: dict[str, Callable[[], Task]] = {"gpt, bf16": lambda: gpt_task(scale), **known}
        for name, prepare in tasks.items():
            try:
                task = prepare()
                settings = LongTrainingSettings(batch_size=4, max_steps=2)
                training = _Training(task, settings, 0, name, None, None, None)
                _, parts = training._make(0)
                training._take_step(parts)  # what the first step sets up may wait
                found = waits_of_a_step(training).found
            except Exception as error:  # noqa: BLE001 - it stands in the table
                found = [first_line(error)]
            rows.append(Row("sync", name, ", ".join(found) or "waits for nothing", not found))
    return rows


def objectives(scale: Scale) -> list[Row]:  # noqa: ARG001 - small ones suffice
    """Take ten steps of every objective twice, under deterministic algorithms."""
    rows = []
    settings = LongTrainingSettings(batch_size=16, max_steps=STEPS_OF_OBJECTIVES)
    with every_task() as tasks:
        for name, prepare in tasks.items():
            try:
                digests = []
                for _ in range(2):
                    task = prepare()
                    losses = train(task, settings, 0, name)
                    digests.append(digest_of(task))
                holds = digests[0] == digests[1] and all(np.isfinite(losses))
                told = "the same bytes" if holds else "other bytes"
            except Exception as error:  # noqa: BLE001 - it stands in the table
                told, holds = first_line(error), False
            rows.append(Row("objectives", name, told, holds))
    return rows


def recurrent(scale: Scale) -> list[Row]:
    """Train an LSTM under autocast and in fp32."""
    rates, losses = [], []
    for precision in ("bf16", "fp32"):
        make_deterministic(0)
        traits = TextTraits(scale.vocabulary, 0)
        model = lstm.build(lstm.Settings(dropout=0.0, **scale.lstm), traits)
        task = causal_task(model, scale, tokens=min(256, scale.gpt["positions"]))
        run = timed(task, settings_of(scale, precision=precision))
        rates.append(run.rate)
        losses.append(run.last_loss)
    holds = abs(losses[0] - losses[1]) < 0.02 * losses[1]
    return [
        Row(
            "lstm", "bf16 autocast: tokens/s", f"{rates[0]:,.0f}, {rates[0] / rates[1]:.2f} of fp32"
        ),
        Row("lstm", "last loss, bf16 and fp32", f"{losses[0]:.3f} and {losses[1]:.3f}", holds),
    ]


PARTS: dict[str, Callable[[Scale], list[Row]]] = {
    "gpt": gpt,
    "compile": compiled,
    "cross-entropy": cross_entropy,
    "batches": batches,
    "kill": kill,
    "sync": sync,
    "objectives": objectives,
    "lstm": recurrent,
}


class Run(NamedTuple):
    """What a training has come to."""

    rate: float
    warm: float
    utilisation: float | None
    peak_memory: int
    first_loss: float
    last_loss: float

    @property
    def losses(self) -> str:
        """The first and the last, in words."""
        return f"{self.first_loss:.2f}, {self.last_loss:.2f}"

    @property
    def learns(self) -> bool:
        """Whether the loss has fallen."""
        return self.last_loss < self.first_loss


def timed_gpt(scale: Scale, task: causal.Causal, log: MetricLog | None = None, **more: Any) -> Run:
    """Train a GPT for some steps."""
    return timed(task, settings_of(scale, precision="bf16", **more), log)


def timed(task: Task, settings: LongTrainingSettings, log: MetricLog | None = None) -> Run:
    """Train for some steps; the first ones do not count for the rate."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    task.model.to(device)
    flops = flops_of_length(task, 0, device)
    losses: list[torch.Tensor] = []
    times: list[float] = []
    step = task.step

    def timed_step(*arguments: Any) -> torch.Tensor:
        if len(losses) in (0, WARM):
            wait()
            times.append(time.perf_counter())
        losses.append(step(*arguments))
        return losses[-1]

    task.step = timed_step  # type: ignore[assignment, method-assign]
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    train(task, settings, 0, "timed", metric_log=log)
    wait()
    seconds = time.perf_counter() - times[1]
    shown = (len(losses) - WARM) * settings.batch_size * float(task.lengths[0])
    peak = peak_flops(device, bf16=settings.precision != "fp32")
    return Run(
        shown / seconds,
        times[1] - times[0],
        shown / seconds * flops / peak if peak and flops else None,
        torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0,
        float(losses[0]),
        float(torch.stack(losses[-3:]).mean()),
    )


def wait() -> None:
    """Wait until the device has done all that it was given."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def settings_of(scale: Scale, **more: Any) -> LongTrainingSettings:
    """Return the settings of a training of some steps."""
    own = {
        "max_steps": scale.steps,
        "batch_size": scale.batch_size,
        "accumulation": scale.accumulation,
        "learning_rate": 6e-4,
    }
    return LongTrainingSettings.parse({**own, **more}, "training")


def gpt_task(scale: Scale, fused_loss: Literal[True] | None = None) -> causal.Causal:
    """Return a GPT with random weights, and made-up texts."""
    make_deterministic(0)
    model = gpt2.build(gpt2.Settings(**scale.gpt), TextTraits(scale.vocabulary, 0))
    return causal_task(model, scale, scale.gpt["positions"], fused_loss)


def causal_task(
    model: Any, scale: Scale, tokens: int, fused_loss: Literal[True] | None = None
) -> causal.Causal:
    """Return a language model's task on made-up tokens, of which few are frequent."""
    from tokenizers import Tokenizer, models

    names = ["<|endoftext|>", *(f"t{number}" for number in range(1, scale.vocabulary))]
    tokenizer = Tokenizer(models.WordLevel({name: i for i, name in enumerate(names)}, names[0]))
    count = tokens * (scale.batch_size * (scale.steps + 1) + 1)
    drawn = np.random.default_rng(0).random(count) ** 4
    ids = (1 + (scale.vocabulary - 1) * drawn).astype(np.uint16)
    starts = np.arange(0, count + 1, max(1, count // 8))
    starts[-1] = count
    documents = Documents(ids, starts, starts[:-1])
    settings = causal.Settings(tokens=tokens, fused_loss=fused_loss)
    return causal.Causal(model, tokenizer, documents, (documents, count), settings, tokens)


@contextmanager
def attention_of_a_gpu() -> Iterator[None]:
    """Compute with the attention that a GPU would use: that for CPUs looks into its mask."""
    before = transformer.on_gpu
    transformer.on_gpu = lambda: True
    try:
        yield
    finally:
        transformer.on_gpu = before


@contextmanager
def every_task() -> Iterator[dict[str, Callable[[], Task]]]:
    """Give every objective on a few texts and images, and a classifier."""
    contrastive = Pretraining("image", "contrastive", "convnet", {"channels": 16}, {})
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        before, token_cache.FOLDER = token_cache.FOLDER, folder / "tokens"
        try:
            splits = {
                "text": write_texts(folder / "texts"),
                "image": write_images(folder / "images"),
            }
            for modality, paths in splits.items():
                for part, path in zip(("train", "validation"), paths, strict=True):
                    table = records.read_table(path).slice(0, NUM_EXAMPLES)
                    target = folder / modality / f"{part}.parquet"
                    records.write_records(target, table.schema, table.to_batches())
            pretraining(PRETRAININGS["masked"], folder).save(folder / "bert")
            describe(folder / "bert", architecture="bert", modality="text")
            known: dict[str, Callable[[Path], Task]] = {
                **TASKS,
                "contrastive": lambda folder: pretraining(contrastive, folder),
            }
            yield {
                name: (lambda prepare=prepare: prepare(folder))  # type: ignore[misc]
                for name, prepare in known.items()
            }
        finally:
            token_cache.FOLDER = before


def digest_of(task: Task) -> str:
    """Return a hash of all weights."""
    digest = hashlib.sha256()
    for name, value in sorted(task.model.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def first_line(error: Exception) -> str:
    """Return what an error says first, fit for a table."""
    said = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {said[0][:160]}".replace("|", "/")


if __name__ == "__main__":
    main()
