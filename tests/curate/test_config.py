import reprlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from medmix.curate.config import find_yaml, nearest, parse, read_yaml, yaml_names
from medmix.curate.errors import UsageError


@dataclass(frozen=True, slots=True)
class Inner:
    size: int
    ratio: float = 0.5


@dataclass(frozen=True, slots=True)
class Outer:
    name: str
    inner: Inner
    kind: Literal["a", "b"] = "a"
    flag: bool = False
    limit: int | None = None
    share: float | Literal["all", "none"] = 0.5
    words: tuple[str, ...] = ()
    pair: tuple[float, float] = (0.0, 1.0)
    table: dict[str, Inner] = field(default_factory=dict)
    anything: Any = None


def problems(data: Any, cls: type = Outer) -> list[str]:
    with pytest.raises(UsageError) as caught:
        parse(cls, data, "file.yaml")
    return str(caught.value).split("; ")


def test_a_number_or_a_word():
    given = {"name": "x", "inner": {"size": 3}}
    assert [parse(Outer, given | {"share": share}, "file.yaml").share for share in (1, 0.25, "none")] == [
        1.0,
        0.25,
        "none",
    ]
    assert problems(given | {"share": "non"}) == [
        "file.yaml: share: must be a number or all, none, is 'non' (did you mean 'none'?)"
    ]
    assert problems(given | {"share": [1]}) == ["file.yaml: share: must be a number or all, none, is [1]"]
    assert problems(given | {"share": float("inf")}) == ["file.yaml: share: must be a number or all, none, is inf"]


def test_plain_data_becomes_nested_dataclasses():
    data = {
        "name": "x",
        "inner": {"size": 3, "ratio": 1},
        "kind": "b",
        "flag": True,
        "limit": 7,
        "words": ["one", "two"],
        "pair": [1, 2.5],
        "table": {"k": {"size": 1}},
        "anything": [1, {"a": None}],
    }
    assert parse(Outer, data, "file.yaml") == Outer(
        name="x",
        inner=Inner(3, 1.0),
        kind="b",
        flag=True,
        limit=7,
        words=("one", "two"),
        pair=(1.0, 2.5),
        table={"k": Inner(1)},
        anything=[1, {"a": None}],
    )


def test_whole_numbers_become_floats_where_a_float_is_asked_for():
    assert isinstance(parse(Inner, {"size": 1, "ratio": 2}, "file.yaml").ratio, float)


def test_defaults_stand_in_for_what_is_not_given():
    assert parse(Outer, {"name": "x", "inner": {"size": 3}}, "file.yaml") == Outer("x", Inner(3))


def test_every_problem_is_named_at_once_with_its_path():
    data = {
        "inner": {"siez": 3, "ratio": "much"},
        "kind": "c",
        "words": ["one", 2],
        "table": {"k": {"size": 1.5}},
        "extra": 1,
    }
    assert problems(data) == [
        "file.yaml: extra: unknown key",
        "file.yaml: name: is missing",
        "file.yaml: inner.siez: unknown key (did you mean 'size'?)",
        "file.yaml: inner.size: is missing",
        "file.yaml: inner.ratio: must be a number, is 'much'",
        "file.yaml: kind: must be one of a, b, is 'c'",
        "file.yaml: words[1]: must be a text, is 2",
        "put it in quotes",
        "file.yaml: table.k.size: must be a whole number, is 1.5",
    ]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"inner": {"size": True}}, "file.yaml: inner.size: must be a whole number, is True"),
        ({"inner": {"size": 1, "ratio": True}}, "file.yaml: inner.ratio: must be a number, is True"),
        ({"inner": {"size": 1, "ratio": float("nan")}}, "file.yaml: inner.ratio: must be a finite number, is nan"),
        (
            {"inner": {"size": 1, "ratio": 10**400}},
            f"file.yaml: inner.ratio: must be a finite number, is {reprlib.repr(10**400)}",
        ),
        ({"inner": {"size": 1, "ratio": None}}, "file.yaml: inner.ratio: must be a number, is null"),
        ({"inner": None}, "file.yaml: inner: must be a mapping with size, ratio"),
        ({"flag": 1}, "file.yaml: flag: must be true or false, is 1"),
        ({"limit": "7"}, "file.yaml: limit: must be a whole number, is '7'"),
        ({"words": "one"}, "file.yaml: words: must be a list, is 'one'"),
        ({"pair": [1]}, "file.yaml: pair: must be a list of 2, has 1"),
        ({"table": [1]}, "file.yaml: table: must be a mapping, is [1]"),
    ],
)
def test_wrong_types_are_refused(change, problem):
    assert problems({"name": "x", "inner": {"size": 1}, **change}) == [problem]


