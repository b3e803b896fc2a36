"""Ways to put what must not go out into a file of a release, whatever manifest and digests say."""

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image, PngImagePlugin

from medmix.curate.measure.images import measure
from medmix.curate.publish.gate import table_bytes

SHARD = "data/slake/validation-00000-of-00001.parquet"
TEXTS = "data/pubmedqa/train-00000-of-00001.parquet"
POINTERS = "pointers/mimic_cxr.parquet"
OPEN_POINTERS = "pointers/iu_xray.parquet"
SHEET = "plots/examples.jpg"
TABLES = (
    SHARD,
    TEXTS,
    POINTERS,
    OPEN_POINTERS,
    "ledger.parquet",
    "records.parquet",
    "attribution.parquet",
    "evaluation.parquet",
)
PAGES = (
    *("README.md", "LICENSE.md", "ATTRIBUTION.md", "CITATION.bib", "datasheet.md", "datasheets/slake.md"),
    *("croissant.json", "manifest.json", "full_manifest.json", "report/index.html", "plots/sources.svg"),
)

Row = dict[str, Any]


class Tampering(NamedTuple):
    """A tampered file: what was done, the name of the file in the repository, and its bytes."""

    label: str
    name: str
    data: bytes


class Material(NamedTuple):
    """The release of a mix, and restricted records with their images."""

    release: Path
    mimic: list[Row]
    iu_xray: list[Row]
    pathvqa: list[Row]
    medqa: list[Row]
    slake: list[Row]


def rows_of(folder: Path, source: str) -> list[Row]:
    """Give the restricted records of a source."""
    shards = sorted((folder / "restricted" / source).glob("*.parquet"))
    return [row for shard in shards for row in pq.read_table(shard).to_pylist()]


def material(mix: Path, release: Path) -> Material:
    return Material(
        release, *(rows_of(mix, source) for source in ("mimic_cxr", "iu_xray", "pathvqa", "medqa", "slake"))
    )


def secrets(of: Material) -> dict[str, str]:
    """Give texts that must not go out, by what they are."""
    row = max(of.mimic, key=lambda row: len(row["answer"]))
    report, study, patient = row["answer"], row["id"].split("/")[1], row["group"].split("/p")[1]
    words = report.split()
    return {
        "a report": report,
        "a report in capitals": report.upper(),
        "a report in other lines": "\n".join(words),
        "a report without signs": report.replace(".", " ").replace(":", " ").replace(",", " "),
        "a report within a text": f"The radiologist wrote: {report} That is all.",
        "a piece of a report": " ".join(words[-10:]),
        "a report of IU X-Ray": max((row["answer"] for row in of.iu_xray), key=len),
        "a patient": f"p{patient}",
        "a patient in capitals": f"P{patient}",
        "the number of a patient": patient,
        "a study": f"s{study}",
        "the number of a study": f"see study {study}.",
        "our id of a study": f"mimic_cxr/{study}",
        "a film": row["images"][0]["path"].removesuffix(".jpg"),
        "a path": f"files/p{patient[:2]}/p{patient}/s{study}.txt",
    }


def written(table: pa.Table, name: str, **options: Any) -> bytes:
    """Write a table as medmix does: equal rows give equal bytes."""
    out = io.BytesIO()
    if name.startswith("data/"):
        options = {"use_content_defined_chunking": True, "write_page_index": True, **options}
    with pq.ParquetWriter(out, table.schema, compression="zstd", **options) as writer:
        writer.write_table(table)
    return out.getvalue()


def changed(of: Material, name: str, change: Callable[[Row], None]) -> bytes:
    """Change the first row of a table and keep a few others."""
    rows = pq.read_table(of.release / name).slice(0, 3).to_pylist()
    change(rows[0])
    return written(pa.Table.from_pylist(rows, schema=table_bytes.schema(name)), name)


def setter(*path: str | int) -> Callable[[str], Callable[[Row], None]]:
    """Give what sets a text at a place inside a row."""

    def set_text(text: str) -> Callable[[Row], None]:
        def change(row: Row) -> None:
            place: Any = row
            for step in path[:-1]:
                place = place[step]
            place[path[-1]] = [text] if isinstance(place[path[-1]], list) else text

        return change

    return set_text


