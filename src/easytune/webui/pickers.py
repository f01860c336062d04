"""What can be picked: base models and datasets that are here, and keeping files people upload."""

import hashlib
import re
import shutil
from collections.abc import Iterable
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Literal

from gradio.i18n import I18nData

from easytune import demo, model_files, paths, quantities
from easytune.config import ModelSection
from easytune.data import files
from easytune.data.stored import Reference
from easytune.data.versions.library import Library
from easytune.data.versions.manifest import VersionFacts
from easytune.dataset_errors import VersionDamaged
from easytune.errors import FileEmpty, FileMissing, FileUnreadable
from easytune.i18n import DEFAULT_LANGUAGE, t
from easytune.webui.language import label

DATA_ENDINGS = (".json", ".jsonl", ".csv", ".tsv", ".parquet", ".txt", ".md")
Choice = tuple[str | I18nData, str]


def models(home: Path) -> list[Choice]:
    """Return the models to choose from: the demo, the home's own, and the hub's local cache."""
    own = [folder.name for folder in _folders(paths.models(home)) if _is_model(folder)]
    found: list[Choice] = [(label("form.choice.demo_model"), "demo")]
    return found + [(name, name) for name in [*own, *_hub_cache()]]


def datasets(home: Path, lang: str = DEFAULT_LANGUAGE, chosen: Iterable[str] = ()) -> list[Choice]:
    """Return the datasets to choose from: the home's own, the demo ones, the files in its `data`.

    A dataset's name means its current version; those of `chosen` that are particular versions, as
    the config of a run has them, can be chosen too.
    """
    bundled: list[Choice] = [
        (label(f"form.choice.demo.{name}"), f"demo/{name}") for name in demo.DATASETS
    ]
    own = [(file.name, str(file)) for file in _files(uploads(home)) if _is_data(file)]
    return [*stored(home, lang, chosen), *bundled, *own]


def stored(home: Path, lang: str, chosen: Iterable[str] = ()) -> list[Choice]:
    """Return the datasets of the home, and the versions of them that are `chosen`."""
    library = Library(home)
    try:
        known = {one.id: one for one in library.list()}
    except VersionDamaged:
        # The Data tab says so; everything else can still be chosen.
        return []
    found: list[Choice] = [
        (_with_rows(one.title, one.current, lang), str(Reference(one.id))) for one in known.values()
    ]
    for name in dict.fromkeys(chosen):
        reference = Reference.parse(name)
        if reference and reference.number and reference.id in known:
            values = {"title": known[reference.id].title, "number": reference.number}
            found.append((t("run_data.version", lang, **values), name))
    return found


def general(home: Path, lang: str, kind: Literal["replay", "probe"], chosen: str) -> list[Choice]:
    """Return where general rows can come from: the bundled ones, a dataset or a file of the home.

    `chosen` may be a particular version of a dataset, which can then be chosen too.
    """
    bundled: Choice = (label(f"form.choice.demo.{kind}"), f"demo/{kind}")
    own = [(file.name, str(file)) for file in _files(uploads(home)) if _is_data(file)]
    return [bundled, *stored(home, lang, [chosen]), *own]


def uploads(home: Path) -> Path:
    """Return the folder that keeps uploaded data files."""
    return home / "data"


def keep(upload: Path, home: Path) -> Path:
    """Copy an uploaded file into the home's `data` and return where it lies.

    The name is made safe; a file of the same name with other content gets a number, the same
    content again is kept once. Raises FileMissing when the upload is gone.
    """
    if not upload.is_file():
        raise FileMissing(path=upload.name)
    folder = uploads(home)
    folder.mkdir(parents=True, exist_ok=True)
    target = _free(folder, safe_name(upload.name), upload)
    if not target.exists():
        draft = target.with_name(f".{target.name}.part")
        shutil.copyfile(upload, draft)
        draft.rename(target)
    return target


