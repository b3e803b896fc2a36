"""Strict YAML: parse data into frozen dataclasses; name all problems at once and ignore nothing."""

import dataclasses
import json
import re
import reprlib
import sys
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from difflib import get_close_matches
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import yaml

from .errors import UsageError

Config = TypeVar("Config")

_ACCEPTED: dict[type, tuple[type, ...]] = {str: (str,), int: (int,), float: (int, float), bool: (bool,)}
_KIND_NAMES = {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}


def nearest(name: str, known: Iterable[str]) -> str:
    """Give ` (did you mean 'x'?)` with the known name most similar to `name`, or "" where none is similar."""
    close = get_close_matches(name, list(known), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def yaml_names(folder: str) -> list[str]:
    """List the names of the YAML files that come with medmix in a folder such as `recipes/train`, sorted."""
    return sorted(Path(entry.name).stem for entry in _packaged(folder).iterdir() if entry.name.endswith(".yaml"))


def yaml_path(folder: str, name: str) -> Path:
    """Give the path of a YAML file that comes with medmix."""
    return Path(str(_packaged(folder) / f"{name}.yaml"))


def _packaged(folder: str) -> Traversable:
    package, _, below = folder.partition("/")
    root = files(f"medmix.{package}")
    return root / below if below else root


def find_yaml(folder: str, kind: str, name_or_path: str | Path, names: Sequence[str] | None = None) -> Path:
    """Find a YAML file by its name among those of `folder`, or by a path that ends in .yaml or .yml.

    Args:
        folder: as `yaml_names` takes it.
        kind: what such a file describes, for the message.
        name_or_path: as the user gave it.
        names: those to choose from, if not all of the folder.

    Raises:
        UsageError: there is no such name; the message lists the known ones.
    """
    if Path(name_or_path).suffix in (".yaml", ".yml"):
        return Path(name_or_path)
    name, known = str(name_or_path), yaml_names(folder) if names is None else names
    if name not in known:
        raise UsageError(
            f"{kind} {name!r} is unknown{nearest(name, known)}; "
            f"there are {', '.join(known)}, or give a path that ends in .yaml"
        )
    return yaml_path(folder, name)


def read_yaml(path: Path) -> Any:
    """Read a YAML file; refuse duplicate keys, and aliases, which can make a file endless.

    Raises:
        UsageError: the file is missing, cannot be read or is not YAML; the message names the line.
    """
    try:
        return yaml.load(path.read_text(encoding="utf-8"), Loader=_StrictLoader)  # noqa: S506 - a SafeLoader
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}); check the path") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path}: is not UTF-8 text; save it as UTF-8") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f", line {mark.line + 1}" if mark else ""
        raise UsageError(f"{path}{where}: {error.problem}; fix the YAML there") from None
    except (yaml.YAMLError, ValueError) as error:  # ValueError: an impossible date or number
        raise UsageError(f"{path}: {' '.join(str(error).split())}; fix the YAML") from None
    except RecursionError:
        raise UsageError(f"{path}: is nested too deeply; fix the YAML") from None


