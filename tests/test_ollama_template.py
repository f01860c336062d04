"""Chat templates for Ollama: translated ones write the same, others are not guessed."""

import pytest

from easytune.data.chat_template import ChatTemplate
from easytune.demo import MODEL
from easytune.exporters import go_template, ollama_template

_LOOP = "{% for m in messages %}"
_CHATML = "{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{% endfor %}"
TEMPLATES = {
    "chatml": _LOOP + _CHATML + "{{ '<|im_start|>assistant\\n' }}",
    "chatml with a prompt of its own": (
        "{% if messages[0].role != 'system' %}{{ '<|im_start|>system\\nBe kind.<|im_end|>\\n' }}"
        "{% endif %}" + _LOOP + _CHATML + "{{ '<|im_start|>assistant\\n' }}"
    ),
    "llama 3": (
        "{{ bos_token }}" + _LOOP + "{{ '<|start_header_id|>' + m.role + '<|end_header_id|>\\n\\n' "
        "+ m.content | trim + '<|eot_id|>' }}{% endfor %}"
        "{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}"
    ),
    "llama 2": (
        "{% if messages[0].role == 'system' %}{% set rest = messages[1:] %}"
        "{% set system = messages[0].content %}{% else %}{% set rest = messages %}"
        "{% set system = false %}{% endif %}{% for m in rest %}"
        "{% if m.role == 'user' %}{{ bos_token + '[INST] ' }}"
        "{% if loop.first and system %}{{ '<<SYS>>\\n' + system + '\\n<</SYS>>\\n\\n' }}{% endif %}"
        "{{ m.content + ' [/INST]' }}{% else %}{{ ' ' + m.content + ' ' + eos_token }}{% endif %}"
        "{% endfor %}"
    ),
    "gemma": (
        "{{ bos_token }}{% if messages[0].role == 'system' %}{{ raise_exception('none') }}"
        "{% endif %}" + _LOOP + "{{ '<start_of_turn>' + ('model' if m.role == 'assistant' else "
        "m.role) + '\\n' + m.content + '<end_of_turn>\\n' }}{% endfor %}"
        "{{ '<start_of_turn>model\\n' }}"
    ),
    "phi 3": (
        _LOOP + "{{ '<|' + m.role + '|>\\n' + m.content + '<|end|>\\n' }}{% endfor %}"
        "{{ '<|assistant|>\\n' }}"
    ),
    "deepseek": (
        "{{ bos_token }}" + _LOOP + "{% if m.role == 'user' %}{{ 'User: ' + m.content + '\\n\\n' }}"
        "{% elif m.role == 'assistant' %}{{ 'Assistant: ' + m.content + eos_token }}"
        "{% else %}{{ m.content + '\\n\\n' }}{% endif %}{% endfor %}{{ 'Assistant:' }}"
    ),
    "braces and quotation marks": (
        _LOOP + "{{ '{{' + m.role + '}} \"' + m.content }}\n   {% endfor %}{{ '{{-go-}} \"' }}"
    ),
    "the demo's": (MODEL / "chat_template.jinja").read_text(encoding="utf-8"),
}
_SPECIAL = {"bos_token": "<s>", "eos_token": "</s>"}


@pytest.mark.parametrize("name", TEMPLATES)
@pytest.mark.parametrize("bos", ["", "<s>"])
def test_a_translation_writes_what_the_model_was_trained_with(name: str, bos: str) -> None:
    template = ChatTemplate(TEMPLATES[name], _SPECIAL)
    go = ollama_template.translate(template, bos)
    assert go is not None
    for messages in ollama_template.conversations():
        system = messages[0].content if messages[0].role == "system" else ""
        plain = [{"role": m.role, "content": m.content} for m in messages]
        wanted = template.render(template.fold_system(messages), add_generation_prompt=True)
        assert go_template.render(go, plain, system) == wanted.removeprefix(bos)


@pytest.mark.parametrize(
    "source",
    [
        _LOOP + "{{ loop.index }}. {{ m.content }}\n{% endfor %}",
        _LOOP + "{{ m.content | upper }}{% endfor %}",
        "{{ messages[-1].content }}",
        "{{ raise_exception('no') }}",
    ],
)
def test_a_template_that_does_more_is_not_guessed(source: str) -> None:
    assert ollama_template.translate(ChatTemplate(source, _SPECIAL), "") is None


def test_actions_trim_the_text_beside_them_as_go_does() -> None:
    template = 'a \n{{- " b " -}}\n c{{ if .System }} d {{ .System }}{{ else }} e{{ end }}'
    assert go_template.render(template, [], "") == "a b c e"
    assert go_template.render(template, [], "x") == "a b c d x"


def test_an_action_that_is_not_known_is_said() -> None:
    with pytest.raises(go_template.GoTemplateInvalid):
        go_template.render("{{ .Tools }}", [])
