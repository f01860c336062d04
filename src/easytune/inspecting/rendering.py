"""The child that renders a template, see `template_trial`.

Reads one JSON object from its input and writes one.
"""

import json
import sys

from easytune.data.chat_template import ChatTemplate, RenderFailed
from easytune.errors import TemplateInvalid
from easytune.inspecting import confinement

_TURNS = 24
_CPU_SECONDS, _MEMORY = 4, 1 << 30
_SPECIAL = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}


def main() -> int:
    """Render the template that stands on the input, and say what came of it."""
    confinement.hold(_CPU_SECONDS, _MEMORY, 0)
    asked = json.load(sys.stdin)
    print(json.dumps(_rendered(asked["template"])))
    return 0


def _rendered(text: str) -> dict[str, object]:
    try:
        template = ChatTemplate(text, _SPECIAL)
        conversation = [
            {"role": ("user", "assistant")[turn % 2], "content": f"marker-{turn} of the talk"}
            for turn in range(_TURNS)
        ]
        written = template.render(conversation, add_generation_prompt=True)
        alone = template.render(conversation[:1], add_generation_prompt=True)
    except (RenderFailed, TemplateInvalid) as problem:
        return {"failed": str(problem)[:200]}
    dropped = "user" if "marker-0 of the talk" not in alone else ""
    if not dropped and f"marker-{_TURNS - 2} of" not in written:
        dropped = "user"
    return {"letters": len(written), "dropped": dropped}


if __name__ == "__main__":
    sys.exit(main())
