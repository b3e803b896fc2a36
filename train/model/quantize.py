"""Quantized frozen weights by bitsandbytes, for adapters on a smaller model (QLoRA: Dettmers et al. 2023)."""

from importlib.util import find_spec
from typing import Any

import torch

from medmix.curate.errors import UsageError

from ..recipe import Run


def quantization_arguments(run: Run) -> dict[str, Any]:
    """Give the arguments of `from_pretrained` that quantize by `run.quantize`; none without it.

    Raises:
        UsageError: bitsandbytes is not installed, or there is no GPU.
    """
    if run.quantize is None:
        return {}
    if find_spec("bitsandbytes") is None:
        raise UsageError(f"run.quantize: {run.quantize} needs bitsandbytes; type: pip install 'medmix[qlora]'")
    if not torch.cuda.is_available():
        raise UsageError(f"run.quantize: {run.quantize} needs a GPU; leave it out with --set run.quantize=null")
    from transformers import BitsAndBytesConfig

    if run.quantize == "bnb-8bit":
        return {"quantization_config": BitsAndBytesConfig(load_in_8bit=True)}
    dtype = torch.bfloat16 if run.precision == "bf16" else torch.float32
    config = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
        bnb_4bit_quant_storage=dtype,
    )
    return {"quantization_config": config}
