"""How a model is served to other programs: the options of a deployment."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from easytune.generation import LoadingSection
from easytune.options import Knob, Option, Section, declared, when

Engine = Literal["easytune", "vllm", "transformers"]
LOOPBACK = "127.0.0.1"


class DeploySection(Section):
    """What is served."""

    model: Annotated[str, Knob(level="bar")] = Field(default="demo", min_length=1)
    """Base model, run, checkpoint, export or folder to serve."""

    name: Annotated[str, Knob(level="essential")] = Field(
        default="", max_length=80, pattern=r"^\S*$", title="Name for clients"
    )
    """Model name that clients send. Empty: the model's own."""

    engine: Annotated[Engine, Knob(level="essential")] = "easytune"
    """What serves it: EasyTune itself, or another server installed beside it."""


class ServerSection(Section):
    """Where it listens, and to whom."""

    host: Annotated[str, Knob()] = Field(default=LOOPBACK, min_length=1, pattern=r"^\S+$")
    """Address to listen on. Others than this machine need a key."""

    port: Annotated[int | None, Knob(level="essential", step=1)] = Field(
        default=None, ge=1, le=65_535
    )
    """Port to listen on. Empty: the next free one from 8000 on."""

    key: Annotated[
        bool, Knob(level="essential", when=when("deploy.engine", "easytune", "vllm"))
    ] = Field(default=False, title="Ask for a key")
    """Answers only who sends the key, which is shown once when it starts."""

    restart_with_app: Annotated[bool, Knob()] = False
    """Starts again with the app when the machine or the server was cut off."""


class LimitsSection(Section):
    """What one deployment may take."""

    concurrent: Annotated[int, Knob(step=1)] = Field(
        default=16, ge=1, le=1024, title="Requests at once"
    )
    """Further requests are told to come again."""

    max_new_tokens: Annotated[int | None, Knob(step=64, when=when("deploy.engine", "easytune"))] = (
        Field(default=None, ge=1, le=131_072, title="Longest answer")
    )
    """Most tokens in one answer, whatever clients ask for. Empty: no limit."""

    restarts: Annotated[int, Knob(step=1)] = Field(default=5, ge=0, le=100)
    """How often in a row it is started again after failing."""


class DeployConfig(BaseModel):
    """All that can be chosen about a deployment."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    deploy: DeploySection = DeploySection()
    server: ServerSection = ServerSection()
    limits: LimitsSection = LimitsSection()
    loading: LoadingSection = LoadingSection()

    def changed(self, **options: Any) -> "DeployConfig":
        """Return a copy with options given as `section__name=value`, validated."""
        content = self.model_dump()
        for path, value in options.items():
            section, _, name = path.partition("__")
            content[section][name] = value
        return DeployConfig.model_validate(content)


def options() -> Iterator[Option]:
    """Yield every option of a deployment, in the order of declaration."""
    return declared(DeployConfig)
