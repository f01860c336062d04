"""What all bodies of calls have in common."""

import json
from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic_core import PydanticCustomError


class Body(BaseModel):
    """The JSON object of a call."""

    model_config = ConfigDict(frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _is_unicode(cls, content: Any) -> Any:
        """Refuse half characters, which JSON can write and nothing else can."""
        try:
            json.dumps(content, ensure_ascii=False, default=repr).encode()
        except UnicodeEncodeError as error:
            raise PydanticCustomError("not_unicode", "half a character") from error
        return content