def test_words_that_yaml_takes_for_something_else_come_with_the_remedy(tmp_path):
    path = tmp_path / "file.yaml"
    path.write_text("name: no\ninner: {size: 1, ratio: 1e-5}\nwords: [2026-11-23]\ntable: {on: {size: 1}}\n")
    assert problems(read_yaml(path)) == [
        "file.yaml: name: must be a text, is False",
        "put it in quotes",
        "file.yaml: inner.ratio: must be a number, is '1e-5'",
        "YAML wants a point and a sign, as in 1.0e-5",
        "file.yaml: words[0]: must be a text, is 2026-11-23",
        "put it in quotes",
        "file.yaml: table: key True must be a text",
        "put it in quotes",
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a: 1\nb: 2\na: 3\n", ", line 3: key 'a' is duplicated; fix the YAML there"),
        (b"a:\n  b: 1\n  b: 1\n", ", line 3: key 'b' is duplicated; fix the YAML there"),
        (b"? [1]\n: 2\n", ", line 1: a key must be a plain word; fix the YAML there"),
        (b"a: &x [1]\nb: *x\n", ", line 2: aliases (*name) are not allowed; fix the YAML there"),
        (b"a: [1\n", ", line 2: expected ',' or ']', but got '<stream end>'; fix the YAML there"),
        (b"a: !!python/name:os.system\n", "could not determine a constructor"),
        (b"a: 2026-13-45\n", ": month must be in 1..12"),
        (b"a: \xff\n", ": is not UTF-8 text; save it as UTF-8"),
        (b"a: \x07\n", ": unacceptable character"),
        (b"[" * 5000, ": is nested too deeply; fix the YAML"),
    ],
)
def test_unusable_yaml_is_said_in_one_line(tmp_path, content, message):
    path = tmp_path / "file.yaml"
    path.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        read_yaml(path)
    assert str(caught.value).startswith(str(path))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_opened_is_said_in_one_line(tmp_path):
    with pytest.raises(UsageError, match=r"none\.yaml: cannot be read \(No such file or directory\)"):
        read_yaml(tmp_path / "none.yaml")
    with pytest.raises(UsageError, match=r"cannot be read \(Is a directory\)"):
        read_yaml(tmp_path)


def test_nearest_names_the_closest_or_nothing():
    assert nearest("slak", ["slake", "roco"]) == " (did you mean 'slake'?)"
    assert nearest("zebra", ["slake", "roco"]) == ""


@pytest.mark.parametrize("folder", ["mixtures", "recipes/train", "recipes/eval", "recipes/sources"])
def test_the_yaml_files_of_a_folder_are_found_by_their_names(folder):
    names = yaml_names(folder)
    assert names == sorted(names)
    for name in names:
        path = find_yaml(folder, "recipe", name)
        assert (path.stem, path.is_file()) == (name, True)


def test_a_path_is_taken_as_it_is():
    assert find_yaml("mixtures", "mixture", Path("v1.yml")) == Path("v1.yml")


def test_an_unknown_name_is_met_with_the_nearest_and_all_others():
    with pytest.raises(
        UsageError, match=r"mixture 'smaple' is unknown \(did you mean 'sample'\?\); there are sample, v1"
    ):
        find_yaml("mixtures", "mixture", "smaple")
    with pytest.raises(UsageError, match=r"'bach' is unknown; there are smoke, or give a path that ends in \.yaml"):
        find_yaml("recipes/eval", "recipe", "bach", ["smoke"])
