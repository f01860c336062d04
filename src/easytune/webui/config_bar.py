"""The configuration as a file: save, open, copy, and the command line that runs the same."""

from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from easytune import config_file, job, paths
from easytune.config import TrainConfig
from easytune.config_file import AnyConfig, Loaded, Shell
from easytune.errors import FileMissing
from easytune.evaluation import EvaluateConfig
from easytune.export import ExportConfig
from easytune.i18n import t
from easytune.services.runs import Runs
from easytune.webui.language import label

_BUNDLED = "configs"
_RUN = "run"
SAVE = "(name, text) => window.easytune.saveFile(name, text)"
COPY = "(text) => window.easytune.copyText(text, '{prefix}')"


@dataclass(frozen=True)
class ConfigBar:
    """The components of the bar."""

    save: gr.Button
    copy: gr.Button
    upload: gr.UploadButton
    saved: gr.Dropdown
    notices: gr.HTML
    yaml: gr.Code
    shell: gr.Radio
    command: gr.Code
    file_name: gr.Textbox


def build(saved_choices: list[tuple[str, str]], prefix: str = "train") -> ConfigBar:
    """Build the bar here in the layout; `prefix` begins the ids of its elements."""
    small: dict[str, Any] = {"size": "sm", "min_width": 90, "elem_classes": ["et-outlined"]}
    open_text: Any = label("train.open_file")
    with gr.Row():
        save = gr.Button(label("train.save"), elem_id=f"{prefix}-save", **small)
        copy = gr.Button(label("train.copy_yaml"), elem_id=f"{prefix}-copy", **small)
        upload = gr.UploadButton(open_text, elem_id=f"{prefix}-open", **small)
    saved = gr.Dropdown(
        saved_choices, value=None, label=label(f"{prefix}.open_saved"), interactive=True,
        info=label("train.open_saved_help"), elem_id=f"{prefix}-open-saved",
    )  # fmt: skip
    notices = gr.HTML("", visible=False, elem_id=f"{prefix}-notices", apply_default_css=False)
    yaml = gr.Code("", language="yaml", label="YAML", interactive=False, max_lines=24,
                   elem_id=f"{prefix}-yaml", buttons=[])  # fmt: skip
    shell = gr.Radio(
        [("bash / zsh", "posix"), ("PowerShell", "powershell")], value="posix",
        label=label("train.shell"), info=label("train.shell_help"), elem_id=f"{prefix}-shell",
    )  # fmt: skip
    command = gr.Code(
        "", language="shell", label=label(f"{prefix}.command"), interactive=False, lines=1,
        wrap_lines=True, elem_id=f"{prefix}-command", buttons=["copy"],
    )  # fmt: skip
    file_name = gr.Textbox("", visible=False)
    return ConfigBar(save, copy, upload, saved, notices, yaml, shell, command, file_name)


def choices(runs: Runs) -> list[tuple[str, str]]:
    """Return the configurations that can be opened: the bundled ones, then those of runs."""
    bundled = sorted(
        paths.TRAIN_CONFIGS.glob("*.yaml"), key=lambda file: (file.stem != "demo", file)
    )
    found = [(file.name, f"{_BUNDLED}:{file.name}") for file in bundled]
    return found + [(f"{run.name} · {run.id}", f"{_RUN}:{run.id}") for run in runs.list()]


def open_saved(choice: str, runs: Runs, lang: str) -> Loaded[TrainConfig]:
    """Read the configuration behind one of `choices`. Raises what `config_file` raises."""
    kind, _, name = choice.partition(":")
    if kind == _RUN:
        return Loaded(runs.folder(name).read().config)
    file = paths.TRAIN_CONFIGS / Path(name).name
    if not file.is_file():
        raise FileMissing(path=name)
    return config_file.load_file(file, lang)


def texts(config: AnyConfig, shell: Shell) -> tuple[str, str, str]:
    """Return the YAML, the command line and the file name for a config."""
    match config:
        case TrainConfig():
            called = job.run_name(config)
        case EvaluateConfig():
            called = config.report.name or "evaluation"
        case ExportConfig():
            called = config.result.name or f"export-{config.what.target}"
    name = f"{job.slug(called)}.yaml"
    return config_file.dump(config), config_file.command(config, shell), name


def notices(loaded: Loaded[Any], lang: str) -> str:
    """Return what the reader of a file should know about it, as HTML; empty when all is plain."""
    sentences = loaded.sentences(lang)
    if not sentences:
        return ""
    items = "".join(f"<li>{escape(text)}</li>" for text in sentences)
    title = escape(t("train.notices", lang))
    told = f'<p class="et-fact"><b>{title}</b></p><ul class="et-list">{items}</ul>'
    return f'<div role="status">{told}</div>'
