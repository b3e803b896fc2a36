"""Attention of packed rows by torch's kernel for sequences of unequal length, which needs a GPU.

Here the operators get a kernel of ours for CPUs, so that all but the kernel itself is the code for GPUs.
"""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch._dynamo.testing import CompileCounterWithBackend
from transformers import LlamaConfig, LlamaForCausalLM

from medmix.train.data.collate import Sample, collate, collate_packed
from medmix.train.data.render import IGNORE_INDEX
from medmix.train.data.tokenizer import train_bpe
from medmix.train.model import attention, vision_language
from medmix.train.model.vision_language import VisionLanguageModel
from medmix.train.recipe import Language

from ..conftest import tiny_recipe

varlen_module = pytest.importorskip("torch.nn.attention.varlen")


def attend(query: Tensor, key: Tensor, value: Tensor, bounds: Tensor, scale: float | None) -> Tensor:
    """Attend causally within bounds, [T, H, E], as the kernel's documentation says."""
    parts = []
    for start, end in zip(bounds.tolist()[:-1], bounds.tolist()[1:], strict=True):
        q, k, v = (part[start:end].transpose(0, 1) for part in (query, key, value))
        parts.append(F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=scale, enable_gqa=True))
    return torch.cat(parts, dim=1).transpose(0, 1).contiguous()


