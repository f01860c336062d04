"""What the Chat tab tells about models: what is in memory, how far loading is, what came back."""

from html import escape

from easytune import quantities
from easytune.errors import EasyTuneError
from easytune.i18n import t
from easytune.services.catalogue import Catalogue, Model
from easytune.services.chat import Chat, HeldModel
from easytune.services.evaluations import Evaluations
from easytune.services.runs import Runs
from easytune.webui import evaluate_progress_view, model_picker
from easytune.webui.chat_view import failure, loading
from easytune.webui.pickers import count
from easytune.webui.run_view import ACTIVE
from easytune.webui.spoken import sentence

_CHIPS = {"loading": "starting", "ready": "finished", "answering": "running", "failed": "failed"}
CLICKS = """
element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-action]');
  if (button) trigger('click', { action: button.dataset.action, id: button.dataset.id });
});
"""


class ModelStates:
    """Tells in HTML what models do."""

    def __init__(self, chat: Chat, runs: Runs, evaluations: Evaluations) -> None:
        self._chat = chat
        self._runs = runs
        self._evaluations = evaluations

    def told(self, chosen: str, base: str, lang: str) -> str:
        """Return the state of the chosen model, and of all others in memory.

        `base` is what was chosen as its base; "" leaves that to the model.
        """
        held = self._chat.held()
        parts = [self._about(chosen, base, held, lang), self._measured(chosen, lang)]
        parts.append(self._training(held, lang))
        parts += [self._card(one, lang) for one in held]
        parts.append(self._given_back(held, lang))
        return f'<div class="et-model-states">{"".join(parts)}</div>'

    def names(self, lang: str) -> dict[str, str]:
        """Return what people call the models that are here, by their ids."""
        return model_picker.names(self._chat.catalogue.list(), lang)

    def context_length(self, chosen: str) -> int | None:
        """Return how many tokens the chosen model reads, once it is in memory."""
        base = base_id(self._chat.catalogue, chosen)
        held = self._chat.held()
        # An adapter may be on another base than its own.
        ready = next((one.ready for one in held if chosen in one.adapters), None)
        ready = ready or next((one.ready for one in held if one.id == base), None)
        return ready.context_length if ready else None

    def _about(self, chosen: str, base: str, held: list[HeldModel], lang: str) -> str:
        """Return what stands between the chosen model and an answer; nothing when it is there."""
        if not chosen:
            return ""
        try:
            model = self._chat.catalogue.find(chosen)
            whole = self._chat.catalogue.base_of(model, base or None)
        except EasyTuneError as error:
            return f'<p class="et-fact et-bad" role="alert">{escape(sentence(error, lang))}</p>'
        if any(one.id == whole.id and one.state != "failed" for one in held):
            return ""
        load = _button("load", chosen, t("chat.load", lang), "chat-load")
        told = escape(t("chat.not_loaded", lang))
        return f'<div class="et-model-line"><span class="et-quiet">{told}</span>{load}</div>'

    def _measured(self, chosen: str, lang: str) -> str:
        found = self._evaluations.of_model(chosen) if chosen else []
        return evaluate_progress_view.links(found, lang)

    def _training(self, held: list[HeldModel], lang: str) -> str:
        waits = any(one.wanted_by for one in held)
        if not held or not (waits or any(run.state in ACTIVE for run in self._runs.list())):
            return ""
        key = "chat.training_waits" if waits else "chat.training_goes"
        return f'<p class="et-fact et-model-training" role="status">{escape(t(key, lang))}</p>'

    def _card(self, held: HeldModel, lang: str) -> str:
        chip = (
            f'<span class="et-chip et-state-{_CHIPS[held.state]}" data-state="{held.state}">'
            f"{escape(t(f'chat.state.{held.state}', lang))}</span>"
        )
        unload = t("chat.unload", lang)
        if held.memory_gb:
            unload = t("chat.unload_for", lang, memory=quantities.size(held.memory_gb * 1e9))
        return (
            f'<div class="et-model-card" data-model="{escape(held.id, quote=True)}">'
            f'<div class="et-model-head"><b>{escape(_name(held, lang))}</b>{chip}</div>'
            f"{_facts(held, lang)}"
            f'<div class="et-buttons">{_button("unload", held.id, unload, "")}</div></div>'
        )

    def _given_back(self, held: list[HeldModel], lang: str) -> str:
        found = self._chat.given_back()
        if found is None or any(one.id == found[0] for one in held):
            return ""
        name = self.names(lang).get(found[0], found[0])
        told = t("chat.given_back", lang, model=name, memory=quantities.size(found[1] * 1e9))
        return f'<p class="et-fact" id="chat-given-back" role="status">{escape(told)}</p>'


def base_id(catalogue: Catalogue, chosen: str) -> str:
    """Return the id of the model that is loaded when `chosen` is asked; "" when it is unknown."""
    try:
        model: Model = catalogue.find(chosen)
    except EasyTuneError:
        return ""
    return model.base or model.id


def _name(held: HeldModel, lang: str) -> str:
    return t("form.choice.demo_model", lang) if held.id == model_picker.DEMO else held.title


def _facts(held: HeldModel, lang: str) -> str:
    if held.state == "failed" and held.failure:
        return f'<p class="et-fact et-bad">{escape(failure(*held.failure, lang))}</p>'
    if held.ready is None:
        return _progress(held, lang)
    ready = held.ready
    precision = ready.precision if ready.quantization == "none" else ready.quantization
    lines = [
        t("chat.loaded_as", lang, device=ready.device, precision=precision,
          memory=quantities.size(held.memory_gb * 1e9)),
        t("chat.loaded_more", lang, parameters=count(ready.parameters),
          context=f"{ready.context_length:,}" if ready.context_length else "?",
          seconds=f"{ready.seconds:.1f}"),
    ]  # fmt: skip
    return "".join(f'<p class="et-fact">{escape(line)}</p>' for line in lines)


def _progress(held: HeldModel, lang: str) -> str:
    share = held.share or 0
    waiting = "" if held.share is not None else " et-waiting"
    return (
        f'<div class="et-progress{waiting}"><i style="width:{share * 100:.0f}%"></i></div>'
        f'<p class="et-fact">{escape(loading(held.phase, held.share, lang))}</p>'
    )


def _button(action: str, model: str, text: str, elem_id: str) -> str:
    named = f' id="{elem_id}"' if elem_id else ""
    return (
        f'<button type="button" class="et-mini"{named} data-action="{action}"'
        f' data-id="{escape(model, quote=True)}">{escape(text)}</button>'
    )
