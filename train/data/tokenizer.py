"""The tokenizer: that of a pretrained language model, or a byte-level BPE trained on the mix's text."""

from collections.abc import Iterable
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from medmix.curate.errors import UsageError

from ..recipe import Language


def train_bpe(texts: Iterable[str], language: Language) -> PreTrainedTokenizerBase:
    """Train a byte-level BPE with at most `language.vocab_size` tokens; equal texts give equal tokenizers.

    Raises:
        UsageError: the vocabulary is too small for the 256 bytes and the special tokens.
    """
    special = [language.pad_token, language.bos_token, language.eos_token]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    if language.vocab_size is None or language.vocab_size < len(alphabet) + len(special):
        raise UsageError(f"language.vocab_size: must be at least {len(alphabet) + len(special)}")
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=language.vocab_size, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    bpe.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe, pad_token=language.pad_token, bos_token=language.bos_token, eos_token=language.eos_token
    )


def load(folder: Path, language: Language) -> PreTrainedTokenizerBase:
    """Load a tokenizer from a folder, and set its special tokens to those of the recipe.

    Raises:
        UsageError: it cannot be loaded, or its vocabulary lacks one of the special tokens.
    """
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError) as error:
        raise UsageError(f"{folder}: no tokenizer can be loaded from it: {str(error).splitlines()[0]}") from None
    vocabulary = tokenizer.get_vocab()
    for role in ("bos_token", "eos_token", "pad_token"):
        token = getattr(language, role)
        if token not in vocabulary:
            raise UsageError(f"language.{role}: the tokenizer in {folder} has no token {token!r}")
        setattr(tokenizer, role, token)
    return tokenizer
