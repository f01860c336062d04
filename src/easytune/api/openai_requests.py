"""What OpenAI's clients ask, as questions of ours.

Fields we do not know are ignored. Fields we know and cannot honour are refused when they would
change the answer: an answer that silently is not what was asked for helps nobody.
"""

from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from easytune.api.bodies import Body
from easytune.api.problems import ApiProblem, invalid
from easytune.generation import SamplingSection
from easytune.services.chat import Question
from easytune.wire import Turn

MOST_CHOICES = 8
SEEDS = 2**32
SMALLEST_TOP_P = 1e-6
COMPLETION_TOKENS = 16
"""What OpenAI's own `/v1/completions` answers when no length is given."""
WHOLE_CONTEXT = 131_072
"""More than is left of any context: chat has no limit of its own, here as at OpenAI."""

# The values of fields we cannot honour that change nothing.
NEUTRAL: dict[str, tuple[Any, ...]] = {
    "audio": (None,),
    "best_of": (None,),
    "frequency_penalty": (None, 0),
    "function_call": (None, "none", "auto"),
    "functions": (None, []),
    "logit_bias": (None, {}),
    "modalities": (None, [], ["text"]),
    "presence_penalty": (None, 0),
    "response_format": (None, {"type": "text"}),
    "suffix": (None, ""),
    "tool_choice": (None, "none", "auto"),
    "tools": (None, []),
    "verbosity": (None, "medium"),
    "web_search_options": (None,),
}
ROLES: dict[str, Literal["system", "user", "assistant"]] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
}
MESSAGE_NEUTRAL: dict[str, tuple[Any, ...]] = {
    "audio": (None,),
    "function_call": (None,),
    "refusal": (None, ""),
    "tool_calls": (None, []),
}


class _Given(BaseModel):
    # Unknown fields are kept so that the ones we cannot honour can be told.
    model_config = ConfigDict(extra="allow", frozen=True)


class TextPart(_Given):
    """One part of a message's content."""

    type: str
    text: str | None = None


class ChatMessage(_Given):
    """One message of the conversation."""

    role: str
    content: str | list[TextPart] | None = None

    def turn(self, place: str) -> Turn:
        """Return the message as we keep it; `place` names it in problems. Raises ApiProblem."""
        if self.role not in ROLES:
            raise _refused(f"{place}.role", "api.problem.role", role=self.role)
        _refuse_unsupported(self.model_extra or {}, MESSAGE_NEUTRAL, f"{place}.")
        return Turn(role=ROLES[self.role], content=self._text(place))

    def _text(self, place: str) -> str:
        if not isinstance(self.content, list):
            return self.content or ""
        for part in self.content:
            if part.type != "text" or part.text is None:
                raise _refused(f"{place}.content", "api.problem.part", kind=part.type)
        return "\n".join(part.text or "" for part in self.content)


class StreamOptions(_Given):
    """What a stream also tells."""

    include_usage: bool = False


class TemplateOptions(_Given):
    """What the model's chat template is told."""

    enable_thinking: bool | None = None


class _Asked(Body, _Given):
    """What both ways to ask have in common. Without a value the model's own default counts."""

    model: Annotated[str, Field(min_length=1)]
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    repetition_penalty: float | None = None
    max_tokens: int | None = None
    n: Annotated[int, Field(ge=1, le=MOST_CHOICES)] | None = None
    stop: str | list[str] | None = None
    seed: int | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None

    @property
    def choices(self) -> int:
        """Return how many answers are wanted to each prompt."""
        return self.n or 1

    @property
    def wants_usage(self) -> bool:
        """Tell whether a stream ends with token counts."""
        return self.stream_options is not None and self.stream_options.include_usage

    def _sampling(self, defaults: SamplingSection, given: dict[str, Any]) -> SamplingSection:
        for name in ("temperature", "top_k", "min_p", "repetition_penalty"):
            given[name] = getattr(self, name)
        if self.top_p is not None:
            # OpenAI allows zero: the likeliest token only.
            given["top_p"] = SMALLEST_TOP_P if self.top_p == 0 else self.top_p
        if self.stop is not None:
            texts = [self.stop] if isinstance(self.stop, str) else self.stop
            given["stop"] = tuple(text for text in texts if text)
        if self.seed is not None:
            given["seed"] = self.seed % SEEDS
        return over(defaults, {n: value for n, value in given.items() if value is not None})

    def _copies(self, question: Question) -> list[Question]:
        return [_with_seed(question, number) for number in range(self.choices)]


