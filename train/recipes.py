"""Train recipes by name, from `recipes/train/*.yaml`, or from a file, checked before anything uses them."""

from importlib.resources import files
from pathlib import Path
from typing import Any

from medmix.curate.config import nearest, override, parse, read_yaml
from medmix.curate.errors import UsageError

from .recipe import Recipe
from .rules import problems


def names() -> list[str]:
    """List the train recipes that come with medmix."""
    folder = files("medmix.recipes") / "train"
    return sorted(Path(entry.name).stem for entry in folder.iterdir() if entry.name.endswith(".yaml"))


def load(name_or_path: str | Path, overrides: tuple[str, ...] = ()) -> Recipe:
    """Load a recipe by name, or from a YAML file; each override is `key.sub=value`, the value in YAML.

    Raises:
        UsageError: there is no such recipe, or it has problems; all of them are named at once.
    """
    path = Path(name_or_path)
    if path.suffix not in (".yaml", ".yml"):
        if str(name_or_path) not in names():
            raise UsageError(
                f"recipe {str(name_or_path)!r} is unknown{nearest(str(name_or_path), names())}; "
                f"there are {', '.join(names())}, or give a path that ends in .yaml"
            )
        path = Path(str(files("medmix.recipes") / "train" / f"{name_or_path}.yaml"))
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
