"""The texts of records, read from the scans on request; the table of candidates has none."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import polars as pl

from .. import record
from ..measure import report_sections
from ..measure.scans import ScanFile
from ..measure.text_keys import Texts
from ..measure.text_similarity import Text
from .candidates import read_rows

_COMPARED = ("question", "answer", "context", "choices")


@dataclass(frozen=True, slots=True)
class ScanTexts:
    """The texts of the scans, in reading order; `sections` are the sections of reports that are trained on alone."""

    scans: Sequence[ScanFile]
    sections: Mapping[str, record.Section]

    def texts(self, rows: pl.DataFrame) -> Iterator[pl.DataFrame]:
        """Give `index`, `question`, `answer`, `context`, `choices` and `explanation` of rows, one scan at a time."""
        for section, scanned in self._read(rows, [*_COMPARED, "explanation"]):
            yield report_sections.section_answers(scanned, section) if section else scanned

    def lookup(self, rows: pl.DataFrame) -> Callable[[int], Sequence[Text]]:
        """Give a function from the `index` of one of the rows to its texts, the parts that are compared one by one."""
        empty = pl.DataFrame(
            schema={"index": pl.UInt32, **dict.fromkeys(_COMPARED[:3], pl.String), "choices": pl.List(pl.String)}
        )
        texts = pl.concat([empty, *(scanned.select(empty.columns) for scanned in self.texts(rows))])
        place = {index: number for number, index in enumerate(texts["index"])}

        @lru_cache(maxsize=10_000)
        def parts(index: int) -> Sequence[Text]:
            return Texts(*texts.row(place[index])[1:]).parts()

        return parts

    def signatures(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Give `index` and `minhash` of rows."""
        frames = [pl.DataFrame(schema={"index": pl.UInt32, "minhash": pl.List(pl.UInt32)})]
        has_section = pl.col("source").is_in(list(self.sections))
        frames += [scanned for _, scanned in self._read(rows.filter(~has_section), ["minhash"])]
        for section, scanned in self._read(rows.filter(has_section), _COMPARED):
            if section:
                frames.append(report_sections.select_section(scanned, section).select("index", "minhash"))
        return pl.concat(frames)

    def _read(self, rows: pl.DataFrame, columns: Sequence[str]) -> Iterator[tuple[record.Section | None, pl.DataFrame]]:
        for scan, wanted, scanned in read_rows(self.scans, rows.select("scan", "scan_row", "index"), *columns):
            yield self.sections.get(scan.source), scanned.select(wanted["index"], *columns)
