"""Greedy answers of a model to batches of prompts."""

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase, StoppingCriteria

from medmix.train.data import chat_batches
from medmix.train.data.collate import Sample, collate
from medmix.train.run.checkpoint import Checkpoint

from .questions import first_line


class AnswerGenerator:
    """Generates the first line of an answer to each prompt; the answers do not depend on the batch.

    Prompts are padded on the left and masked; a KV cache lets each step compute one token per row. A row ends with
    the end token, after its first line, or after `generation.max_new_tokens`.
    """

    def __init__(self, loaded: Checkpoint) -> None:
        self.loaded = loaded
        self._stop = StopAfterFirstLine(loaded.tokenizer, loaded.model.device)

    def __call__(self, samples: Sequence[Sample]) -> list[str]:
        """Return one answer for each prompt."""
        loaded = self.loaded
        batch: Any
        if loaded.recipe.model:
            batch = chat_batches.collate(cast(Any, samples), loaded.tokenizer.pad_token_id)
        else:
            batch = collate(samples, loaded.tokenizer.pad_token_id, loaded.recipe.vision.size, side="left")
        ids = loaded.model.generate(
            batch.to(loaded.model.device), loaded.recipe.generation.max_new_tokens, stop=self._stop
        )
        return [first_line(text) for text in loaded.tokenizer.batch_decode(ids, skip_special_tokens=True)]


class StopAfterFirstLine(StoppingCriteria):
    """Ends a row after its first line that is not blank."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, device: torch.device) -> None:
        texts = tokenizer.batch_decode([[token] for token in range(len(tokenizer))])
        self._has_newline = torch.tensor(["\n" in text for text in texts], device=device)
        self._has_text = torch.tensor([bool(text.strip()) for text in texts], device=device)

    def __call__(self, input_ids: Tensor, scores: Tensor, **kwargs: Any) -> Tensor:
        """Return which rows are finished, [B] bool, from the tokens generated so far, [B, T]."""
        started: Tensor = self._has_text[input_ids[:, :-1]].any(dim=1)
        return self._has_newline[input_ids[:, -1]] & started