def accept(upload: Path, home: Path) -> Path:
    """Keep an uploaded file that can be read as rows, and return where it lies.

    Raises FileEmpty or FileUnreadable, and keeps nothing then.
    """
    try:
        table = files.read(upload, upload.name)
    except (FileEmpty, FileUnreadable) as error:
        # The browser's copy has a path that means nothing to anybody.
        raise replace(error, path=upload.name) from error
    if not table.rows:
        raise FileEmpty(path=upload.name)
    return keep(upload, home)


def safe_name(name: str) -> str:
    """Return a file name without folders, leading dots or characters that shells or disks mind."""
    cleaned = re.sub(r"[^\w. ()-]+", "_", name.replace("\\", "/").rpartition("/")[2]).strip(" .")
    stem, dot, ending = cleaned.rpartition(".")
    return f"{stem[:80]}{dot}{ending[:10]}" if stem else (cleaned[:80] or "data")


def facts(model: ModelSection, home: Path, lang: str) -> str:
    """Return a line of HTML on the chosen model. Raises the errors of `model_files`."""
    folder = model_files.resolve(model, home)
    if folder is None:
        return _line(t("train.model.not_here", lang, model=model.base_model))
    model_files.check(folder, model.allow_pickle)
    known = model_files.describe(folder)
    parts = [known.architecture.removesuffix("ForCausalLM"), quantities.size(known.size_gb * 1e9)]
    if known.parameters:
        parts.insert(1, t("train.model.parameters", lang, count=count(known.parameters)))
    if known.context_length:
        parts.append(t("train.model.context", lang, tokens=f"{known.context_length:,}"))
    return _line(" · ".join(parts))


def linear_modules(model: ModelSection, home: Path) -> list[str]:
    """Return the names a LoRA can target in the chosen model; none when it is not here yet."""
    folder = model_files.resolve(model, home)
    return [] if folder is None else model_files.linear_modules(folder)


def count(number: int) -> str:
    """Return a number of parameters the way people say it: 2.1 M, 7.6 B."""
    for unit, size in (("B", 10**9), ("M", 10**6), ("K", 10**3)):
        if number >= size:
            return f"{number / size:.3g} {unit}"
    return str(number)


def problem(text: str) -> str:
    """Return a line of HTML that says what is wrong."""
    return f'<p class="et-fact et-bad" role="alert">{escape(text)}</p>'


def _with_rows(title: str, version: VersionFacts, lang: str) -> str:
    return f"{title} · {t('run_data.rows', lang, rows=f'{version.rows:,}')}"


def _is_data(file: Path) -> bool:
    return file.suffix in DATA_ENDINGS


def _line(text: str) -> str:
    return f'<p class="et-fact">{escape(text)}</p>'


def _free(folder: Path, name: str, upload: Path) -> Path:
    wanted = folder / name
    digest = _digest(upload)
    for number in range(1, 1000):
        target = wanted if number == 1 else folder / f"{wanted.stem}-{number}{wanted.suffix}"
        if not target.exists() or _digest(target) == digest:
            return target
    raise FileExistsError(wanted)


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _hub_cache() -> list[str]:
    """Return the ids of hub models whose files are in the local cache."""
    from huggingface_hub import constants

    found = _folders(Path(constants.HF_HUB_CACHE))
    return [
        folder.name.removeprefix("models--").replace("--", "/")
        for folder in found
        if folder.name.startswith("models--") and any(folder.glob("snapshots/*/config.json"))
    ]


def _is_model(folder: Path) -> bool:
    return (folder / "config.json").is_file()


def _folders(parent: Path) -> list[Path]:
    return sorted(path for path in parent.iterdir() if path.is_dir()) if parent.is_dir() else []


def _files(parent: Path) -> list[Path]:
    if not parent.is_dir():
        return []
    return sorted(path for path in parent.iterdir() if path.is_file() and path.name[0] != ".")
