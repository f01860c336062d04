"""Files to import, and what an import made of them."""

import json
import zipfile
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet

from easytune.data import reading
from easytune.data.progress import silent
from easytune.data.stored import Batch, parse

ROWS = [
    {"instruction": f"问题 {n}?", "input": "", "output": f"Answer {n}\nwith “lines” 🎉"}
    for n in range(7)
]


def write(path: Path, content: str | bytes, encoding: str = "utf-8") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    return path


def lines(rows: list[Any]) -> str:
    return "\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n"


def table(rows: list[dict[str, str]], delimiter: str) -> str:
    cells = [[f'"{value}"' for value in row.values()] for row in rows]
    return "\r\n".join(delimiter.join(line) for line in [list(rows[0]), *cells]) + "\r\n"


def taken(*paths: Path, **options: Any) -> Batch:
    """Return all that importing the files as one dataset gives."""
    [planned] = reading.plan(paths, **options)
    return joined(reading.batches(planned, silent))


def joined(batches: Any) -> Batch:
    whole = Batch()
    for batch in batches:
        before = len(whole)
        whole.texts += batch.texts
        whole.ids += batch.ids
        whole.numbers += batch.numbers
        whole.sources += batch.sources
        whole.problems |= {before + place: found for place, found in batch.problems.items()}
    assert len(whole.texts) == len(whole.ids) == len(whole.numbers) == len(whole.sources)
    return whole


def values(batch: Batch) -> list[Any]:
    return [parse(text) for text in batch.texts]


def codes(batch: Batch) -> dict[int, str]:
    """Return the number of each row that cannot be used, and why."""
    return {batch.numbers[place]: code for place, (code, _) in batch.problems.items()}


def as_parquet(rows: list[dict[str, Any]]) -> bytes:
    sink = pyarrow.BufferOutputStream()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), sink)
    return sink.getvalue().to_pybytes()


def as_sheet(folder: Path, rows: list[list[Any]], blank_first: bool = False) -> bytes:
    """Return an xlsx file with the least of what makes one."""

    def cell(value: Any) -> str:
        if isinstance(value, str):
            text = value.replace("&", "&amp;").replace("<", "&lt;")
            return f'<c t="inlineStr"><is><t xml:space="preserve">{text}</t></is></c>'
        return f"<c><v>{value}</v></c>"

    body = "".join(f"<row>{''.join(map(cell, row))}</row>" for row in rows)
    sheets = ["", body] if blank_first else [body]
    path = folder / "made.xlsx"
    main = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    package = "http://schemas.openxmlformats.org/package/2006"
    numbers = range(1, len(sheets) + 1)
    with zipfile.ZipFile(path, "w") as archive:
        overrides = "".join(
            f'<Override PartName="/xl/worksheets/sheet{n}.xml" ContentType="{kind}.worksheet+xml"/>'
            for n in numbers
        )
        archive.writestr(
            "[Content_Types].xml",
            f'<Types xmlns="{package}/content-types">'
            '<Default Extension="rels" ContentType='
            '"application/vnd.openxmlformats-package.relationships+xml"/>'
            f'<Override PartName="/xl/workbook.xml" ContentType="{kind}.sheet.main+xml"/>'
            f"{overrides}</Types>",
        )
        archive.writestr(
            "_rels/.rels",
            f'<Relationships xmlns="{package}/relationships"><Relationship Id="r1" '
            f'Type="{office}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        )
        named = "".join(f'<sheet name="s{n}" sheetId="{n}" r:id="r{n}"/>' for n in numbers)
        archive.writestr(
            "xl/workbook.xml",
            f'<workbook {main} xmlns:r="{office}"><sheets>{named}</sheets></workbook>',
        )
        related = "".join(
            f'<Relationship Id="r{n}" Type="{office}/worksheet" Target="worksheets/sheet{n}.xml"/>'
            for n in numbers
        )
        archive.writestr(
            "xl/_rels/workbook.xml.rels",
            f'<Relationships xmlns="{package}/relationships">{related}</Relationships>',
        )
        for n, content in zip(numbers, sheets, strict=True):
            archive.writestr(
                f"xl/worksheets/sheet{n}.xml",
                f"<worksheet {main}><sheetData>{content}</sheetData></worksheet>",
            )
    return path.read_bytes()


def zstd(content: bytes) -> bytes:
    return pyarrow.compress(content, codec="zstd", asbytes=True)
