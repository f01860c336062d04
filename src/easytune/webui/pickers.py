"""What can be picked: base models and datasets that are here, and keeping files people upload."""

import hashlib
import re
import shutil
from dataclasses import replace
from html import escape
from pathlib import Path

from gradio.i18n import I18nData

from easytune import demo, model_files, paths
from easytune.config import ModelSection
from easytune.data import files
from easytune.errors import FileEmpty, FileMissing, FileUnreadable
from easytune.i18n import t
from easytune.webui.language import label

DATA_ENDINGS = (".json", ".jsonl", ".csv", ".tsv", ".parquet", ".txt", ".md")
Choice = tuple[str | I18nData, str]


def models(home: Path) -> list[Choice]:
    """Return the models to choose from: the demo, the home's own, and the hub's local cache."""
    own = [folder.name for folder in _folders(paths.models(home)) if _is_model(folder)]
    found: list[Choice] = [(label("form.choice.demo_model"), "demo")]
    return found + [(name, name) for name in [*own, *_hub_cache()]]


def datasets(home: Path) -> list[Choice]:
    """Return the datasets to choose from: the demo ones, and the files in the home's `data`."""
    bundled: list[Choice] = [
        (label(f"form.choice.demo.{name}"), f"demo/{name}") for name in demo.DATASETS
    ]
    own = _files(uploads(home))
    return bundled + [(file.name, str(file)) for file in own if file.suffix in DATA_ENDINGS]


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
    parts = [known.architecture.removesuffix("ForCausalLM"), size(known.size_gb)]
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


def size(gigabytes: float) -> str:
    """Return a size on disk with its unit."""
    if gigabytes >= 1:
        return f"{gigabytes:.1f} GB"
    return f"{gigabytes * 1e3:.0f} MB" if gigabytes >= 1e-3 else f"{gigabytes * 1e6:.0f} KB"


def problem(text: str) -> str:
    """Return a line of HTML that says what is wrong."""
    return f'<p class="et-fact et-bad" role="alert">{escape(text)}</p>'


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
