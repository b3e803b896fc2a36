"""How many rows and images of each source and evaluation set a tree of so many records has."""

from dataclasses import dataclass

FULL = 3_350_000
"""Records of the whole mix, as its recipe counts them; `ROWS` has those that are known by source."""

ROWS = {
    "vqa_rad": 2_248,
    "slake": 14_028,
    "pathvqa": 32_632,
    "vqa_med_2019": 15_292,
    "roco": 87_925,
    "pmc_oa": 1_646_592,
    "pmc_vqa": 416_374,
    "iu_xray": 3_851,
    "mimic_cxr": 227_835,
    "omnimedvqa": 88_996,
    "ubench": 95_846,
    "medqa": 12_723,
    "medmcqa": 193_155,
    "pubmedqa": 273_518,
}
"""Upstream's rows by source, in all splits: questions, captions or studies."""

ITEMS = {
    "cxr8": 25_596,
    "medfmc_chest": 1_161,
    "medfmc_colon": 3_296,
    "medfmc_endo": 881,
    "medfmc_neojaundice": 2_235,
    "busi": 780,
    "kvasir": 8_000,
    "bach": 400,
    "brain_tumor_mri": 394,
    "ham10000": 10_015,
}
"""The images of the evaluation sets of folders."""


@dataclass(frozen=True, slots=True)
class Size:
    """The size of a tree, in records of all sources together."""

    records: int

    def rows(self, source: str) -> int:
        """Give the rows of a source."""
        return max(1, round(ROWS[source] * self._share))

    def items(self, name: str) -> int:
        """Give the images of an evaluation set."""
        return max(1, round(ITEMS[name] * self._share))

    def of(self, upstream: int) -> int:
        """Give what is left of a number of upstream's."""
        return max(1, round(upstream * self._share))

    @property
    def _share(self) -> float:
        return self.records / sum(ROWS.values())


def split_places(rows: int, shares: dict[str, float]) -> list[tuple[str, range]]:
    """Divide rows among splits by their shares; give the places of each, but for splits without any."""
    parts, first, total, seen = [], 0, sum(shares.values()), 0.0
    for split, share in shares.items():
        seen += share
        last = round(rows * seen / total)
        if first < last:
            parts.append((split, range(first, last)))
        first = last
    return parts
