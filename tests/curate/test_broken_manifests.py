"""A broken manifest is one line and exit code 2 in every command that reads one, never a traceback."""

import json

import pytest

from medmix.cli import main
from medmix.curate.write import manifest

WHOLE = {"format": manifest.FORMAT, "medmix": "1", "files": {}, "sources": {}, "timings": {}}

BROKEN = {
    "null": b"null",
    "number": b"5",
    "list": b"[]",
    "text": b'"manifest"',
    "empty": b"",
    "brackets": b"[" * 100_000,
    "nested": b'{"format": 4, "a": ' + b'{"a":' * 100_000,
    "not-utf8": b'{"format": 4, "medmix": "\xff"}',
    "nan": b'{"format": 4, "files": {"a": {"bytes": NaN}}}',
    "digits": b'{"format": 4, "medmix": ' + b"9" * 5000 + b"}",
    "half-a-character": b'{"format": 4, "medmix": "\\ud800"}',
    **{
        f"{key}-{number}": json.dumps({**WHOLE, key: value}).encode()
        for number, (key, value) in enumerate(
            [
                *(("sources", value) for value in (None, 3, [], {"slake": None}, {"../x": {}}, {"a.b": {}})),
                *(
                    ("files", value)
                    for value in (None, 3, [], {"a": 1}, {"../a": {}}, {"/a": {}}, {"a": {"bytes": "1"}})
                ),
                *(("settings", value) for value in (None, [], {"mixture": None}, {"mixture": {"evaluation": [1]}})),
                *(("evaluation", value) for value in ({}, [None], [{"set": 5}])),
                *(("totals", value) for value in (True, {"kept": True}, {"kept": "many"})),
                ("format", True),
                ("timings", None),
                ("published", {"repo": 5}),
            ]
        )
    },
}

COMMANDS = {
    "check": ["check", "{mix}"],
    "diff": ["diff", "{mix}", "{mix}"],
    "push": ["push", "{mix}", "--repo", "a/b", "--dry-run"],
    "rehydrate": ["rehydrate", "{mix}", "--root", "{root}", "--out", "{root}/out"],
    "licences": ["licences", "{mix}"],
    "leaks": ["leaks", "{mix}", "--against", "{mix}"],
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("broken", BROKEN)
def test_a_broken_manifest_is_one_line(tmp_path, capsys, monkeypatch, command, broken):
    monkeypatch.setenv("HF_TOKEN", "hf_writer")
    mix, root = tmp_path / "mix", tmp_path / "root"
    mix.mkdir()
    root.mkdir()
    (mix / manifest.NAME).write_bytes(BROKEN[broken])
    with pytest.raises(SystemExit) as stop:
        main([part.format(mix=mix, root=root) for part in COMMANDS[command]])
    err = capsys.readouterr().err
    assert stop.value.code == 2, err
    assert "Traceback" not in err
    (line,) = [line for line in err.splitlines() if line.startswith("medmix: error: ")]
    assert manifest.NAME in line
    assert len(line) < 600


def test_a_key_that_is_not_there_is_one_line_when_it_is_needed(tmp_path):
    (tmp_path / manifest.NAME).write_text(json.dumps(WHOLE))
    document = manifest.read(tmp_path)
    with pytest.raises(KeyError, match=r"manifest\.json: lacks 'totals'; build the mix again"):
        document["totals"]
