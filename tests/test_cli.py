"""The command line as its user meets it: output, one-line errors, exit codes."""

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from medmix.cli import cli, main

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def run(capsys):
    """Run the command in this process; gives exit code, stdout and stderr."""

    def run(*arguments) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stop:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return int(stop.value.code or 0), captured.out, captured.err

    return run


@pytest.mark.parametrize("name", sorted(cli.commands))
def test_every_command_has_help_with_an_example_and_is_documented(run, name):
    status, out, _ = run(name, "--help")
    assert status == 0
    assert re.search(rf"Examples?:\n\s+medmix {name} ", out)
    assert f"| `medmix {name}" in (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")


def test_bare_medmix_prints_its_help(run):
    status, out, err = run()
    assert (status, err) == (0, "")
    assert out == run("--help")[1]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--help"],
        ["train", "--help"],
        ["build", "--wokers", "2"],
        ["build", "--mixture", "smaple"],
        ["licences", "--mixture", "smaple"],
        ["train", "--mixture", "smaple"],
        ["train", "--mixture", ".", "--recipe", "smoke"],
        ["ablate", "--mixture", ".", "--recipe", "smoke"],
        ["eval", "nowhere"],
        ["export", "nowhere", "--out", "elsewhere"],
    ],
    ids=" ".join,
)
def test_arguments_are_checked_before_anything_slow_is_imported(arguments, tmp_path):
    code = (
        "import sys\nfrom medmix.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "finally: print('imported', *sorted({'torch', 'transformers', 'datasets'} & sys.modules.keys()))"
    )
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{code}", *arguments]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1] == "imported"
    assert done.returncode == (0 if not arguments or "--help" in arguments else 2)


def test_the_list_of_commands(run):
    status, out, _ = run("--help")
    assert status == 0
    listed = re.findall(r"^  ([a-z-]+) +\S.*\.$", out.split("Commands:")[1], re.MULTILINE)
    assert listed == sorted(cli.commands)


def test_sources_print_a_table_or_one_json_document(run):
    status, out, err = run("sources")
    assert (status, err) == (0, "")
    assert len(out.splitlines()) == 15
    status, out, err = run("sources", "--json")
    assert (status, err) == (0, "")
    by_id = {entry["id"]: entry for entry in json.loads(out)}
    assert len(by_id) == 14
    assert by_id["mimic_cxr"]["verdict"] == "credentialed"
    assert by_id["slake"]["languages"] == ["en", "zh"]


def test_licences_of_a_mixture_are_reported_without_any_data(run):
    status, out, err = run("licences", "--mixture", "v1", "--use", "commercial")
    assert status == 0
    assert err.startswith("note: record licences are known only with --root or in a mix: slake, roco")
    assert re.search(
        r"^slake +CC-BY-4.0 +14028 +redistributable +redistribute, derivatives, commercial +attr", out, re.M
    )
    assert "    227835 blocked by LicenseRef-PhysioNet-Credentialed-1.5.0 (mimic_cxr): only for people" in out
    assert re.search(r"^records permitted for commercial use:\nsource +records +remain +excluded$", out, re.M)
    assert re.search(r"^iu_xray +3955 +0 +CC-BY-NC-ND-4.0$", out, re.M)
    status, out, _ = run("licences", "--mixture", "v1", "--json")
    assert (status, json.loads(out)["use"]) == (0, "research")


def one_error(err: str) -> str:
    """Give the error line; there must be just one, and no traceback."""
    lines = err.splitlines()
    errors = [line for line in lines if line.startswith("medmix: error: ")]
    assert len(errors) == 1, err
    assert lines[-1] == errors[0]
    assert "Traceback" not in err
    return errors[0].removeprefix("medmix: error: ")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["biuld"], "No such command 'biuld'. Did you mean 'build'? (see: medmix --help)"),
        (["build", "--wokers", "2"], "No such option '--wokers'. Did you mean '--workers'? (see: medmix build --help)"),
        (["build", "--workers", "0"], "Invalid value for '--workers'"),
        (
            ["build", "--mixture", "smaple"],
            "mixture 'smaple' is unknown (did you mean 'sample'?); there are sample, v1, v1-as-published, or give",
        ),
        (["build", "--mixture", "no.yaml"], "no.yaml: cannot be read (No such file or directory); check the path"),
        (["build", "--root", "nowhere"], "nowhere is not a folder; give the folder that holds one folder per source"),
        (
            ["check", "nowhere"],
            "nowhere is not a finished mix (no manifest.json); build one: medmix build --out nowhere",
        ),
        (["licences", "nowhere"], "nowhere is not a finished mix (no manifest.json); build one"),
        (["licences"], "give either the folder of a mix, or --mixture NAME, optionally with --root"),
        (["licences", "mix", "--mixture", "v1"], "give either the folder of a mix, or --mixture NAME"),
        (["licences", "mix", "--root", "sources"], "give either the folder of a mix, or --mixture NAME"),
        (["licences", "--mixture", "v1", "--use", "fun"], "Invalid value for '--use'"),
        (["licences", "--mixture", "smaple"], "mixture 'smaple' is unknown (did you mean 'sample'?)"),
        (["licences", "--mixture", "v1", "--root", "nowhere"], "nowhere is not a folder"),
        (["rehydrate", ".", "--root", ".", "--out", "r"], ". is not a finished mix (no manifest.json); build one"),
        (["leaks", "nowhere", "--against", "something"], "something is not a folder; give a finished mix, a folder of"),
        (["leaks", ".", "--against", "."], ".: no images match **/*; give another folder, or `files`"),
        (["leaks", "."], "Missing option '--against'"),
        (
            ["fingerprint", "nowhere"],
            "nowhere is not a folder; give a finished mix, a folder of images or a fingerprint",
        ),
        (["fingerprint", ".", "--column", "a"], "`column` needs a `table`"),
        (["fingerprint", ".", "--table", "t.csv", "--column", "a", "--where", "b"], "--where b: write COLUMN=VALUE"),
        (["train", "--mixture", "v1"], "no mix at v1 or mixes/v1; build it first: medmix build --mixture v1"),
        (["eval", "nowhere"], "nowhere has no checkpoint; type: medmix train --mixture NAME --out nowhere"),
        (["eval", "one", "other"], "several models need a common output folder; name it with --out"),
        (
            ["eval", "a/run", "b/run", "--out", "x"],
            "several models have the same name (run, run); score them one at a time",
        ),
        (
            ["eval", "nowhere", "--suite", "classification"],
            "classification needs datasets: give the folder that contains",
        ),
        (["eval", "nowhere", "--suite", "all"], "classification needs datasets: give the folder that contains"),
        (
            ["report", "nowhere", "--out", "x"],
            "nowhere: does not exist; give a results.json of medmix eval, or a folder",
        ),
        (["report", ".", "--out", "x"], ".: contains no results.json; make one: medmix eval MODEL --out ."),
        (["ablate", "--mixture", "v1"], "no mix at v1 or mixes/v1; build it first: medmix build --mixture v1"),
        (
            ["ablate", "--seeds", "0,one"],
            "Invalid value for '--seeds': '0,one' is not a list of whole numbers such as 0,1,2",
        ),
        (["eval", "nowhere", "--suite", "vqe"], "Invalid value for '--suite'"),
        (["sample-data", "--out", "."], "{here}: already there; name a new folder with --out, or remove it first"),
    ],
)
def test_misuse_is_one_line_and_2(run, tmp_path, monkeypatch, arguments, line):
    (tmp_path / "something").touch()
    monkeypatch.chdir(tmp_path)
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    assert one_error(err).startswith(line.format(here=tmp_path))


