"""Sizes, spans and moments the way people say them, for pages and terminals alike."""

from datetime import datetime

from easytune.i18n import t

_DAYS_FROM = 48 * 3600
_UNITS = ("B", "kB", "MB", "GB", "TB")


def size(count: float) -> str:
    """Return a number of bytes with its unit: `820 B`, `7.1 kB`, `20 MB`, `15.2 GB`."""
    power = 0
    while count >= 1000 and power < len(_UNITS) - 1:
        count, power = count / 1000, power + 1
    digits = 1 if power > 2 or (power and count < 10) else 0
    return f"{count:.{digits}f} {_UNITS[power]}"


def duration(seconds: float, lang: str) -> str:
    """Return a time span in words: `45 s`, `3 min 10 s`, `2 h 5 min`, `3 d 4 h`."""
    whole = max(0, round(seconds))
    if whole < 60:
        return t("monitor.seconds", lang, seconds=whole)
    if whole < 3600:
        return t("monitor.minutes", lang, minutes=whole // 60, seconds=whole % 60)
    if whole < _DAYS_FROM:
        return t("monitor.hours", lang, hours=whole // 3600, minutes=whole % 3600 // 60)
    return t("monitor.days", lang, days=whole // 86400, hours=whole % 86400 // 3600)


def pace(tokens_per_second: float) -> str:
    """Return tokens a second, the slow ones with a decimal: `2,189`, `4.2`, `0.3`."""
    digits = 0 if tokens_per_second >= 10 else 1
    return f"{max(tokens_per_second, 0.1):,.{digits}f}"


def minute(moment: datetime) -> str:
    """Return a moment of this machine's clock, to the minute."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M")