CELLS = {
    SHARD: (
        *(("question",), ("answer",), ("modality",), ("answer_type",), ("language",), ("group",), ("attribution",)),
        *(("license_evidence", "declared"), ("license_evidence", "evidence"), ("license_evidence", "read")),
        *(("upstream", "dataset"), ("upstream", "revision"), ("upstream", "file"), ("images", 0, "path")),
        *(("messages", 0, "content", 1, "text"), ("messages", 1, "content", 0, "text"), ("messages", 0, "role")),
    ),
    TEXTS: (("question",), ("answer",), ("alternatives",), ("choices",), ("messages", 0, "content", 0, "text")),
    OPEN_POINTERS: (("file",), ("wording",), ("article",), ("article_read",)),
    "ledger.parquet": (("evidence",), ("transformation",), ("stage",), ("relation",), ("flag",)),
    "records.parquet": (("split",),),
    "attribution.parquet": (("credit",), ("url",)),
    "evaluation.parquet": (("set",),),
}


def cells(of: Material) -> Iterator[Tampering]:
    """Put every second secret into every kind of text cell, the other ones into every other."""
    known = list(secrets(of).items())
    for name, paths in CELLS.items():
        for number, path in enumerate(paths):
            for secret, text in known[number % 2 :: 2]:
                where = ".".join(map(str, path))
                yield Tampering(f"{secret} in {where}", name, changed(of, name, setter(*path)(text)))


def numbers(of: Material) -> Iterator[Tampering]:
    """Put the numbers of patients and studies into columns of numbers."""
    study = int(of.mimic[0]["id"].split("/")[1])
    patient = int(of.mimic[0]["group"].split("/p")[1])
    for kind, number in {"study": study, "patient": patient}.items():
        yield Tampering(
            f"{kind} as row", SHARD, changed(of, SHARD, lambda row, n=number: row["upstream"].update(row=n))
        )
        yield Tampering(
            f"{kind} as row", OPEN_POINTERS, changed(of, OPEN_POINTERS, lambda row, n=number: row.update(row=n))
        )
        yield Tampering(
            f"{kind} as score",
            "ledger.parquet",
            changed(of, "ledger.parquet", lambda row, n=number: row.update(score=float(n))),
        )


