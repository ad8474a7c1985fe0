"""A causal backbone that answers prompts: its loss on responses, and how it writes them.

The head is the backbone's own: a token's logits are the products of its state and the embeddings.
It is kept as transformers' model for causal language modelling, with the template of
``_dialogues`` beside the weights.

Dimensions: N records, R sequences, T tokens, P tokens that are predicted, H features, V tokens of
the vocabulary.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.contracts import files
from tasks.errors import BadInput
from tasks.heads._dialogues import CHAT_TEMPLATE, Template, Writer
from tasks.heads._model import HeadModel, Predictor
from tasks.heads._task import HeadTask
from tasks.models import text
from tasks.models.classifier import batches_of_like_length
from tasks.models.model import architecture_of, describe
from tasks.training.evaluation import evaluate_sums, slices

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from torch import Tensor, nn

    from tasks.heads._dialogues import Dialogues
    from tasks.models.text import TextBackbone

HEAD, OUTPUT = "generation", "response"
VALIDATION_BATCH_SIZE = 16
KEPT_DIGITS = 4
"""Of the log-likelihood of a response."""
TIE = 1e-3
"""Two tokens whose logits differ by less may change places in another batch."""
TEMPLATE, MAX_TOKENS = "template", "max_tokens"
"""The facts of a finished model."""


class GenerationModel(HeadModel):
    """A causal backbone, with the template that it was taught.

    Attributes:
        writer: turns prompts and responses into ids.
    """

    def __init__(
        self, backbone: TextBackbone, encoder: Any, facts: dict[str, Any]
    ) -> None:  # the parts of a classifier, which the base class takes over, are none of its
        """Take an encoder.

        Args:
            backbone: what it is of.
            encoder: whose embeddings are its output layer, too.
            facts: the template, and how many tokens a response has at most.
        """
        from torch import nn

        self._backbone = backbone
        self.module = nn.ModuleDict({"encoder": encoder})
        self.name = HEAD
        self.facts = facts
        self.outputs = [OUTPUT]
        self.writer = Writer(backbone.tokenizer, Template(**facts[TEMPLATE]))

    @property
    def encoder(self) -> nn.Module:
        """The backbone."""
        return self.module["encoder"]

    def states(self, batch: dict[str, Tensor]) -> Tensor:
        """Return the state of each token of some sequences, of its own record alone; R T H."""
        import torch

        record = batch["record"]
        is_before = torch.ones(2 * record.shape[1:], dtype=torch.bool, device=record.device).tril()
        is_same = record[:, :, None] == record[:, None, :]
        states: Tensor = self.encoder(
            input_ids=batch["input_ids"],
            position_ids=batch["position"],
            attention_mask=self.mask(is_same & is_before),
        ).last_hidden_state
        return states

    def mask(self, attended: Tensor) -> Tensor:
        """Return which tokens each token sees, in the form that the encoder's attention takes.

        It is given whole, so that transformers neither looks into it nor adds to it.
        """
        import torch

        encoder: Any = self.encoder
        attended = attended[:, None]
        if encoder.config._attn_implementation != "eager":
            return attended
        nothing = torch.zeros(attended.shape, dtype=encoder.dtype, device=attended.device)
        return nothing.masked_fill(~attended, torch.finfo(encoder.dtype).min)

    def scores(self, states: Tensor) -> Tensor:
        """Return the logits that follow from some states."""
        encoder: Any = self.encoder
        logits: Tensor = states @ encoder.get_input_embeddings().weight.T
        return logits

    def save(self, folder: Path) -> None:
        """Write the language model, the tokenizer with its template, and what they are."""
        text.save(_language_model(self.encoder), folder)
        self._backbone.save_tokenizer(folder)
        files.write_text(folder / CHAT_TEMPLATE, Template(**self.facts[TEMPLATE]).jinja())
        describe(
            folder,
            architecture=self._backbone.architecture,
            modality=self.modality,
            labels=self.outputs,
            head=self.name,
            facts=self.facts,
            served=self.head.output_columns(),
        )


def _language_model(encoder: Any) -> Any:
    """Return transformers' own language model with an encoder, whose embeddings it shares."""
    import torch
    from transformers import AutoModelForCausalLM

    with torch.device("meta"):  # its weights are not drawn: they are replaced
        model = AutoModelForCausalLM.from_config(deepcopy(encoder.config))
    setattr(model, model.base_model_prefix, encoder)
    model.set_output_embeddings(torch.nn.Linear(1, 1, bias=False, device="meta"))
    model.get_output_embeddings().weight = encoder.get_input_embeddings().weight
    return model


