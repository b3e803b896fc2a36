"""A real LLaMA as the language model of a tiny model, pretrained on real questions about real images, on the CPU.

Converts the llama2.c checkpoint `stories260K.bin` and its tokenizer `tok512.bin` to transformers' layout, checks that
greedy decoding gives the text that its documentation quotes, builds a mix of the VQA-RAD and PathVQA samples, trains
tower, projector, embeddings and LoRA on it, and prints the loss on the test split before and after.

    python benchmarks/stories.py --data ../shared/data --steps 150
"""

import argparse
import math
import struct
import sys
import tempfile
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from medmix.curate.build import BuildOptions, build  # noqa: E402
from medmix.curate.mixtures import load as load_mixture  # noqa: E402
from medmix.train import recipe, recipes  # noqa: E402
from medmix.train.data import stream  # noqa: E402
from medmix.train.data import tokenizer as tokenizers  # noqa: E402
from medmix.train.data.batches import COLUMNS  # noqa: E402
from medmix.train.data.collate import Sample, collate_packed, pixels  # noqa: E402
from medmix.train.data.render import IGNORE_INDEX, Renderer  # noqa: E402
from medmix.train.model.vision_language import VisionLanguageModel  # noqa: E402
from medmix.train.run import checkpoint, loop  # noqa: E402

QUOTED = "Once upon a time, there was a little girl named Lily. She loved to play outside in the park."


def convert(binary: Path, vocabulary: Path, out: Path) -> None:
    """Write a llama2.c checkpoint and its tokenizer as a folder of transformers.

    The file has seven int32 (width, feed-forward width, layers, heads, key-value heads, vocabulary, positions), then
    float32 weights, each kind for all layers together (`memory_map_weights` of llama2.c's run.c). Its rotation
    turns neighbouring pairs of a head, that of transformers the two halves: rows of q and k are put in that order.
    """
    data = binary.read_bytes()
    width, inner, depth, heads, groups, vocab_size, positions = struct.unpack("7i", data[:28])
    flat, at = np.frombuffer(data, "<f4", offset=28), 0

    def take(*shape: int) -> torch.Tensor:
        nonlocal at
        size = math.prod(shape)
        at += size
        return torch.from_numpy(flat[at - size : at].reshape(shape).copy())

    def halves(rows: torch.Tensor, count: int) -> torch.Tensor:
        return rows.view(count, -1, 2, width).transpose(1, 2).reshape(-1, width)

    narrow = groups * width // heads
    state = {"model.embed_tokens.weight": take(vocab_size, width)}
    kinds = [
        ("input_layernorm", (width,)), ("self_attn.q_proj", (width, width)), ("self_attn.k_proj", (narrow, width)),
        ("self_attn.v_proj", (narrow, width)), ("self_attn.o_proj", (width, width)),
        ("post_attention_layernorm", (width,)), ("mlp.gate_proj", (inner, width)), ("mlp.down_proj", (width, inner)),
        ("mlp.up_proj", (inner, width)),
    ]  # fmt: skip
    for name, shape in kinds:
        for layer, weight in enumerate(take(depth, *shape)):
            turned = {"self_attn.q_proj": heads, "self_attn.k_proj": groups}.get(name)
            state[f"model.layers.{layer}.{name}.weight"] = halves(weight, turned) if turned else weight
    state["model.norm.weight"] = take(width)
    state["lm_head.weight"] = state["model.embed_tokens.weight"]
    config = LlamaConfig(
        hidden_size=width, intermediate_size=inner, num_hidden_layers=depth, num_attention_heads=heads,
        num_key_value_heads=groups, vocab_size=vocab_size, max_position_embeddings=positions, rms_norm_eps=1e-5,
        tie_word_embeddings=True, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    model.load_state_dict(state)
    model.save_pretrained(out)
    _tokenizer(vocabulary.read_bytes(), vocab_size).save_pretrained(out)


def _tokenizer(data: bytes, vocab_size: int) -> PreTrainedTokenizerFast:
    """Read llama2.c's tokenizer: an int32, then score (float32), length (int32) and bytes of each token.

    It merges the pair whose whole has the best score, as SentencePiece's BPE does; as merges in the order of scores.
    """
    pieces, scores, at = [], [], 4
    for _ in range(vocab_size):
        score, length = struct.unpack_from("<fi", data, at)
        pieces.append(data[at + 8 : at + 8 + length].decode("utf-8").replace(" ", "▁"))
        scores.append(score)
        at += 8 + length
    pieces[1], pieces[2] = "<s>", "</s>"
    vocabulary = {piece: place for place, piece in enumerate(pieces)}
    merges = [
        (-scores[vocabulary[piece]], vocabulary[piece], piece[:cut], piece[cut:])
        for piece in pieces[259:]
        for cut in range(1, len(piece))
        if piece[:cut] in vocabulary and piece[cut:] in vocabulary
    ]
    bpe = models.BPE(vocabulary, [(a, b) for *_, a, b in sorted(merges)], unk_token="<unk>", byte_fallback=True)
    tokenizer = Tokenizer(bpe)
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in ("<unk>", "<s>", "</s>")])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>", bos_token="<s>", eos_token="</s>")


