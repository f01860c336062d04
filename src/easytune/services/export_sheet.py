"""An export's certificate in words, for pages and terminals: verdict, figures, files, uses."""

from collections.abc import Iterator
from dataclasses import dataclass

from easytune import quantities
from easytune.export_files import Certificate, Departure, Parity
from easytune.i18n import t
from easytune.services.export_story import ExportStory
from easytune.services.export_uses import Use, uses
from easytune.services.report_table import Table

_WHOLE_FROM = 1000
"""From here on a perplexity is told without decimals, and not as a power of ten."""


@dataclass(frozen=True)
class Sheet:
    """What a certificate says."""

    verdict: str
    passed: bool
    sentences: tuple[str, ...]
    departures: tuple[str, ...]
    """Why it did not pass, where it departs from the trained model, and what helps."""
    figures: Table
    """By runtime: figure, limit, whether it is held."""
    files: Table
    """Path, size, SHA-256."""
    uses: tuple[Use, ...]
    """Commands to use it; none where it was not kept."""


def sheet(story: ExportStory, lang: str) -> Sheet | None:
    """Return what the certificate of an export says; None before there is one."""
    certificate = story.certificate
    if certificate is None:
        return None
    return Sheet(
        verdict=t(f"export.verdict.{_verdict(certificate)}", lang),
        passed=certificate.passed,
        sentences=tuple(_sentences(certificate, lang)),
        departures=tuple(_departures(certificate, lang)),
        figures=_figures(certificate, lang),
        files=_files(certificate, lang),
        uses=tuple(uses(certificate, story.folder.artefact, lang)) if story.is_model else (),
    )


def so_far(story: ExportStory, lang: str) -> str:
    """Return what is done of a phase that counts, and how fast: bytes, or what is compared."""
    amount = quantities.size if story.counts_bytes else str
    parts = [t("export.so_far", lang, done=amount(story.done), total=amount(story.total))]
    if story.bytes_per_second and story.done < story.total:
        parts.append(t("export.pace", lang, pace=quantities.size(story.bytes_per_second)))
    return " · ".join(parts)


def _verdict(certificate: Certificate) -> str:
    if not certificate.passed:
        return "failed"
    return "passed" if certificate.parity else "copied"


def _sentences(certificate: Certificate, lang: str) -> Iterator[str]:
    if (sent := certificate.published) is not None:
        who = t(f"export.sent.{'private' if sent.private else 'public'}", lang)
        yield t("export.sent.said", lang, url=sent.url, files=sent.files, who=who)
    for one in certificate.parity:
        yield t("export.sentence.ran", lang, runtime=one.runtime, version=one.version)
        if one.same_answers is not None:
            values = {"same": one.same_answers, "prompts": one.prompts}
            yield t("export.sentence.answers", lang, **values)
        greedy = _percent(one.greedy_agreement)
        yield t("export.sentence.greedy", lang, prompts=one.prompts, greedy=greedy)
        if one.top1 is not None:
            values = {"tokens": f"{one.tokens:,}", "top1": _percent(one.top1)}
            yield t("export.sentence.top1", lang, **values)
        if one.learned is not None:
            yield t("export.sentence.learned", lang, learned=_percent(one.learned))
    if certificate.files:
        size = quantities.size(sum(one.bytes for one in certificate.files))
        values = {"files": len(certificate.files), "size": size}
        yield t("export.sentence.files", lang, format=certificate.number_format, **values)
    if certificate.continues:
        how = "kept" if certificate.kept else "again"
        yield t(f"export.sentence.continued.{how}", lang, files=len(certificate.kept))


def _departures(certificate: Certificate, lang: str) -> Iterator[str]:
    for one in certificate.parity:
        if not one.passed:
            yield t("export.sentence.reason", lang, reason=t(f"export.parity.{one.reason}", lang))
            if one.departure is not None:
                yield _departure(one.departure, one.runtime, lang)
            if one.advice:
                yield t(f"export.advice.{one.advice}", lang)


def _departure(found: Departure, runtime: str, lang: str) -> str:
    return t(
        "export.sentence.departs",
        lang,
        runtime=runtime,
        prompt=found.prompt + 1,
        position=found.position + 1,
        text=found.text,
        expected=found.expected,
        got=found.got,
    )


def _figures(certificate: Certificate, lang: str) -> Table:
    head = ("figure", "value", "limit", "held")
    rows = tuple(row for one in certificate.parity for row in _rows(one, lang))
    names = tuple(t(f"export.column.{name}", lang) for name in head)
    return Table(t("export.table.figures", lang), names, rows)


def _rows(one: Parity, lang: str) -> Iterator[tuple[str, ...]]:
    """Yield the figures that this runtime could give, each with its limit."""
    limits, trained, exported = one.limits, one.perplexity_trained, one.perplexity_exported
    logit, learned = one.largest_logit_difference, one.learned
    drift = abs(exported / trained - 1) if exported is not None and trained else 0.0
    found = (
        ("kl", one.kl, _small(one.kl), _most(limits.kl), (one.kl or 0) <= limits.kl),
        ("greedy", one.greedy_agreement, _percent(one.greedy_agreement),
         f"≥ {_percent(limits.greedy)}", one.greedy_agreement >= limits.greedy),
        ("learned", learned, _percent(learned or 0), f"100% ± {_percent(limits.learned)}",
         abs((learned or 0) - 1) <= limits.learned),
        ("logit", logit, _small(logit), "–" if limits.logit is None else _most(limits.logit),
         limits.logit is None or (logit or 0) <= limits.logit),
        ("perplexity", exported, f"{_plain(exported)} / {_plain(trained)}",
         f"± {_percent(limits.perplexity)}", drift <= limits.perplexity),
    )  # fmt: skip
    for name, figure, value, limit, is_held in found:
        if figure is not None:
            held = t(f"export.held.{'yes' if is_held else 'no'}", lang)
            yield t(f"export.figure.{name}", lang, runtime=one.runtime), value, limit, held


def _files(certificate: Certificate, lang: str) -> Table:
    names = tuple(t(f"export.column.{name}", lang) for name in ("file", "size", "sha256"))
    rows = tuple((f.path, quantities.size(f.bytes), f.sha256) for f in certificate.files)
    return Table(t("export.table.files", lang), names, rows)


def _percent(share: float) -> str:
    # Never 100% for what is not all of it.
    shown = min(share * 100, 99.99) if share < 1 else share * 100
    return f"{shown:.2f}".rstrip("0").rstrip(".") + "%"


def _small(value: float | None) -> str:
    return f"{value or 0.0:.2g}"


def _plain(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= _WHOLE_FROM else f"{value:.4g}"


def _most(value: float) -> str:
    return f"≤ {_small(value)}"