def require_causal(backbone: TextBackbone) -> None:
    """Refuse a backbone that cannot write.

    Raises:
        BadInput: it reads in both directions, or without attention; or its output layer is another
            than its embeddings.
    """
    context = getattr(architecture_of(backbone.folder), "CONTEXT", None)
    config = files.read_json(backbone.folder / "config.json")
    is_of_transformers = "model_type" in config
    is_tied = config.get("tie_word_embeddings", True)
    if context != text.CAUSAL or not is_of_transformers or not is_tied:
        raise BadInput(
            f"finetune.head: {HEAD} needs a causal transformer whose output layer is its "
            f"embeddings, which the backbone {backbone.folder} ({backbone.architecture}) is not: "
            "pretrain one with objective: causal, architecture: gpt2"
        )


def encoder_of(backbone: TextBackbone, *, pretrained: bool, dropout: float) -> Any:
    """Return a causal backbone's encoder, or a random one like it.

    Args:
        backbone: what is trained.
        pretrained: begin with its weights, not with random ones.
        dropout: share of activations dropped.
    """
    architecture: Any = architecture_of(backbone.folder)
    parts = architecture.load_parts(backbone.folder, pretrained=pretrained, dropout=dropout)
    return parts.encoder


class GenerationTask(HeadTask):
    """The task: responses to prompts; validated without writing any."""

    def validate(self) -> dict[str, float]:
        """Return the loss of a token of the validation responses, and their perplexity, in fp32."""
        learner, head = self._learner, self._learner.head

        def sums(batch: dict[str, Tensor]) -> dict[str, float]:
            loss = head.loss(learner, learner.logits(batch).float(), batch)
            return {"nats": float(loss), "tokens": head.num_terms(batch)}

        order = np.argsort(self._validation.lengths, kind="stable")
        batches = map(self._validation.batch, slices(order, VALIDATION_BATCH_SIZE))
        totals = evaluate_sums(self.model, batches, sums)
        loss = totals["nats"] / totals["tokens"]
        return {"loss": loss, "perplexity": float(np.exp(loss))}


@dataclass(frozen=True)
class Decoding:
    """How tokens are chosen.

    Attributes:
        max_tokens: of a response; None: as many as the longest that was trained on.
        temperature: 0 takes the likeliest token; a greater one evens the choice out.
        top_p: choose among the likeliest tokens that have this probability together.
        seed: what the choice follows from, beside the number of the prompt.
        cached: keep keys and values of what is written; off, all is computed again for each token.
    """

    max_tokens: int | None = None
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0
    cached: bool = True


GREEDY = Decoding()