def coded(image: Image.Image, kind: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def image_variants(data: bytes) -> dict[str, bytes]:
    """Give files that show the same image."""
    image = Image.open(io.BytesIO(data)).convert("L")
    brighter = Image.fromarray(np.clip(np.asarray(image, np.int16) + 4, 0, 255).astype(np.uint8))
    return {
        "its bytes": data,
        "a byte more": data + b"\0",
        "as PNG": coded(image, "PNG"),
        "as RGB": coded(image.convert("RGB"), "PNG"),
        "as JPEG of quality 95": coded(image, "JPEG", quality=95),
        "as JPEG of quality 75": coded(image, "JPEG", quality=75),
        "with a comment": coded(image, "JPEG", quality=92, comment=b"no name"),
        "brighter": coded(brighter, "PNG"),
        "twice as large": coded(image.resize((image.width * 2, image.height * 2), Image.Resampling.LANCZOS), "PNG"),
        "a little smaller": coded(image.resize((image.width * 9 // 10, image.height * 9 // 10)), "PNG"),
    }


def put_image(row: Row, data: bytes, claims: str) -> None:
    """Put an image into a record; its digests stay, or fit, or are those of the record that it was."""
    facts = measure(data, 1 << 28)
    row["images"][0]["bytes"] = data
    if claims == "fitting":
        row.update(image_sha256=[facts.sha256], image_phash=[facts.phash])


def images(of: Material) -> Iterator[Tampering]:
    """Put images of withheld records into a public one."""
    for source, rows in {"MIMIC-CXR": of.mimic, "IU X-Ray": of.iu_xray, "PathVQA": of.pathvqa}.items():
        for number in (0, 3):
            for kind, data in image_variants(rows[number]["images"][0]["bytes"]).items():
                for claims in ("old", "fitting"):
                    changed_file = changed(of, SHARD, lambda row, d=data, c=claims: put_image(row, d, c))
                    yield Tampering(f"image {number} of {source}, {kind}, {claims} digests", SHARD, changed_file)
    public = pq.read_table(of.release / SHARD, columns=["images"])["images"].to_pylist()
    other = next(held for held in public if held[0]["bytes"] != public[0][0]["bytes"])
    yield Tampering("another public image", SHARD, changed(of, SHARD, lambda row: row.update(images=other)))
    digests = of.mimic[0]["image_sha256"]
    yield Tampering("digest of an image", SHARD, changed(of, SHARD, lambda row: row.update(image_sha256=digests)))


LICENCE = ("license", "license_verdict", "license_evidence", "split")


def records(of: Material) -> Iterator[Tampering]:
    """Let withheld records claim to be free: under their own source, under another one, under a new id."""
    targets = {"iu_xray": of.iu_xray, "pathvqa": of.pathvqa, "mimic_cxr": of.mimic, "medqa": of.medqa}
    for source, rows in targets.items():
        name = SHARD if rows[0]["images"] else TEXTS
        public = pq.read_table(of.release / name).slice(0, 1).to_pylist()[0]
        for number in range(3):
            free = {**rows[number], **{column: public[column] for column in LICENCE}}
            as_public = {
                **free,
                **{column: public[column] for column in ("source", "attribution", "group", "upstream")},
            }
            own = {"its own source": free, "another source": as_public, "another id": {**as_public, "id": public["id"]}}
            for kind, row in own.items():
                data = changed(of, name, lambda first, row=row: first.update(row))
                yield Tampering(f"record {number} of {source} under {kind}", name, data)
    for number, row in enumerate(of.slake):
        data = changed(of, SHARD, lambda first, row=row: first.update(id=row["id"]))
        yield Tampering(f"the id of withheld record {number}", SHARD, data)
    for licence in ("CC-BY-NC-4.0", "LicenseRef-unclear", "CC-BY-ND-4.0", "Free", ""):
        data = changed(of, SHARD, lambda row, licence=licence: row.update(license=licence))
        yield Tampering(f"licence {licence!r}", SHARD, data)
    for text in ("CC BY-NC 4.0", "all rights reserved", ""):
        data = changed(of, SHARD, lambda row, text=text: row["license_evidence"].update(upstream=text))
        yield Tampering(f"evidence {text!r}", SHARD, data)
    for verdict in ("research-only", "credentialed", "unclear", "Redistributable", None):
        for name in (SHARD, "records.parquet", "attribution.parquet"):
            data = changed(of, name, lambda row, verdict=verdict: row.update(license_verdict=verdict))
            yield Tampering(f"verdict {verdict}", name, data)


def disguises(of: Material) -> Iterator[Tampering]:
    """Write a report and ids in other signs that are read the same."""
    known = secrets(of)
    report, number, film = known["a report"], known["the number of a patient"], known["a film"].rpartition("/")[2]
    texts = {
        "accents": report.replace("e", "é").replace("o", "ö"),
        **{f"U+{ord(sign):04X}": sign.join(report) for sign in "\u034f\u200d\u2062\u2066\ufe0f\u0307"},
        **{f"control {ord(sign)}": report.replace(" ", sign) for sign in "\0\x1f\x85"},
        "escapes of addresses": quote(report),
        "escapes of HTML": "".join(f"&#{ord(sign)};" for sign in report),
        "blanks of HTML": report.replace(" ", "&nbsp;"),
        "escapes of escapes": report.replace(" ", "&amp;nbsp;"),
        "escapes of JSON": "".join(f"\\u{ord(sign):04x}" for sign in report),
        "lines of JSON": report.replace(" ", "\\n"),
        "tags between words": report.replace(" ", "<b> </b>"),
        "tags within words": report.replace("a", "<i>a</i>"),
        "wide digits": "".join(chr(ord(digit) + 0xFEE0) for digit in number),
        "Arabic digits": "".join(chr(ord(digit) + 0x630) for digit in number),
        "a soft hyphen in a number": f"{number[:4]}\u00ad{number[4:]}",
        "a number in HTML": "".join(f"&#{ord(digit)};" for digit in number),
        "a number in an address": "".join(f"%{ord(digit):02x}" for digit in number),
        "a film in other dashes": film.replace("-", "\u2011"),
        "a film in underscores": film.replace("-", "_"),
    }
    for kind, text in texts.items():
        yield Tampering(kind, TEXTS, changed(of, TEXTS, setter("attribution")(text)))


def metadata(of: Material) -> Iterator[Tampering]:
    """Hide texts in an image file."""
    picture = Image.open(io.BytesIO(pq.read_table(of.release / SHARD)["images"][0].as_py()[0]["bytes"])).convert("RGB")
    for secret, text in secrets(of).items():
        packed, wide = PngImagePlugin.PngInfo(), PngImagePlugin.PngInfo()
        packed.add_text("Comment", text, zip=True)
        wide.add_itxt("Comment", text, zip=True)
        exif = Image.Exif()
        exif[0x010E] = text
        files = {
            "a comment": coded(picture, "JPEG", comment=text.encode()),
            "EXIF": coded(picture, "JPEG", exif=exif),
            "a profile": coded(picture, "JPEG", icc_profile=text.encode()),
            "UTF-16 behind the end": coded(picture, "JPEG") + text.encode("utf-16-le"),
            "packed text": coded(picture, "PNG", pnginfo=packed),
            "packed UTF-8 text": coded(picture, "PNG", pnginfo=wide),
        }
        for kind, data in files.items():
            yield Tampering(
                f"{secret} in {kind}", SHARD, changed(of, SHARD, lambda row, d=data: put_image(row, d, "fitting"))
            )


def hidden(of: Material) -> Iterator[Tampering]:
    """Put bytes into a table that none of its rows gives."""
    text = secrets(of)["a report"]
    whole = next((of.release.parents[2] / "restricted" / "mimic_cxr").glob("train-*.parquet")).read_bytes()
    for name in TABLES:
        data, table = (of.release / name).read_bytes(), pq.read_table(of.release / name)
        footer = int.from_bytes(data[-8:-4], "little") + 8
        yield Tampering("a report before the footer", name, data[:-footer] + text.encode() + data[-footer:])
        yield Tampering("a whole shard before the footer", name, data[:-footer] + whole + data[-footer:])
        yield Tampering("a report behind the end", name, data + text.encode())
        noted = table.replace_schema_metadata({**(table.schema.metadata or {}), "note": text})
        yield Tampering("a report in the metadata", name, written(noted, name))
        first = table.schema.field(0).with_metadata({"note": text})
        fields = pa.schema([first, *list(table.schema)[1:]], metadata=table.schema.metadata)
        yield Tampering("a report in a column's metadata", name, written(table.cast(fields), name))
        more = table.append_column("note", pa.array([text] * table.num_rows))
        yield Tampering("a column more", name, written(more, name))
        yield Tampering("other compression", name, written(table, name, version="1.0"))
        yield Tampering("unused dictionary entries", name, _with_unused_entry(table, name, text))
        yield Tampering("no table", name, text.encode())


def _with_unused_entry(table: pa.Table, name: str, text: str) -> bytes:
    """Give a table whose first column has an entry in its dictionary that no row uses."""
    values = table.column(0).combine_chunks()
    entries = pa.concat_arrays([values.unique().cast(pa.string()), pa.array([text])])
    coded_column = pa.DictionaryArray.from_arrays(pa.compute.index_in(values, entries), entries)
    return written(table.set_column(0, table.schema.names[0], coded_column), name)


def pages(of: Material) -> Iterator[Tampering]:
    """Put every third secret into every page, at its end."""
    known = list(secrets(of).items())
    for number, name in enumerate(PAGES):
        data = (of.release / name).read_bytes()
        for secret, text in known[number % 3 :: 3]:
            yield Tampering(secret, name, data + text.encode())
        yield Tampering("a blank", name, data + b" ")
        yield Tampering("an address", name, data.replace(b"https://", b"https://example.org/", 1) + b"\n")


def foreign(of: Material) -> Iterator[Tampering]:
    """Add files that no release has."""
    names = (
        *("pointers/notes.md", "pointers/slake.json", "pointers/iu_xray.html", "pointers/a/b.parquet"),
        *("data/slake/notes.txt", "data/notes.md", "report/more.html", "plots/more.svg", "../README.md", "/README.md"),
        *("plots/more.jpg", "plots/examples.jpeg", "data/examples.jpg"),
        *("restricted/iu_xray/train-00000-of-00001.parquet", "notes.md", "data\\x.md", "datasheets/ward.md"),
    )
    for name in names:
        yield Tampering("a file more", name, b"hello")


def sheets(of: Material) -> Iterator[Tampering]:
    """Hide texts in the contact sheet of the card, or replace it."""
    data = (of.release / SHEET).read_bytes()
    picture = Image.open(io.BytesIO(data))
    for secret, text in secrets(of).items():
        exif = Image.Exif()
        exif[0x010E] = text
        yield Tampering(f"{secret} in a comment", SHEET, coded(picture, "JPEG", comment=text.encode()))
        yield Tampering(f"{secret} in EXIF", SHEET, coded(picture, "JPEG", exif=exif))
        yield Tampering(f"{secret} behind the end", SHEET, data + text.encode("utf-16-le"))
        yield Tampering(f"{secret} alone", SHEET, text.encode())


def unlike(of: Material) -> Iterator[Tampering]:
    """Let parts of a record contradict each other, or leave them out."""
    withheld = of.medqa[0]
    changes: dict[str, Row] = {
        "messages of a withheld record": {"messages": withheld["messages"]},
        "one turn": {"messages": withheld["messages"][:1]},
        "no messages": {"messages": None},
        "an empty option": {"choices": [None]},
        "no id": {"id": None},
        "an id of another source": {"id": "slake/x"},
    }
    for kind, values in changes.items():
        yield Tampering(kind, TEXTS, changed(of, TEXTS, lambda row, values=values: row.update(values)))
    yield Tampering("an empty image", SHARD, changed(of, SHARD, lambda row: row.update(images=[None])))
    yield Tampering("an answer more", SHARD, changed(of, SHARD, lambda row: row["messages"][1]["content"].append(None)))
    for name in ("records.parquet", "attribution.parquet"):
        yield Tampering("an id of no source", name, changed(of, name, lambda row: row.update(id="a name")))
