"""Log-likelihoods of several options after a prompt."""

import inspect
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

from medmix.train.data.collate import Sample, collate
from medmix.train.run.checkpoint import Checkpoint


@torch.inference_mode()
def option_logliks(
    loaded: Checkpoint, samples: Sequence[Sample], options: Sequence[Sequence[Sequence[int]]]
) -> list[list[float]]:
    """Return the log-probability, in nats, of each option's tokens after its prompt.

    Each prompt passes the model once; its options then share its keys and values as short rows.

    Args:
        loaded: the model.
        samples: prompts with their images, B.
        options: token ids of the options of each prompt, none empty; their number may differ.

    Returns:
        A list for each prompt with the sum over each option's tokens.
    """
    model, pad = loaded.model, loaded.tokenizer.pad_token_id
    batch = collate(samples, pad, loaded.recipe.vision.size, side="left").to(model.device)
    owners = torch.tensor([row for row, some in enumerate(options) for _ in some], device=model.device)
    rows = [list(option) for some in options for option in some]
    width = max(len(row) for row in rows)
    ids = torch.tensor([[*row, *[pad] * (width - len(row))] for row in rows], device=model.device)
    real = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows], device=model.device)

    model.base.config._attn_implementation = "sdpa"
    decoder, head = model.base.get_decoder(), model.base.get_output_embeddings()
    cache = DynamicCache(config=model.base.config)
    prompt = decoder(
        inputs_embeds=model.embed(batch),
        attention_mask=batch.attention_mask,
        position_ids=batch.position_ids,
        use_cache=True,
        **_as_argument(decoder, cache),
    )
    first = head(prompt.last_hidden_state[:, -1])[owners].unsqueeze(1)  # prompts are padded on the left
    scores = first
    if width > 1:
        cache.batch_select_indices(owners)
        lengths = batch.attention_mask.sum(dim=1)[owners]
        rest = decoder(
            inputs_embeds=model.base.get_input_embeddings()(ids[:, :-1]),
            attention_mask=torch.cat([batch.attention_mask[owners], real[:, :-1]], dim=1),
            position_ids=lengths.unsqueeze(1) + torch.arange(width - 1, device=model.device),
            use_cache=True,
            **_as_argument(decoder, cache),
        )
        scores = torch.cat([first, head(rest.last_hidden_state)], dim=1)
    sums = (_token_logprobs(scores, ids) * real).sum(dim=1).tolist()
    found: list[list[float]] = [[] for _ in options]
    for owner, total in zip(owners.tolist(), sums, strict=True):
        found[owner].append(total)
    return found


def _token_logprobs(scores: Tensor, ids: Tensor) -> Tensor:
    """Return the log-probability of each token, [B, T], from logits, [B, T, V]."""
    scores = scores.float()
    return scores.gather(2, ids.unsqueeze(2)).squeeze(2) - scores.logsumexp(dim=2)


def _as_argument(decoder: Any, cache: DynamicCache) -> dict[str, DynamicCache]:
    """Return the cache under its argument's name, which transformers 5.24 changed."""
    known = inspect.signature(decoder.forward).parameters
    return {"cache" if "cache" in known else "past_key_values": cache}