class Generator(Predictor):
    """A finished model that writes."""

    model: GenerationModel

    def answers(self, contents: Sequence[Any]) -> list[Any]:
        """Return the response to each prompt and, of one with a reference, how likely that is."""
        if not contents:
            return []
        written = self.generate([content["text"] for content in contents])
        known = [n for n, content in enumerate(contents) if content.get(OUTPUT) is not None]
        likely: dict[int, tuple[float, int]] = {}
        if known:
            texts, references = ([contents[n][key] for n in known] for key in ("text", OUTPUT))
            dialogues = self.model.writer.dialogues(texts, references)
            found = zip(self._nats(dialogues), dialogues.response_lengths.tolist(), strict=True)
            likely = dict(zip(known, found, strict=True))
        return [
            {OUTPUT: response, "nats": nats, "tokens": tokens}
            for response, (nats, tokens) in (
                (response, likely.get(number, (None, None)))
                for number, response in enumerate(written)
            )
        ]

    def _nats(self, dialogues: Dialogues) -> list[float]:
        """Return the negative log-likelihood of each response."""
        import torch

        nats = np.zeros(len(dialogues.lengths))
        with torch.inference_mode():
            for chosen in batches_of_like_length(dialogues.lengths):
                batch = {k: v.to(self.device) for k, v in dialogues.batch(chosen).items()}
                logits = self.model.logits(batch).float()
                each = torch.nn.functional.cross_entropy(logits, batch["targets"], reduction="none")
                of_record = batch["of_record"].cpu().numpy()
                nats[chosen] = np.bincount(of_record, each.double().cpu().numpy(), len(chosen))
        return [round(float(value), KEPT_DIGITS) for value in nats]

    def part_at_a_tie(self, prompt: str, one: str, other: str) -> bool:
        """Tell whether two responses part where two tokens are equally likely, but for rounding.

        Args:
            prompt: what both answer.
            one: a response.
            other: another one.
        """
        import torch

        dialogues = self.model.writer.dialogues([prompt, prompt], [one, other])
        ours, theirs = np.split(dialogues.ids, dialogues.starts[1:2])
        (apart,) = np.nonzero(ours[: len(theirs)] != theirs[: len(ours)])
        place = int(apart[0]) if len(apart) else 0
        begin = int(dialogues.begins[0])
        if place < begin or begin != dialogues.begins[1]:  # the prompt is cut at two places
            return False
        with torch.inference_mode():
            batch = {k: v.to(self.device) for k, v in dialogues.batch(np.array([0])).items()}
            logits = self.model.logits(batch)[place - begin].double().cpu().numpy()
        return bool(abs(logits[ours[place]] - logits[theirs[place]]) <= TIE)

    def generate(
        self,
        prompts: Sequence[str],
        decoding: Decoding = GREEDY,
        seen: Callable[[str], None] | None = None,
    ) -> list[str]:
        """Return a response to each prompt, of which no other prompt is seen.

        In which batch it is written changes the last digits of logits: where two tokens are as
        likely but for these, either may be written.

        Args:
            prompts: the texts.
            decoding: how tokens are chosen.
            seen: is given the response after each token, where there is one prompt.

        Raises:
            BadInput: more tokens are asked for than the model takes, or it has diverged.
        """
        import torch

        writer, facts = self.model.writer, self.model.facts
        most = facts[MAX_TOKENS] if decoding.max_tokens is None else decoding.max_tokens
        if most >= writer.longest:
            raise BadInput(
                f"--max-tokens is {most}, but the model was trained on {writer.longest} tokens, "
                "prompt and response together: lower it"
            )
        ids = writer.prompts(prompts, writer.room_for(most))
        lengths = np.fromiter(map(len, ids), np.int64, len(ids))
        responses = [""] * len(ids)
        with torch.inference_mode():
            for chosen in batches_of_like_length(lengths):
                run = _Run(self.model, [ids[n] for n in chosen], chosen, most, decoding)
                while run.step():
                    if seen is not None:
                        seen(writer.text_of(run.written[0]))
                for number, written in zip(chosen, run.written, strict=True):
                    responses[number] = writer.text_of(written)
        return responses


