"""Which language a visitor or a program is answered in."""

from starlette.requests import HTTPConnection

from easytune import i18n

COOKIE = "et_lang"


def preferred(connection: HTTPConnection, default: str = i18n.DEFAULT_LANGUAGE) -> str:
    """Return the language: as chosen in the app, else as the browser asks, else the default."""
    asked = connection.headers.get("accept-language", "").split(",")
    wanted = [connection.cookies.get(COOKIE, ""), *(part.strip()[:2].lower() for part in asked)]
    return next((lang for lang in wanted if lang in i18n.languages()), default)
