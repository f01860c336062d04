"""How a version of a dataset came to be, in words."""

from easytune.data.versions.manifest import VersionFacts
from easytune.i18n import t

_TEXTS = "dataset_work.versions.origin"
_FILES_NAMED = 3


def origin(version: VersionFacts, lang: str) -> str:
    """Return in one sentence how a version came to be."""
    made = version.origin
    match made.kind:
        case "imported":
            files = ", ".join(file.name for file in made.files[:_FILES_NAMED])
            others = len(made.files) - _FILES_NAMED
            more = f" +{others}" if others > 0 else ""
            return t(f"{_TEXTS}.{made.mode}", lang, files=f"{files}{more}")
        case "edited":
            counts = {"replaced": made.replaced, "dropped": made.dropped, "added": made.added}
            said = [t(f"{_TEXTS}.{name}", lang, rows=f"{n:,}") for name, n in counts.items() if n]
            return t(f"{_TEXTS}.edited", lang, changes=", ".join(said))
        case "pipeline":
            names = (t(f"steps.name.{name}", lang) for step in made.steps for name in step)
            return t(f"{_TEXTS}.pipeline", lang, steps=" → ".join(names), of=made.of)
        case "rollback":
            return t(f"{_TEXTS}.rollback", lang, number=made.to)
        case "collected":
            return t(f"{_TEXTS}.from_{made.source}", lang, rows=f"{made.count:,}")
        case "mixed":
            return t(f"{_TEXTS}.mixed", lang, of=", ".join(made.of))