def story(folder: Path, max_new_tokens: int = 255) -> str:
    """Decode greedily from the begin token."""
    model = LlamaForCausalLM.from_pretrained(folder)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    start = torch.tensor([[tokenizer.bos_token_id]])
    ids: Any = model.generate(  # type: ignore[operator]
        start, attention_mask=torch.ones_like(start), max_new_tokens=max_new_tokens, do_sample=False, pad_token_id=0
    )
    return str(tokenizer.decode(ids[0], skip_special_tokens=True)).strip()


def test_loss(model: VisionLanguageModel, tokenizer: Any, made: recipe.Recipe, mix: Path, limit: int) -> float:
    """Give a model's loss on the first records of the test split, in nats per answer token."""
    renderer = Renderer(tokenizer, made.text, model.image_tokens, made.vision.max_images)
    total, tokens = 0.0, 0
    split = stream.open_split(mix, "test")
    reader = stream.Reader(split, COLUMNS)
    for record in map(reader.row, islice(stream.order(split, seed=0, epoch=0), limit)):
        ids, labels = renderer.encode(record)
        sample = Sample(record["id"], ids, labels, pixels(record, made.vision))
        with torch.inference_mode():
            total += model(collate_packed([sample], tokenizer.pad_token_id, made.vision.size)).sum().item()
        tokens += sum(label != IGNORE_INDEX for label in labels)
    return total / tokens


def train_recipe(folder: Path, language: Path, steps: int) -> recipe.Recipe:
    """Write the recipe: the smoke recipe's tower before the converted language model."""
    settings = recipe.as_dict(recipes.load("smoke-cpu"))
    settings |= {"name": "stories"}
    settings["language"] = {"weights": {"repo": "llama2.c stories260K", "path": str(language)}, "pad_token": "<unk>"}
    settings["text"] |= {"max_prompt_tokens": 128, "max_answer_tokens": 64}
    settings["run"] |= {"steps": steps, "global_batch_size": 16, "pack_tokens": 2048, "checkpoint_every": steps}
    (folder / "stories.yaml").write_text(yaml.safe_dump(settings))
    return recipes.load(folder / "stories.yaml")


def main() -> None:
    """Print the story's begin, then one line a loss."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--limit", type=int, default=200, help="test records")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        source = arguments.data / "stories260K"
        convert(source / "stories260K.bin", source / "tok512.bin", folder / "language")
        text, documented = story(folder / "language"), (source / "doc" / "stories260K.md").read_text()
        print(text[: len(QUOTED)], "...")
        print("all of it as documented:", text in documented, flush=True)
        options = BuildOptions(only=("vqa_rad", "pathvqa"), workers=1)
        build(load_mixture("v1"), arguments.data, folder / "mix", options)
        made = train_recipe(folder, folder / "language", arguments.steps)
        tokenizer = tokenizers.load(folder / "language", made.language)
        torch.manual_seed(0)
        before = test_loss(
            VisionLanguageModel(made, tokenizer).eval(), tokenizer, made, folder / "mix", arguments.limit
        )
        summary = loop.train(folder / "mix", made, folder / "run", False)
        trained = checkpoint.load(folder / "run").model
        after = test_loss(trained, tokenizer, made, folder / "mix", arguments.limit)
        print(f"training loss {summary['first_loss']:.3f} -> {summary['last_loss']:.3f} nats per answer token")
        print(f"test loss {before:.3f} -> {after:.3f} on {arguments.limit} test records")


if __name__ == "__main__":
    main()