def forward(
    query: Tensor, key: Tensor, value: Tensor, bounds: Tensor, bounds_k: Tensor, longest: int, longest_k: int,
    is_causal: bool = False, scale: float | None = None, window: list[int] | None = None, enable_gqa: bool = False,
    *_: Any,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    assert is_causal and window == [-1, 0]
    assert bounds.dtype == torch.int32 and bounds.equal(bounds_k) and bounds[-1] == len(query)
    assert (bounds[1:] - bounds[:-1]).max() <= longest == longest_k
    assert enable_gqa == (query.shape[1] != key.shape[1])
    scores = torch.zeros(query.shape[1], len(query))
    return attend(query, key, value, bounds, scale), scores, torch.zeros(2, dtype=torch.uint64)


def backward(
    grad: Tensor, query: Tensor, key: Tensor, value: Tensor, out: Tensor, scores: Tensor, bounds: Tensor,
    bounds_k: Tensor, longest: int, longest_k: int, is_causal: bool, random: Tensor, scale: float | None = None,
    window: list[int] | None = None,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """By hand, because an operator's kernel sees no autograd: softmax P of S = QK', dS = P (dP - rows of sum P dP)."""
    groups, scale = query.shape[1] // key.shape[1], scale or query.shape[2] ** -0.5
    found = []
    for start, end in zip(bounds.tolist()[:-1], bounds.tolist()[1:], strict=True):
        q, dout = (part[start:end].transpose(0, 1) for part in (query, grad))
        k, v = (part[start:end].transpose(0, 1).repeat_interleave(groups, 0) for part in (key, value))
        ahead = torch.ones(end - start, end - start).triu(1).bool()
        p = (scale * q @ k.mT).masked_fill(ahead, -torch.inf).softmax(-1)
        dp = dout @ v.mT
        ds = p * (dp - (p * dp).sum(-1, keepdim=True))
        dk, dv = (part.unflatten(0, (-1, groups)).sum(1) for part in (scale * ds.mT @ q, p.mT @ dout))
        found.append([part.transpose(0, 1) for part in (scale * ds @ k, dk, dv)])
    dq, dk, dv = (torch.cat(parts).contiguous() for parts in zip(*found, strict=True))
    return dq, dk, dv


@pytest.fixture(scope="module", autouse=True)
def kernels() -> None:
    varlen_module._varlen_attn.register_kernel("cpu")(forward)
    varlen_module._varlen_attn_backward.register_kernel("cpu")(backward)


@pytest.fixture
def on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vision_language, "has_varlen_kernel", lambda device: True)
    monkeypatch.setattr(vision_language, "KERNEL_DTYPES", (torch.float32, torch.bfloat16))


@pytest.fixture
def tiny_model() -> Iterator[VisionLanguageModel]:
    torch.manual_seed(0)
    yield VisionLanguageModel(tiny_recipe(), train_bpe(["abc"], Language(vocab_size=300))).eval()


SAMPLES = [
    Sample("a", [5, 6, 7, 8], [IGNORE_INDEX, IGNORE_INDEX, 7, 8], []),
    Sample("b", [9], [IGNORE_INDEX], []),
    Sample("c", [6, 5, 9, 4, 3, 8, 7], [IGNORE_INDEX] * 5 + [8, 7], []),
]


@pytest.mark.parametrize("groups", [2, 1])
@pytest.mark.parametrize("multiple", [1, 16])
def test_a_packed_row_equals_its_samples_one_by_one(
    tiny_model: VisionLanguageModel, on_the_cpu: None, groups: int, multiple: int
) -> None:
    if groups == 1:
        tiny_model.base.config.num_key_value_heads = 1
        layer = tiny_model.base.model.layers[0]
        layer.self_attn = type(layer.self_attn)(tiny_model.base.config, 0)
    packed = collate_packed(SAMPLES, 0, 32, multiple)
    assert packed.cu_seqlens is not None and packed.cu_seqlens.tolist()[:4] == [0, 4, 5, 12]
    with torch.no_grad():
        rows = tiny_model.logits(packed)[0].split(list(packed.seq_lens or ()))
        assert "cu_seqlens" in tiny_model._attention_arguments(packed)
        for row, sample in zip(rows, SAMPLES, strict=False):
            assert torch.allclose(row, tiny_model.logits(collate([sample], 0, 32))[0], atol=1e-5)


@pytest.mark.parametrize("checkpointed", [False, True])
def test_its_gradients_are_those_of_a_call_a_sample(
    tiny_model: VisionLanguageModel, monkeypatch: pytest.MonkeyPatch, on_the_cpu: None, checkpointed: bool
) -> None:
    tiny_model.train()
    if checkpointed:
        tiny_model.checkpoint_activations()

    def gradients() -> dict[str, Tensor]:
        tiny_model.zero_grad()
        tiny_model(collate_packed(SAMPLES, 0, 32)).sum().backward()
        return {name: p.grad.clone() for name, p in tiny_model.named_parameters() if p.grad is not None}

    found = gradients()
    monkeypatch.setattr(vision_language, "has_varlen_kernel", lambda device: False)
    wanted = gradients()
    assert found.keys() == wanted.keys() and any("lora_" in name for name in found)
    assert all(torch.allclose(found[name], wanted[name], atol=1e-6) for name in found)


@pytest.mark.parametrize("side", ["left", "right"])
def test_padded_rows_get_the_attention_of_transformers(tiny_model: VisionLanguageModel, side: Any) -> None:
    batch = collate(SAMPLES, 0, 32, side)
    with torch.no_grad():
        ours = tiny_model.logits(batch)
        tiny_model(collate_packed(SAMPLES, 0, 32))
        assert tiny_model.base.config._attn_implementation == attention.IMPLEMENTATION  # set once, for all batches
        answers = tiny_model.generate(batch, 4)
        tiny_model.base.set_attn_implementation("sdpa")
        assert torch.equal(ours, tiny_model.logits(batch))
        assert torch.equal(answers, tiny_model.generate(batch, 4))


def test_under_autocast_query_and_key_get_the_dtype_of_the_products() -> None:
    """A language model in fp32 rotates query and key in fp32."""
    torch.manual_seed(0)
    config = LlamaConfig(
        hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2, vocab_size=10,
        attn_implementation=attention.IMPLEMENTATION,
    )  # fmt: skip
    batch = collate_packed(SAMPLES, 0, 32)
    with torch.autocast("cpu", torch.bfloat16):
        scores = LlamaForCausalLM(config)(
            batch.input_ids, position_ids=batch.position_ids, cu_seqlens=batch.cu_seqlens, max_seqlen=8, use_cache=False
        ).logits
    assert scores.isfinite().all()


def test_a_compiled_layer_takes_it(tiny_model: VisionLanguageModel, on_the_cpu: None) -> None:
    """Traced as one graph, and not for every row again; the backend runs the trace as it is, in place of inductor."""
    many = [SAMPLES, SAMPLES[:2], SAMPLES * 3, SAMPLES * 200, SAMPLES[1:], SAMPLES * 4]
    with torch.no_grad():
        rows = [collate_packed(some, 0, 32, 16) for some in many]
        wanted = [tiny_model.logits(row) for row in rows]
        counter = CompileCounterWithBackend("aot_eager")
        for layer in tiny_model.base.model.layers:
            layer.compile(backend=counter, fullgraph=True)
        counts = []
        for row, scores in zip(rows, wanted, strict=True):
            assert torch.allclose(tiny_model.logits(row), scores, atol=1e-5)
            counts.append(counter.frame_count)
    assert counts[2] == counts[-1] <= 3  # one for each kind of length that turns out to change


@pytest.mark.parametrize(
    ("device", "capability", "has"), [("cpu", (9, 0), False), ("cuda", (7, 5), False), ("cuda", (8, 0), True)]
)
def test_where_the_kernel_is(
    monkeypatch: pytest.MonkeyPatch, device: str, capability: tuple[int, int], has: bool
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    attention.has_varlen_kernel.cache_clear()
    assert attention.has_varlen_kernel(torch.device(device)) is has
    monkeypatch.setattr(attention, "varlen_attn", None)
    attention.has_varlen_kernel.cache_clear()
    assert not attention.has_varlen_kernel(torch.device(device))
    attention.has_varlen_kernel.cache_clear()


def test_fp32_and_attention_dropout_go_without_it(
    tiny_model: VisionLanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vision_language, "has_varlen_kernel", lambda device: True)
    batch = collate_packed(SAMPLES, 0, 32)
    assert "seq_lens" in tiny_model._attention_arguments(batch)
    with torch.autocast("cpu", torch.bfloat16):
        assert "cu_seqlens" in tiny_model._attention_arguments(batch)
        tiny_model.base.config.attention_dropout = 0.1
        assert "seq_lens" in tiny_model._attention_arguments(batch)
