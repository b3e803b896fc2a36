"""Train recipes by name, from `recipes/train/*.yaml`, or from a file, checked before anything uses them."""

from pathlib import Path
from typing import Any

from medmix.curate.config import find_yaml, override, parse, read_yaml
from medmix.curate.errors import UsageError

from .recipe import Recipe
from .rules import problems


def load(name_or_path: str | Path, overrides: tuple[str, ...] = ()) -> Recipe:
    """Load a recipe by name, or from a YAML file; each override is `key.sub=value`, the value in YAML.

    Raises:
        UsageError: there is no such recipe, or it has problems; all of them are named at once.
    """
    path = find_yaml("recipes/train", "recipe", name_or_path)
    data = read_yaml(path)
    for change in overrides:
        override(data, change)
    recipe = from_dict(data, path.name)
    if recipe.name != path.stem:
        raise UsageError(
            f"{path.name}: name: is {recipe.name!r}, but the file is called {path.stem!r}; make them equal"
        )
    return recipe


def from_dict(data: Any, where: str) -> Recipe:
    """Make a recipe from plain YAML data; `where` is the file named in messages.

    Raises:
        UsageError: keys, types or values are wrong, or contradict each other; names all of them.
    """
    recipe = parse(Recipe, data, where)
    found = problems(recipe)
    if found:
        raise UsageError("; ".join(f"{where}: {problem}" for problem in found))
    return recipe