def test_a_mixture_with_a_mistyped_key_is_met_with_the_nearest(run, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("name: mine\nversion: 1.0.0\ndescription: d\nsources: {slak: {wieght: 2}}\nlanguage: [en]\n")
    status, _, err = run("build", "--mixture", path)
    assert status == 2
    assert one_error(err) == (
        "mine.yaml: language: unknown key (did you mean 'languages'?); "
        "mine.yaml: sources.slak.wieght: unknown key (did you mean 'weight'?)"
    )


def test_an_unknown_source_in_a_mixture_is_met_with_the_nearest(run, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("name: mine\nversion: '1'\ndescription: d\nsources: {slak: {}}\n")
    status, _, err = run("build", "--mixture", path)
    assert status == 2
    assert one_error(err) == (
        "mine.yaml: version: '1' is not MAJOR.MINOR.PATCH; "
        "mine.yaml: sources.slak: no such source (did you mean 'slake'?)"
    )


def test_build_and_check_in_one_json_document_each(run, tmp_path):
    out = tmp_path / "mix"
    status, stdout, err = run("build", "--mixture", "sample", "--only", "medqa", "--out", out, "--json")
    assert status == 0
    document = json.loads(stdout)
    assert document["sources"]["medqa"]["kept"] > 0
    assert "note: sources that --only left out: vqa_rad, slake, " in err
    assert "warning: evaluation set slake test: NOT CHECKED: it was not found or not read\n" in err
    status, stdout, _ = run("check", out, "--json", "--workers", 1)
    assert (status, json.loads(stdout)) == (
        0,
        {
            "mix": str(out),
            "findings": [],
            "warnings": document["warnings"],
            "leak_search": {"training": 0, "items": 0, "compared": 0},
        },
    )
    status, stdout, _ = run("licences", out, "--json")
    assert (status, json.loads(stdout)["findings"]) == (0, [])
    settings = (out / "manifest.json").read_text()
    (out / "manifest.json").write_text(settings.replace('"use": "research"', '"use": "commercial"'))
    status, stdout, _ = run("licences", out)
    assert status == 1
    assert "\nfinding: manifest.json: changed since the build wrote it, so " in stdout
    (out / "manifest.json").write_text(settings)
    (out / "README.md").write_text("changed")
    status, stdout, _ = run("check", out, "--workers", 1)
    assert (status, stdout) == (1, "README.md: its bytes are not those that the build wrote\n")


def test_ctrl_c_is_130_and_a_re_run_goes_on(tmp_path):
    out = tmp_path / "mix"
    command = [sys.executable, "-m", "medmix", "build", "--mixture", "sample", "--out", str(out), "--workers", "2"]
    command += ["--only", "slake,roco,pathvqa"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not list(out.glob(".work/scans/*.parquet")) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    try:
        _, err = process.communicate(timeout=3)
    except subprocess.TimeoutExpired:  # code that catches all may swallow one; a user would type it again
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert one_error(err) == "interrupted; run the same command again to go on"
    assert not (out / "manifest.json").exists()
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert main_check(out) == 0


def main_check(out: Path) -> int:
    with pytest.raises(SystemExit) as stop:
        main(["check", str(out)])
    return int(stop.value.code or 0)


def test_a_full_disk_is_one_line_and_1(run, monkeypatch):
    from medmix.curate import facts

    def full():
        raise OSError(28, "No space left on device", "somewhere")

    monkeypatch.setattr(facts, "source_ids", full)
    status, out, err = run("sources")
    assert (status, out) == (1, "")
    assert one_error(err) == (
        "somewhere: the disk is full; free some space and run the same command again: finished work is kept"
    )