class _Run:
    """Responses of one batch while they are written, the prompts' padding in front.

    Attributes:
        written: the tokens of each response.
    """

    def __init__(
        self,
        model: GenerationModel,
        prompts: list[list[int]],
        numbers: np.ndarray,
        most: int,
        decoding: Decoding,
    ) -> None:
        """Set the prompts out.

        Args:
            model: what writes.
            prompts: ids, those of a response's beginning included.
            numbers: of the prompts, which fix each one's random numbers.
            most: tokens of a response.
            decoding: how tokens are chosen.
        """
        longest = max(map(len, prompts))
        self._ids = np.zeros((len(prompts), longest), np.int64)
        self._is_text = np.zeros((len(prompts), longest), bool)
        for row, prompt in enumerate(prompts):
            self._ids[row, longest - len(prompt) :] = prompt
            self._is_text[row, longest - len(prompt) :] = True
        self._room = [min(most, model.writer.longest - len(prompt)) for prompt in prompts]
        self._model, self._decoding = model, decoding
        self._randoms = [np.random.default_rng([decoding.seed, number]) for number in numbers]
        self._past: Any = None
        self.written: list[list[int]] = [[] for _ in prompts]
        self._is_over = np.array([room < 1 for room in self._room])

    def step(self) -> bool:
        """Write one token of each response that goes on; return whether any does."""
        if self._is_over.all():
            return False
        logits = self._logits()
        if not np.isfinite(logits).all():
            raise BadInput(
                "the model gives an output that is not a number: its training diverged; lower "
                "finetune.learning_rate"
            )
        logits[:, self._model.writer.never_written] = -np.inf
        chosen = [
            choose(logits[row], self._decoding, random) for row, random in enumerate(self._randoms)
        ]
        for row, token in enumerate(chosen):
            if self._is_over[row]:
                continue
            is_end = token == self._model.writer.end
            if not is_end:
                self.written[row].append(token)
            self._is_over[row] = is_end or len(self.written[row]) >= self._room[row]
        self._ids = np.column_stack([self._ids, chosen])
        # What follows an end is computed, so that the batch stays whole, and seen by nobody.
        self._is_text = np.column_stack([self._is_text, np.ones(len(chosen), bool)])
        return True

    def _logits(self) -> np.ndarray:
        """Return those of the next token of each response, N V."""
        import torch

        first = 0 if self._past is None else self._ids.shape[1] - 1
        device = next(self._model.module.parameters()).device
        # A response that is over has no next place, while others of the batch go on.
        position = (self._is_text.cumsum(axis=1) - 1).clip(0, self._model.writer.longest - 1)
        size = self._ids.shape[1]
        attended = np.tri(size, dtype=bool)[None] & self._is_text[:, None, :]
        attended |= np.eye(size, dtype=bool)  # padding sees itself: a softmax of nothing is none
        output = self._model.encoder(
            input_ids=torch.from_numpy(self._ids[:, first:]).to(device),
            position_ids=torch.from_numpy(position[:, first:]).to(device),
            attention_mask=self._model.mask(torch.from_numpy(attended[:, first:]).to(device)),
            past_key_values=self._past,
            use_cache=self._decoding.cached,
        )
        if self._decoding.cached:
            self._past = output.past_key_values
        last = output.last_hidden_state[:, -1]
        logits: np.ndarray = self._model.scores(last).double().cpu().numpy()
        return logits


def choose(logits: np.ndarray, decoding: Decoding, random: np.random.Generator) -> int:
    """Return the next token.

    By nucleus sampling (Holtzman et al., 2020) where ``top_p`` is below 1.

    Args:
        logits: of each token of the vocabulary, V; float64.
        decoding: how it is chosen.
        random: of this response.
    """
    if decoding.temperature == 0:
        return int(logits.argmax())
    with np.errstate(over="ignore"):  # far below the likeliest: no probability
        scaled = (logits - logits.max()) / decoding.temperature
    order = np.argsort(-scaled, kind="stable")
    probabilities = np.exp(scaled[order])
    probabilities /= probabilities.sum()
    before = np.cumsum(probabilities) - probabilities
    kept = np.cumsum(probabilities[before < decoding.top_p])
    place = int(np.searchsorted(kept, random.random() * kept[-1], side="right"))
    return int(order[min(place, len(kept) - 1)])
