"""Problems of exporting a model. See `easytune.errors`."""

from dataclasses import dataclass

from easytune.errors import EasyTuneError


@dataclass(eq=False)
class ExportInvalid(EasyTuneError):
    """An export was asked for something that cannot be; `reason` is for `i18n.t`."""

    option: str
    reason: str


@dataclass(eq=False)
class ExportMissing(EasyTuneError):
    """There is no export of that name."""

    export: str


@dataclass(eq=False)
class ExportActive(EasyTuneError):
    """The export goes on: it can be neither deleted nor resumed before it has ended."""

    export: str


@dataclass(eq=False)
class ExportUnfinished(EasyTuneError):
    """The export has no certificate: it still goes on, or ended before anything was checked."""

    export: str


@dataclass(eq=False)
class ExportInterrupted(EasyTuneError):
    """An export was ended from outside before it was done."""


@dataclass(eq=False)
class ExportNameTaken(EasyTuneError):
    """Another export has that name already."""

    name: str


@dataclass(eq=False)
class ExportFileMissing(EasyTuneError):
    """An export has no file of that name."""

    export: str
    file: str


@dataclass(eq=False)
class NotEnoughSpace(EasyTuneError):
    """The disk has less room than an export and its temporary files take."""

    have_gb: float
    need_gb: float
    folder: str


@dataclass(eq=False)
class BaseChanged(EasyTuneError):
    """The base model is not the one any more that the adapter was trained on."""

    model: str
    base: str
    folder: str


@dataclass(eq=False)
class BaseQuantized(EasyTuneError):
    """The base model's own weights are quantized, so nothing can be merged into them."""

    model: str
    base: str
    method: str


@dataclass(eq=False)
class SourceChanged(EasyTuneError):
    """A model is no longer the one that was there when its export was asked for."""

    model: str


@dataclass(eq=False)
class NoAdapter(EasyTuneError):
    """Only an adapter can be exported as one, and this is a whole model."""

    model: str


@dataclass(eq=False)
class TargetUnavailable(EasyTuneError):
    """A target does not work on this machine; `target` and `reason` are for `i18n.t`."""

    target: str
    reason: str


@dataclass(eq=False)
class ArchitectureUnsupported(EasyTuneError):
    """A format cannot hold a model of this architecture; `reason` is for `i18n.t`."""

    format: str
    architecture: str
    reason: str


@dataclass(eq=False)
class ExportUnloadable(EasyTuneError):
    """The runtime of a format does not load what was written for it."""

    runtime: str
    reason: str


@dataclass(eq=False)
class ParityFailed(EasyTuneError):
    """What was exported, loaded again, is not the model that was trained."""

    runtime: str
    reason: str
    advice: str
    """Like `reason` for `i18n.t`."""


@dataclass(eq=False)
class MergeUnsupported(EasyTuneError):
    """An adapter changes what cannot be merged tensor by tensor; `reason` is for `i18n.t`."""

    adapter: str
    reason: str


@dataclass(eq=False)
class MergeNotFinite(EasyTuneError):
    """A merged tensor has numbers that are NaN or infinite."""

    tensor: str


# --- GGUF and Ollama --------------------------------------------------------


@dataclass(eq=False)
class GgufArchitectureUnknown(EasyTuneError):
    """Our GGUF writer does not hold this kind of model."""

    architecture: str
    known: str


@dataclass(eq=False)
class GgufSettingUnsupported(EasyTuneError):
    """A model of a kind that llama.cpp holds has a setting that it does not have."""

    architecture: str
    setting: str
    value: str


@dataclass(eq=False)
class GgufTensorUnknown(EasyTuneError):
    """llama.cpp has no place for a tensor of the model."""

    architecture: str
    tensor: str


@dataclass(eq=False)
class GgufTokenizerUnsupported(EasyTuneError):
    """llama.cpp has no tokenizer of this kind that gives the same tokens."""

    kind: str


@dataclass(eq=False)
class GgufTokenizerTooLarge(EasyTuneError):
    """The tokenizer has more tokens than the model has embeddings."""

    tokens: int
    rows: int


@dataclass(eq=False)
class GgufTokenizerDiffers(EasyTuneError):
    """The written tokenizer gives other tokens than the model's own."""

    text: str
    expected: str
    got: str


@dataclass(eq=False)
class GgufPreTokenizerUnknown(EasyTuneError):
    """llama.cpp has no name for how a tokenizer cuts text before it looks for tokens."""

    pattern: str


@dataclass(eq=False)
class GgufValuesTooLarge(EasyTuneError):
    """A weight does not fit the number format."""

    tensor: str
    value: str
    format: str


@dataclass(eq=False)
class GgufConverterMissing(EasyTuneError):
    """The llama.cpp folder of the settings has no converter."""

    folder: str


@dataclass(eq=False)
class GgufToolFailed(EasyTuneError):
    """A program of llama.cpp did not do its work; `reason` is the last of what it said."""

    tool: str
    reason: str


@dataclass(eq=False)
class OllamaTemplateUntranslatable(EasyTuneError):
    """A chat template does more than a template of Ollama's can be made to do."""

    template: str