class _StrictLoader(yaml.SafeLoader):
    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark
            raise yaml.composer.ComposerError(None, None, "aliases (*name) are not allowed", mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
            if key is None or key in seen:
                problem = "a key must be a plain word" if key is None else f"key {key!r} is duplicated"
                raise yaml.constructor.ConstructorError(None, None, problem, key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)


def parse(cls: type[Config], data: Any, where: str) -> Config:
    """Parse plain YAML data into a frozen dataclass, nested ones included.

    Field types may be str, int, float (takes whole numbers; finite), bool, Any, Literal, a dataclass, X | None,
    one of the first four | Literal of words, tuple[X, ...], tuple of fixed length, list[X] and dict[str, X]. `where`
    begins the path of every problem. A class may map its former keys to the present ones in `RENAMED`, for the message.

    Raises:
        UsageError: keys are unknown (the message suggests a similar one) or missing, or values have a wrong type;
            all problems in one line.
    """
    problems: list[str] = []
    value: Config = _dataclass(cls, data, where, problems.append, top=True)
    if problems:
        raise UsageError("; ".join(problems))
    return value


Report = Callable[[str], None]


def _value(kind: Any, data: Any, where: str, report: Report) -> Any:
    origin, inner = get_origin(kind), get_args(kind)
    if kind is Any:
        return data
    if origin in (Union, types.UnionType):
        return (_optional if type(None) in inner else _scalar_or_word)(inner, data, where, report)
    if origin is Literal:
        return _choice(inner, data, where, report)
    if origin in (tuple, list):
        return _sequence(origin, inner, data, where, report)
    if origin is dict:
        return _mapping(inner[1], data, where, report)
    if dataclasses.is_dataclass(kind):
        return _dataclass(kind, data, where, report)
    return _scalar(kind, data, where, report)


def _scalar(kind: type, data: Any, where: str, report: Report) -> Any:
    fits = isinstance(data, _ACCEPTED[kind]) and (kind is bool or not isinstance(data, bool))
    if not fits:
        report(f"{where}: must be {_KIND_NAMES[kind]}, is {_display(data)}{_hint(kind, data)}")
        return data
    if kind is float and not abs(data) <= sys.float_info.max:
        report(f"{where}: must be a finite number, is {_display(data)}")
        return data
    return float(data) if kind is float else data


def _hint(kind: type, data: Any) -> str:
    """Give the remedy where YAML 1.1 reads a value as another type than it seems to have."""
    if kind is str and isinstance(data, (bool, int, float, date)):
        return "; put it in quotes"
    if kind is float and isinstance(data, str) and re.fullmatch(r"[+-]?\d+(\.\d+)?[eE][+-]?\d+", data):
        return "; YAML wants a point and a sign, as in 1.0e-5"
    return ""


def _display(data: Any) -> str:
    return str(data) if isinstance(data, date) else "null" if data is None else reprlib.repr(data)


def _optional(kinds: tuple[Any, ...], data: Any, where: str, report: Report) -> Any:
    (kind,) = (kind for kind in kinds if kind is not type(None))
    return None if data is None else _value(kind, data, where, report)


def _scalar_or_word(kinds: tuple[Any, ...], data: Any, where: str, report: Report) -> Any:
    kind, words = kinds[0], get_args(kinds[1])
    if data in words:
        return data
    hint = nearest(data, words) if isinstance(data, str) else ""
    problem = f"{where}: must be {_KIND_NAMES[kind]} or {', '.join(words)}, is {_display(data)}{hint}"
    return _scalar(kind, data, where, lambda _: report(problem))


def _choice(choices: tuple[Any, ...], data: Any, where: str, report: Report) -> Any:
    if not any(data == choice and type(data) is type(choice) for choice in choices):
        hint = nearest(data, [str(choice) for choice in choices]) if isinstance(data, str) else ""
        report(f"{where}: must be one of {', '.join(map(str, choices))}, is {_display(data)}{hint}")
    return data


def _sequence(origin: type, inner: tuple[Any, ...], data: Any, where: str, report: Report) -> Any:
    if not isinstance(data, list):
        report(f"{where}: must be a list, is {_display(data)}")
        return data
    fixed = origin is tuple and not (len(inner) == 2 and inner[1] is Ellipsis)
    if fixed and len(inner) != len(data):
        report(f"{where}: must be a list of {len(inner)}, has {len(data)}")
        return data
    kinds = inner if fixed else (inner[0],) * len(data)
    pairs = zip(kinds, data, strict=True)
    return origin(_value(kind, item, f"{where}[{place}]", report) for place, (kind, item) in enumerate(pairs))


def _mapping(kind: Any, data: Any, where: str, report: Report) -> Any:
    if not isinstance(data, Mapping):
        report(f"{where}: must be a mapping, is {_display(data)}")
        return data
    for key in data:
        if not isinstance(key, str):
            report(f"{where}: key {_display(key)} must be a text; put it in quotes")
    return {key: _value(kind, item, f"{where}.{key}", report) for key, item in data.items()}


def _dataclass(cls: Any, data: Any, where: str, report: Report, top: bool = False) -> Any:
    fields = {field.name: field for field in dataclasses.fields(cls)}
    if not isinstance(data, Mapping):
        report(f"{where}: must be a mapping with {', '.join(fields)}")
        return data
    at = f"{where}: " if top else f"{where}."
    hints = get_type_hints(cls)
    problems = [f"{at}{key}: {_unknown_key(cls, key, fields)}" for key in data if key not in fields]
    problems += [
        f"{at}{name}: is missing" for name, field in fields.items() if name not in data and _is_required(field)
    ]
    present = [name for name in fields if name in data]
    values = {name: _value(hints[name], data[name], f"{at}{name}", problems.append) for name in present}
    for problem in problems:
        report(problem)
    return data if problems else cls(**values)


def _unknown_key(cls: Any, key: Any, fields: Iterable[str]) -> str:
    renamed: Mapping[str, str] = getattr(cls, "RENAMED", {})
    return f"is now called {renamed[key]!r}" if key in renamed else f"unknown key{nearest(str(key), fields)}"


def _is_required(field: "dataclasses.Field[Any]") -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def override(data: Any, change: str) -> None:
    """Change one value of plain YAML data in place; `change` is `key.sub=value`, the value in YAML.

    Raises:
        UsageError: it has another form, or a key before the last is not a section.
    """
    key, equals, text = change.partition("=")
    if not equals or not key:
        raise UsageError(f"--set {change}: write it as key.sub=value")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        raise UsageError(f"--set {change}: the value {text!r} is not YAML") from None
    *parents, last = key.split(".")
    for parent in parents:
        if not isinstance(data, dict) or not isinstance(data.setdefault(parent, {}), dict):
            raise UsageError(f"--set {change}: {parent!r} is not a section of the recipe")
        data = data[parent]
    if not isinstance(data, dict):
        raise UsageError(f"--set {change}: the recipe is not a mapping")
    data[last] = value


def is_iso_date(text: str) -> bool:
    """Tell whether a text is a date as YYYY-MM-DD."""
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def flatten(value: Any, prefix: str = "") -> dict[str, Any]:
    """Give nested values by their dotted names: `{"optim": {"lr": 1}}` gives `{"optim.lr": 1}`."""
    if not isinstance(value, Mapping):
        return {prefix: value}
    return {k: v for key, item in value.items() for k, v in flatten(item, f"{prefix}.{key}".strip(".")).items()}


def differences(before: Mapping[str, Any], now: Mapping[str, Any], ignore: Iterable[str] = ()) -> list[str]:
    """List the values that differ between two nested mappings, as `optim.lr was 5e-05, is 0.0001`.

    Both are compared as JSON writes them; `ignore` names values that may differ.
    """
    first, other = (flatten(json.loads(json.dumps(values, default=str))) for values in (before, now))
    return [
        f"{name} was {_abbreviated(first.get(name))}, is {_abbreviated(other.get(name))}"
        for name in sorted({*first, *other} - {*ignore})
        if first.get(name) != other.get(name)
    ]


def _abbreviated(value: Any) -> str:
    """Give a value as JSON, texts without quotes, a SHA-256 by its first 12 digits."""
    text = value if isinstance(value, str) else json.dumps(value)
    return text[:12] if len(text) == 64 else text
