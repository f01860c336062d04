"""What an export will do, found out before it is queued: what must fail, fails at once."""

from dataclasses import dataclass
from pathlib import Path

from easytune import model_files, paths, records, settings, strength
from easytune.errors import EasyTuneError
from easytune.export import ExportConfig
from easytune.export_errors import BaseChanged, BaseQuantized, ExportInvalid, TargetUnavailable
from easytune.export_files import ExportOrder, Source
from easytune.exporters import EXPORTERS, space
from easytune.job import JobFolder
from easytune.services import finding, folders
from easytune.services.catalogue import Catalogue

# What makes no whole weights, so that a quantized base may stay as it is.
_LEAVES_BASE = ("adapter", "hub")


def compose(config: ExportConfig, home: Path, catalogue: Catalogue) -> ExportOrder:
    """Return the order for an export: models found and pinned, paths absolute.

    Raises ModelUnknown, ModelMissing, BaseMissing or AdapterMismatch for a model; BaseChanged when
    the base is not the one that an adapter was trained on, BaseQuantized, ExportInvalid for options
    that do not fit the models, NotEnoughSpace, and what the exporter's `refuse` raises.
    """
    order = found(config, home, catalogue)
    _require(order, home)
    return order


def found(config: ExportConfig, home: Path, catalogue: Catalogue) -> ExportOrder:
    """Return an order whose models are found and fit together. Raises as `compose`."""
    what = config.what
    names = tuple(dict.fromkeys(finding.absolute(name) for name in what.models))
    config = config.changed(what__models=names)
    if what.weights and len(what.weights) != len(names):
        raise ExportInvalid("what.weights", "@export.invalid.weights")
    weights = what.weights or (1.0,) * len(names)
    sources = tuple(
        _source(name, weight, home, catalogue) for name, weight in zip(names, weights, strict=True)
    )
    _check_together(config, sources)
    return ExportOrder(
        config=config, sources=sources, allow_remote_code=settings.allows_remote_code(home)
    )


def _require(order: ExportOrder, home: Path) -> None:
    """Raise what `compose` says of a target and of the disk."""
    target = order.config.what.target
    if target not in EXPORTERS:
        raise TargetUnavailable(f"@export.target.{target}.name", "@export.invalid.no_exporter")
    _check_quantized(order)
    EXPORTERS[target].refuse(order.config.options, order)
    space.require(order, paths.exports(home))


@dataclass(frozen=True)
class Offer:
    """A target, whether the chosen models can be exported so on this machine, and how large."""

    target: str
    problem: EasyTuneError | None
    needs_bytes: int | None
    """Room on the disk that it takes while it is made; None where that is not known."""


def offers(config: ExportConfig, home: Path, catalogue: Catalogue) -> list[Offer]:
    """Return every target there is, each with what stands in its way.

    What is wrong with the models themselves stands in the way of every target.
    """
    problem: EasyTuneError | None = None
    order: ExportOrder | None = None
    try:
        order = found(config, home, catalogue)
    except EasyTuneError as error:
        problem = error
    return [_offer(target, order, problem, home) for target in EXPORTERS]


def _offer(
    target: str, order: ExportOrder | None, problem: EasyTuneError | None, home: Path
) -> Offer:
    if order is None:
        return Offer(target, problem, None)
    asked = order.model_copy(update={"config": order.config.changed(what__target=target)})
    try:
        _require(asked, home)
    except EasyTuneError as error:
        problem = error
    return Offer(target, problem, space.needs_bytes(asked))


def _source(name: str, weight: float, home: Path, catalogue: Catalogue) -> Source:
    found = finding.found(name, catalogue)
    source = Source(
        **found.model_dump(),
        weight=weight,
        base_fingerprint=model_files.fingerprint(Path(found.base_folder)),
        trained_bits=_trained_bits(found.run, home),
    )
    trained_on = (records.read(_base_record(found.run, home)) or {}) if found.run else {}
    known = trained_on.get("fingerprint")
    if source.is_adapter and known and known != source.base_fingerprint:
        raise BaseChanged(model=source.title, base=source.base, folder=source.base_folder)
    return source


def _check_together(config: ExportConfig, sources: tuple[Source, ...]) -> None:
    """Raise what `compose` says for models that cannot be exported so, or not together."""
    first = sources[0]
    if len(sources) > 1 and not all(one.is_adapter for one in sources):
        raise ExportInvalid("what.models", "@export.invalid.not_adapters")
    if any(one.base_fingerprint != first.base_fingerprint for one in sources):
        raise ExportInvalid("what.models", "@export.invalid.other_base")
    if not first.is_adapter and config.what.strength != 1.0:
        raise ExportInvalid("what.strength", "@export.invalid.whole")
    if config.what.strengths and first.is_adapter:
        strength.refuse_without(Path(first.folder))


def _check_quantized(order: ExportOrder) -> None:
    """Raise BaseQuantized where whole weights shall be made of a quantized base."""
    first = order.sources[0]
    content = records.read(Path(first.base_folder) / "config.json") or {}
    quantized = content.get("quantization_config")
    if quantized and first.is_adapter and order.config.what.target not in _LEAVES_BASE:
        method = str(quantized.get("quant_method", "?")) if isinstance(quantized, dict) else "?"
        raise BaseQuantized(model=first.title, base=first.base, method=method)


def _base_record(run: str, home: Path) -> Path:
    return JobFolder(paths.runs(home) / run).base


def _trained_bits(run: str | None, home: Path) -> int | None:
    """Return to how many bits the base was quantized while a run trained; None for not at all."""
    job = folders.job_of(JobFolder(paths.runs(home) / run)) if run else None
    if job is None or job.config.model.method != "qlora":
        return None
    return job.config.memory.quantization_bits