class ChatRequest(_Asked):
    """`POST /v1/chat/completions`."""

    messages: Annotated[list[ChatMessage], Field(min_length=1)]
    max_completion_tokens: int | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    chat_template_kwargs: TemplateOptions | None = None
    reasoning_effort: str | None = None
    continue_final_message: bool = False

    def questions(self, defaults: SamplingSection) -> list[Question]:
        """Return one question per choice. Raises ApiProblem for what cannot be honoured."""
        _refuse_unsupported(self.model_extra or {}, NEUTRAL)
        if self.top_logprobs is not None and not self.logprobs:
            raise _refused("top_logprobs", "api.problem.needs_logprobs")
        given = {"max_new_tokens": self._longest(), "thinking": self._thinking()}
        turns = tuple(m.turn(f"messages.{place}") for place, m in enumerate(self.messages))
        question = Question(
            model=self.model,
            messages=turns,
            continued=self.continue_final_message,
            sampling=self._sampling(defaults, given),
            logprobs=(self.top_logprobs or 0) if self.logprobs else None,
        )
        return self._copies(question)

    def _longest(self) -> int:
        asked = (self.max_completion_tokens, self.max_tokens)
        return next((tokens for tokens in asked if tokens is not None), WHOLE_CONTEXT)

    def _thinking(self) -> Literal["on", "off"] | None:
        options = self.chat_template_kwargs
        if options is not None:
            extra = options.model_extra or {}
            _refuse_unsupported(extra, dict.fromkeys(extra, (None,)), "chat_template_kwargs.")
            if options.enable_thinking is not None:
                return "on" if options.enable_thinking else "off"
        return "off" if self.reasoning_effort == "none" else None


class CompletionRequest(_Asked):
    """`POST /v1/completions`."""

    prompt: str | list[str] | list[int] | list[list[int]]
    logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    echo: bool | None = None

    @property
    def prompts(self) -> list[str]:
        """Return the texts to go on from. Raises ApiProblem for tokens, and for too many."""
        given = [self.prompt] if isinstance(self.prompt, str) else self.prompt
        texts = [text for text in given if isinstance(text, str)]
        if len(texts) < len(given):
            raise _refused("prompt", "api.problem.token_prompt")
        if not 1 <= len(texts) * self.choices <= MOST_CHOICES:
            raise _refused("prompt", "api.problem.too_many_answers", most=MOST_CHOICES)
        return texts

    def questions(self, defaults: SamplingSection) -> list[Question]:
        """Return a question per prompt and choice. Raises ApiProblem for what is refused."""
        extra = dict(self.model_extra or {})
        if extra.get("best_of") == self.choices:
            del extra["best_of"]
        _refuse_unsupported(extra, NEUTRAL)
        if self.echo and self.logprobs is not None:
            raise _refused("echo", "api.problem.echo_logprobs")
        longest = COMPLETION_TOKENS if self.max_tokens is None else self.max_tokens
        sampling = self._sampling(defaults, {"max_new_tokens": longest})
        asked = [
            Question(self.model, prompt=text, sampling=sampling, logprobs=self.logprobs)
            for text in self.prompts
        ]
        return [copy for question in asked for copy in self._copies(question)]


def over(defaults: SamplingSection, given: dict[str, Any]) -> SamplingSection:
    """Return the defaults with the given values in their place. Raises ApiProblem."""
    try:
        return SamplingSection.model_validate(defaults.model_dump() | given)
    except ValidationError as error:
        raise invalid(error.errors()) from error


def _with_seed(question: Question, number: int) -> Question:
    """Return the question for one of several choices: the same seed would say the same."""
    seed = question.sampling.seed
    if seed is None or number == 0:
        return question
    moved = question.sampling.model_copy(update={"seed": (seed + number) % SEEDS})
    return replace(question, sampling=moved)


def _refuse_unsupported(
    given: dict[str, Any], neutral: dict[str, tuple[Any, ...]], prefix: str = ""
) -> None:
    for name, value in given.items():
        if name in neutral and value not in neutral[name]:
            raise _refused(f"{prefix}{name}", "api.problem.unsupported", name=f"{prefix}{name}")


def _refused(param: str, text: str, **values: Any) -> ApiProblem:
    return ApiProblem(text, code="unsupported_value", param=param, values=values)
