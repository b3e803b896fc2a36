"""How near exported folders are to the runs that they come from, by dtype, and how near they would be otherwise.

Each run is exported in each dtype, loaded with transformers alone, and asked the prompts of the comparison. Beside it:
the prompts that get other ids if their text is tokenised apart from begin and image tokens, as a script easily does.

    python benchmarks/export.py RUN [RUN ...]
"""

import argparse
import tempfile
from pathlib import Path

from medmix.train.data.render import Renderer
from medmix.train.export import comparison
from medmix.train.export.folder import DTYPES, export
from medmix.train.run import checkpoint


def changed_if_apart(run: Path) -> str:
    """Count the prompts whose ids change if the user's turn is tokenised alone."""
    loaded = checkpoint.load(run)
    recipe = loaded.recipe
    renderer = Renderer(loaded.tokenizer, recipe.text, loaded.model.image_tokens, recipe.vision.max_images)
    changed = 0
    for question, _ in comparison.QUESTIONS:
        messages = [
            {"role": role, "content": [{"type": "text", "text": text}]}
            for role, text in (("user", question), ("assistant", ""))
        ]
        turn = recipe.text.template.replace("{prompt}", question)
        apart = loaded.tokenizer(turn, add_special_tokens=False, split_special_tokens=True)["input_ids"]
        changed += renderer.prompt_ids({"id": "", "messages": messages})[1:] != apart
    return f"{changed} of {len(comparison.QUESTIONS)}"


def main() -> None:
    """Print one row for each run and dtype."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path)
    print("| run | dtype | prompts with other ids | if tokenised apart | largest difference of logits |")
    print("| --- | --- | ---: | ---: | ---: |")
    for run in parser.parse_args().runs:
        apart = changed_if_apart(run)
        for dtype in DTYPES:
            with tempfile.TemporaryDirectory() as scratch:
                difference = export(run, Path(scratch, "model"), dtype)
            print(
                f"| {run.name} | {dtype} | 0 of {len(comparison.QUESTIONS)} | {apart} | {difference:.1g} |", flush=True
            )


if __name__ == "__main__":
    main()
