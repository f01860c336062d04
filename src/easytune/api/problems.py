"""What goes wrong with a call, in the shape OpenAI's clients understand.

`{"error": {"message": …, "type": …, "param": …, "code": …}}`, with a status that fits.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse

from easytune import i18n, validation
from easytune.api.languages import preferred
from easytune.errors import EasyTuneError
from easytune.i18n import t

# OpenAI's client sends a call again after these, unless told that it would be in vain.
NOT_AGAIN = {"x-should-retry": "false"}
MISSING = frozenset(
    {
        "check_missing",
        "comparison_missing",
        "conversation_missing",
        "dataset_unknown",
        "entry_missing",
        "deployment_missing",
        "evaluation_missing",
        "checkpoint_missing",
        "no_current_version",
        "no_earlier_version",
        "trash_missing",
        "export_file_missing",
        "export_missing",
        "inspection_missing",
        "message_missing",
        "model_missing",
        "model_unknown",
        "row_unknown",
        "run_missing",
        "task_unknown",
        "version_unknown",
    }
)
BUSY = frozenset(
    {
        "batch_runs",
        "check_active",
        "checkpoints_move",
        "conversation_busy",
        "dataset_busy",
        "deployment_active",
        "deployment_not_healthy",
        "entry_changed",
        "entry_in_use",
        "entry_needed",
        "evaluation_active",
        "evaluation_unfinished",
        "export_active",
        "export_name_taken",
        "export_unfinished",
        "import_changed",
        "import_decided",
        "import_refused",
        "import_warned",
        "inspection_active",
        "machine_busy",
        "nothing_changed",
        "port_taken",
        "trash_place_taken",
    }
)
UNAVAILABLE = frozenset(
    {
        "memory_short",
        "host_out_of_memory",
        "host_crashed",
        "host_killed",
        "database_unusable",
        "folder_unwritable",
        "not_enough_space",
        "storage_full",
    }
)
BROKEN = frozenset(
    {"unexpected", "template_too_slow", "conversation_unrenderable", "version_damaged"}
)
# Our options under the names that clients use.
OPENAI_NAMES = {"max_new_tokens": "max_tokens"}
# What programs written for OpenAI look for.
CODES = {"model_unknown": "model_not_found", "prompt_too_long": "context_length_exceeded"}
PARAMS = {"model_unknown": "model", "prompt_too_long": "messages", "prompt_empty": "messages"}


class ErrorContent(BaseModel):
    """What went wrong."""

    message: str
    type: Literal["invalid_request_error", "server_error"]
    param: str | None
    code: str | None


class ErrorReply(BaseModel):
    """The reply to a call that cannot be answered."""

    error: ErrorContent


@dataclass(eq=False)
class ApiProblem(Exception):
    """A call that cannot be answered: `text` is a key of the locales, filled with `values`."""

    text: str
    status: int = 400
    code: str | None = None
    param: str | None = None
    values: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)

    def content(self, lang: str) -> dict[str, Any]:
        """Return the body of the answer, in a language."""
        return {
            "error": {
                "message": t(self.text, lang, **self.values),
                "type": "server_error" if self.status >= 500 else "invalid_request_error",
                "param": self.param,
                "code": self.code,
            }
        }


def known(code: str, values: dict[str, Any]) -> ApiProblem:
    """Return the problem for an error of ours: its code, and its facts."""
    status = 400
    if code in MISSING:
        status = 404
    elif code in BUSY:
        status = 409
    elif code in UNAVAILABLE:
        status = 503
    elif code in BROKEN or not i18n.has(f"error.{code}"):
        status = 500
    return ApiProblem(
        f"error.{code}",
        status,
        CODES.get(code, code),
        PARAMS.get(code),
        values,
        NOT_AGAIN if status >= 500 else {},
    )


def of_error(error: EasyTuneError) -> ApiProblem:
    """Return the problem for an error that a service raised."""
    return known(error.code(), error.values)


def invalid(errors: Sequence[Any], lang: str = "en") -> ApiProblem:
    """Return the problem for the first broken rule that pydantic reports."""
    first = errors[0]
    parts = [str(part) for part in first["loc"] if part not in ("body", "query", "path")]
    param = ".".join(OPENAI_NAMES.get(part, part) for part in parts) or None
    if first["type"] == "json_invalid":
        reason = first.get("ctx", {}).get("error", first["msg"])
        return ApiProblem("api.problem.not_json", values={"reason": reason})
    if first["type"] == "not_unicode":
        return ApiProblem("api.problem.not_unicode")
    if param is None:
        return ApiProblem("api.problem.not_an_object")
    if first["type"] == "missing":
        return ApiProblem("api.problem.missing", param=param, values={"name": param})
    text = validation.sentence(first | {"loc": ()}, lang)
    return ApiProblem("api.problem.invalid", param=param, values={"name": param, "text": text})


def answer(request: HTTPConnection, problem: ApiProblem) -> JSONResponse:
    """Return the response for a problem."""
    content = problem.content(preferred(request))
    return JSONResponse(content, problem.status, headers=problem.headers)


async def on_problem(request: Request, error: Exception) -> JSONResponse:
    """Answer an `ApiProblem`, an `EasyTuneError`, or what FastAPI itself refuses."""
    match error:
        case ApiProblem():
            return answer(request, error)
        case EasyTuneError():
            return answer(request, of_error(error))
        case RequestValidationError():
            return answer(request, invalid(error.errors(), preferred(request)))
        case HTTPException():
            return answer(request, _of_http(error, request))
        case _:
            # Starlette logs the traceback after this answer.
            reason = type(error).__name__
            return answer(
                request,
                ApiProblem("api.problem.unexpected", 500, "unexpected", values={"reason": reason}),
            )


def _of_http(error: HTTPException, request: Request) -> ApiProblem:
    values = {"method": request.method, "path": request.url.path}
    match error.status_code:
        case 404:
            return ApiProblem("api.problem.unknown_path", 404, "unknown_url", values=values)
        case 405:
            return ApiProblem("api.problem.wrong_method", 405, "unknown_url", values=values)
        case 413:
            return ApiProblem("api.problem.too_large", 413, "request_too_large")
        case status:
            return ApiProblem(
                "api.problem.unreadable", status, values={"reason": str(error.detail)}
            )
