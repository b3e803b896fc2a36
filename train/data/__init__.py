"""Data: a mix and a recipe come in, batches of token ids, labels and pixels go out, in an order that the seed fixes.

The wing knows no weights: a batch is the same for every model of one tokenizer and image size.
"""

__all__ = ("batches", "collate", "processor", "render", "stream", "tokenizer")
