"""Greedy answers of a model to batches of prompts."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase, StoppingCriteria

from medmix.train.data.collate import Sample, collate
from medmix.train.run.checkpoint import Checkpoint

from .questions import first_line


class Answerer:
    """Answers prompts with the first line that the model says; `batches` of any composition give the same answers.

    Prompts are padded on the left and masked; keys and values of earlier tokens are kept (the KV cache), so that each
    step computes one token a row; a row ends with the end token, with its first line, or after
    `generation.max_new_tokens`.
    """

    def __init__(self, loaded: Checkpoint) -> None:
        self.loaded = loaded
        self._line = FirstLine(loaded.tokenizer, loaded.model.device)

    def __call__(self, samples: Sequence[Sample]) -> list[str]:
        """Give the answers to prompts, one for each."""
        loaded = self.loaded
        batch = collate(samples, loaded.tokenizer.pad_token_id, loaded.recipe.vision.size, side="left")
        ids = loaded.model.generate(
            batch.to(loaded.model.device), loaded.recipe.generation.max_new_tokens, stop=self._line
        )
        return [first_line(text) for text in loaded.tokenizer.batch_decode(ids, skip_special_tokens=True)]


class FirstLine(StoppingCriteria):
    """Ends a row once a line that is not blank is over: what follows is not read."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, device: torch.device) -> None:
        texts = tokenizer.batch_decode([[token] for token in range(len(tokenizer))])
        self._ends = torch.tensor(["\n" in text for text in texts], device=device)
        self._says = torch.tensor([bool(text.strip()) for text in texts], device=device)

    def __call__(self, input_ids: Tensor, scores: Tensor, **kwargs: Any) -> Tensor:
        """Tell which rows are over, [B] bool, from the tokens generated so far, [B, T]."""
        said: Tensor = self._says[input_ids[:, :-1]].any(dim=1)
        return self._ends[input_ids[:, -1]] & said
