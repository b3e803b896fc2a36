import threading

import pytest

from medmix.curate import engine, progress
from medmix.curate.progress import Amounts, progress_line, reporting, stage


def test_a_line_has_tasks_records_rate_and_the_time_left():
    line = progress_line("writing", (1_200, 3_350, "shards"), (410_000, 3_350_000, "records"), 0.1223, 1_323.0)
    assert line == ("writing: 1,200 of 3,350 shards, 410,000 of 3.35 M records, 310 records/s, 2 h 38 min left")


def test_without_records_the_rate_is_that_of_the_tasks():
    assert progress_line("reading", (3, 4, "files"), None, 0.5, 30.0) == "reading: 3 of 4 files, 0.1 files/s, 30 s left"


@pytest.mark.parametrize("workers", [1, 2])
def test_each_task_that_ends_is_reported_by_its_own_amount(workers, monkeypatch, capsys):
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0.0)
    amounts = Amounts([1, 20, 300], "records")
    with reporting("writing", 3, "shards", amounts) as ended:
        assert list(engine.run(abs, [-1, -2, -3], workers, amounts.of_tasks, ended)) == [1, 2, 3]
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 4
    assert "3 of 3 shards, 321 of 321 records" in lines[2]
    if workers == 1:
        assert "1 of 3 shards, 1 of 321 records" in lines[0]
        assert "2 of 3 shards, 21 of 321 records" in lines[1]


def test_a_stage_says_that_it_goes_on_and_a_short_one_says_nothing(monkeypatch, capsys):
    with stage("deciding"):
        pass
    assert capsys.readouterr().err == ""
    said = threading.Event()
    lines: list[str] = []
    monkeypatch.setattr(progress, "say", lambda line: (lines.append(line), said.set()))
    monkeypatch.setattr(progress, "SECONDS_OF_SILENCE", 0.0)
    with stage("deciding"):
        assert said.wait(60)
    assert lines[0] == "deciding: 0 s so far"
