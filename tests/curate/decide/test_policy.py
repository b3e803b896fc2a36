"""What a licence policy lets into a mix, and what it says of the rest."""

from collections import Counter

import polars as pl
import pytest

from medmix.curate import facts, mixtures
from medmix.curate.decide import policy
from medmix.curate.errors import UsageError
from medmix.curate.mixture import LicencePolicy

from .rows import fates, table

RESEARCH, COMMERCIAL = LicencePolicy(), LicencePolicy(use="commercial")
SOURCES = {source: facts.load(source) for source in ("roco", "slake", "ubench", "omnimedvqa")}


def figure(wording: str, credit: str = "") -> dict:
    return {"source": "roco", "task": "caption", "wording": wording, "third_party": credit}


def resolved(*rows: dict) -> pl.DataFrame:
    return policy.resolve(table(*rows).drop("licence", "verdict", "openness"), SOURCES)


def test_each_record_gets_licence_verdict_and_openness():
    rows = resolved(figure("CC BY"), figure("CC BY-ND"), figure("CC BY", "courtesy of Dr X"), figure("NO-CC CODE"))
    assert rows.select("licence", "verdict", "openness").rows() == [
        ("LicenseRef-CC-BY", "redistributable", 3),
        ("LicenseRef-CC-BY-ND", "research-only", 2),
        ("LicenseRef-unclear", "unclear", 1),
        ("LicenseRef-unclear", "unclear", 1),
    ]


def test_the_ledger_tells_the_words_behind_a_drop():
    rows = resolved(
        figure("CC BY"), figure("CC BY-NC"), figure("CC BY", "courtesy of Dr X"), figure("NO-CC CODE"), figure("")
    )
    assert fates(policy.excluded(rows, COMMERCIAL)) == {
        1: ("licence", "LicenseRef-CC-BY-NC"),
        2: ("licence", "LicenseRef-unclear: the caption says 'courtesy of Dr X'"),
        3: ("licence", "LicenseRef-unclear: the row says 'NO-CC CODE'"),
        4: ("licence", "LicenseRef-unclear"),
    }
    assert fates(policy.excluded(rows, RESEARCH)) == {}
    assert fates(policy.excluded(rows, LicencePolicy(unclear="exclude"))).keys() == {2, 3, 4}


@pytest.mark.parametrize(
    ("licence", "verdict", "allowed"),
    [
        ("MIT", "redistributable", (True, True, True)),
        ("MIT", "unclear", (True, False, False)),
        ("CC-BY-NC-4.0", "research-only", (True, True, False)),
        ("CC-BY-ND-4.0", "research-only", (True, True, False)),
        ("LicenseRef-unclear", "unclear", (True, False, False)),
        ("LicenseRef-PhysioNet-Credentialed-1.5.0", "credentialed", (True, True, False)),
    ],
)
def test_what_each_policy_permits(licence, verdict, allowed):
    policies = (RESEARCH, LicencePolicy(unclear="exclude"), COMMERCIAL)
    assert tuple(policy.permits(each, licence, verdict) for each in policies) == allowed


def test_what_no_table_knows_is_said_with_its_count_and_source():
    rows = resolved(
        *[figure("CC BY 9.0")] * 2,
        figure("NO-CC CODE"),
        figure(""),
        {"source": "slake", "member": "Lung X-Ray"},
        {"source": "omnimedvqa", "member": "Made up"},
        {"source": "roco", "task": "", "wording": "a rejected row"},
    )
    assert policy.unknown_licence_notes(policy.count_licence_fields(rows), SOURCES) == [
        "omnimedvqa: the licence of 'Made up' is unknown; LicenseRef-unclear applies (1 rows)",
        "roco: single rows name no licence; LicenseRef-unclear applies (1 rows)",
        "roco: the licence 'CC BY 9.0' is unknown and counts as unclear (2 rows)",
    ]


def test_only_records_are_counted():
    rows = resolved(figure("CC BY"), figure("CC BY"), {"source": "roco", "task": ""})
    assert policy.count_licence_fields(rows) == Counter({("roco", "CC BY", "", ""): 2})


def mixture_file(folder, licence_policy: str):
    path = folder / "mine.yaml"
    path.write_text(
        f"name: mine\nversion: 1.0.0\ndescription: d\nsources: {{slake: {{}}}}\nlicence_policy: {licence_policy}\n"
    )
    return str(path)


def test_a_policy_that_contradicts_itself_is_named_at_once(tmp_path):
    with pytest.raises(UsageError, match=r"mine.yaml: licence_policy: contradicts itself.* set `unclear: exclude`"):
        mixtures.load(mixture_file(tmp_path, "{use: commercial, unclear: restrict}"))


@pytest.mark.parametrize(
    ("text", "keeps"),
    [
        ("{use: commercial}", False),
        ("{use: commercial, unclear: exclude}", False),
        ("{use: research}", True),
        ("{use: research, unclear: restrict}", True),
        ("{unclear: exclude}", False),
    ],
)
def test_what_becomes_of_unclear_records_follows_from_the_use(tmp_path, text, keeps):
    assert mixtures.load(mixture_file(tmp_path, text)).licence_policy.keeps_unclear is keeps
