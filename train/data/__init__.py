"""Data loading: reads a mix and gives batches of token ids, labels and pixels, in an order fixed by the seed.

It knows no weights: a batch is the same for every model with one tokenizer and image size.
"""

__all__ = ("batches", "chat", "chat_batches", "chat_template", "collate", "render", "stream", "tokenizer")
