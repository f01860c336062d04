"""Compare our answering with plain `generate`: `python -m benchmarks.generate`.

(1) Base and two adapters answer one question: as one batch on one copy of the weights, against one
after another. (2) One adapter answers in a chat: merged in memory, against `generate` with a
TextIteratorStreamer. One child process at a time; speed is tokens per CPU-second, on a GPU per
second.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.shapes import SHAPES, save

RANK, ADAPTERS = 16, ("first", "second")
COMPARE = ("plain, one after another", "ours, one batch")
CHAT = ("plain, adapter beside", "plain, merged", "ours, merged by swap")
AUTO = " (precision auto)"
PRECISIONS = ("bf16", "fp32")


@dataclass(frozen=True)
class Speed:
    """What one way reached."""

    tokens: int
    cpu_seconds: float
    seconds: float
    memory_gb: float

    @property
    def per_cpu_second(self) -> float:
        """Return tokens per CPU-second."""
        return self.tokens / self.cpu_seconds

    @property
    def per_second(self) -> float:
        """Return tokens per second of the clock."""
        return self.tokens / self.seconds


def main() -> None:
    """Run every way in a child of its own and print the tables."""
    options = _options()
    if options.child:
        print(json.dumps(asdict(_measure(options))))
        return
    with tempfile.TemporaryDirectory() as folder:
        save_models(Path(folder), options.shape)
        for precision in options.precisions:
            compare(Path(folder), precision, options)
            chat(Path(folder), precision, options)


def compare(folder: Path, precision: str, options: argparse.Namespace) -> None:
    """Print (1): three answers as one batch."""
    found = {way: _child(way, folder, precision, options) for way in COMPARE}
    if precision == "bf16":
        # The weights are stored in bf16; the host computes in what is fastest here.
        found[COMPARE[1] + AUTO] = _child(COMPARE[1], folder, "auto", options)
    _print(f"Compare, base + 2 adapters, {precision}", found)


def chat(folder: Path, precision: str, options: argparse.Namespace) -> None:
    """Print (2): one answer of one adapter, streamed."""
    found = {way: _child(way, folder, precision, options) for way in CHAT}
    if precision == "bf16":
        found[CHAT[2] + AUTO] = _child(CHAT[2], folder, "auto", options)
    _print(f"Chat, one adapter, {precision}", found)


def save_models(folder: Path, shape: str) -> None:
    """Write a base with random weights and a tokenizer of made-up words, and two adapters."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    base = folder / "base"
    save(SHAPES[shape], base)
    _save_tokenizer(base, SHAPES[shape].vocabulary)
    for name in ADAPTERS:
        config = LoraConfig(
            task_type="CAUSAL_LM",
            r=RANK,
            lora_alpha=32,
            target_modules="all-linear",
            init_lora_weights=False,
        )
        model: Any = get_peft_model(AutoModelForCausalLM.from_pretrained(str(base)), config)
        model.save_pretrained(str(folder / name))


def _save_tokenizer(folder: Path, vocabulary: int) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = {f"word{number}": number for number in range(vocabulary - 1)}
    tokenizer = Tokenizer(models.WordLevel(words | {"</s>": vocabulary - 1}, unk_token="word0"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    content = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "</s>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(content))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", choices=SHAPES, default="100m")
    parser.add_argument("--tokens", type=int, default=128, help="tokens per answer")
    parser.add_argument("--prompt", type=int, default=64, help="tokens of the question")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3, help="the best of so many counts")
    parser.add_argument(
        "--precisions", nargs="+", choices=(*PRECISIONS, "auto"), default=list(PRECISIONS)
    )
    parser.add_argument("--quick", action="store_true", help="a tiny model and few tokens")
    parser.add_argument("--child", choices=(*COMPARE, *CHAT), help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.quick:
        options.shape, options.tokens, options.rounds = "tiny", 24, 1
    return options


def _child(way: str, folder: Path, precision: str, options: argparse.Namespace) -> Speed:
    command = [
        sys.executable, "-m", "benchmarks.generate", "--child", way, "--folder", str(folder),
        "--tokens", str(options.tokens), "--prompt", str(options.prompt),
        "--threads", str(options.threads), "--rounds", str(options.rounds),
        "--precisions", precision,
    ]  # fmt: skip
    environment = os.environ | {"OMP_NUM_THREADS": str(options.threads), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    found = Speed(**json.loads(done.stdout.splitlines()[-1]))
    print(f"{way}, {precision}: {found.per_cpu_second:.1f} tokens/CPU-s", file=sys.stderr)
    return found


def _measure(options: argparse.Namespace) -> Speed:
    import torch

    torch.set_num_threads(options.threads)
    make = {
        COMPARE[0]: _plain_compare,
        COMPARE[1]: _our_compare,
        CHAT[0]: _plain_chat,
        CHAT[1]: _plain_chat_merged,
        CHAT[2]: _our_chat,
    }[options.child]
    prompt = " ".join(f"word{(number * 7919) % 1000}" for number in range(options.prompt))
    answer = make(Path(options.folder), options.precisions[0], prompt)
    answer(4)
    rounds = [_timed(answer, options.tokens) for _ in range(options.rounds)]
    return min(rounds, key=lambda one: one.cpu_seconds / one.tokens)


def _timed(answer: Callable[[int], int], tokens: int) -> Speed:
    import torch

    from easytune.engine import hardware

    cpu, clock = time.process_time(), time.perf_counter()
    count = answer(tokens)
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    cpu, clock = time.process_time() - cpu, time.perf_counter() - clock
    busy = clock if torch.cuda.is_available() else cpu
    return Speed(count, busy, clock, hardware.peak_memory_gb(hardware.device("auto")))


# --- plain ------------------------------------------------------------------


def _plain_model(folder: Path, precision: str) -> tuple[Any, Any]:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    device = "cuda" if torch.cuda.is_available() else "cpu"
    base: Any = AutoModelForCausalLM.from_pretrained(folder / "base", dtype=dtype)
    base.to(device)
    model = PeftModel.from_pretrained(base, str(folder / "first"), adapter_name="first")
    model.load_adapter(str(folder / "second"), adapter_name="second")
    return model.eval(), PreTrainedTokenizerFast.from_pretrained(folder / "base")


def _plain_compare(folder: Path, precision: str, prompt: str) -> Callable[[int], int]:
    """One copy of the weights, and `generate` once for each of the three."""
    model, tokenizer = _plain_model(folder, precision)
    given = tokenizer(prompt, return_tensors="pt").to(model.device)

    def answer(tokens: int) -> int:
        count = 0
        for name in (None, *ADAPTERS):
            if name is None:
                with model.disable_adapter():
                    found = model.generate(**given, max_new_tokens=tokens, do_sample=False)
            else:
                model.set_adapter(name)
                found = model.generate(**given, max_new_tokens=tokens, do_sample=False)
            count += found.shape[1] - given["input_ids"].shape[1]
            tokenizer.decode(found[0], skip_special_tokens=True)
        return count

    return answer


def _plain_chat(folder: Path, precision: str, prompt: str) -> Callable[[int], int]:
    model, tokenizer = _plain_model(folder, precision)
    model.delete_adapter("second")
    model.set_adapter("first")
    return _streamed(model, tokenizer, prompt)


def _plain_chat_merged(folder: Path, precision: str, prompt: str) -> Callable[[int], int]:
    model, tokenizer = _plain_model(folder, precision)
    model.delete_adapter("second")
    model.set_adapter("first")
    return _streamed(model.merge_and_unload(), tokenizer, prompt)


def _streamed(model: Any, tokenizer: Any, prompt: str) -> Callable[[int], int]:
    """What the examples of transformers do: `generate` in a thread, text from a streamer."""
    from transformers import TextIteratorStreamer

    given = tokenizer(prompt, return_tensors="pt").to(model.device)

    def answer(tokens: int) -> int:
        streamer = TextIteratorStreamer(tokenizer, skip_prompt=True, skip_special_tokens=True)
        counts: list[int] = []

        def generate() -> None:
            found = model.generate(
                **given, streamer=streamer, max_new_tokens=tokens, do_sample=False
            )
            counts.append(found.shape[1] - given["input_ids"].shape[1])

        thread = threading.Thread(target=generate)
        thread.start()
        text = "".join(streamer)
        thread.join()
        assert text
        return counts[0]

    return answer


# --- ours -------------------------------------------------------------------


def _our_compare(folder: Path, precision: str, prompt: str) -> Callable[[int], int]:
    return _ours(folder, precision, prompt, (None, *(str(folder / name) for name in ADAPTERS)))


def _our_chat(folder: Path, precision: str, prompt: str) -> Callable[[int], int]:
    return _ours(folder, precision, prompt, (str(folder / ADAPTERS[0]),))


def _ours(
    folder: Path, precision: str, prompt: str, adapters: tuple[str | None, ...]
) -> Callable[[int], int]:
    """The host's own code, down to the lines it would send."""
    from easytune.engine import held
    from easytune.engine.answering import Answering
    from easytune.engine.attaching import Attached
    from easytune.engine.prompting import Prompter
    from easytune.generation import LoadingSection, SamplingSection
    from easytune.wire import Column, Ended, Generate, Reply, Start

    loading = LoadingSection.model_validate({"precision": precision})
    found = held.load(Start(folder=str(folder / "base"), loading=loading), lambda _: None)
    prompter, attached = Prompter(found.tokenizer, found.context), Attached(found)

    def answer(tokens: int) -> int:
        sampling = SamplingSection(temperature=0, seed=0, max_new_tokens=tokens)
        columns = tuple(Column(adapter=a, prompt=prompt, sampling=sampling) for a in adapters)
        counts: list[int] = []

        def send(reply: Reply) -> None:
            reply.model_dump_json()
            if isinstance(reply, Ended):
                assert reply.reason == "length", reply
                counts.append(reply.completion_tokens)

        request = Generate(request="r", columns=columns)
        answering = Answering(request, found, prompter, attached, send, lambda: set())
        answering.prepare()
        answering.run()
        return sum(counts)

    return answer


def _print(title: str, found: dict[str, Speed]) -> None:
    first = next(iter(found.values()))
    print(f"\n{title}")
    print("| way | tokens/CPU-s | ratio | tokens/s | ratio | peak GB |")
    print("|---|---|---|---|---|---|")
    for way, speed in found.items():
        cells = [
            way,
            f"{speed.per_cpu_second:.1f}",
            f"{speed.per_cpu_second / first.per_cpu_second:.2f}",
            f"{speed.per_second:.1f}",
            f"{speed.per_second / first.per_second:.2f}",
            f"{speed.memory_gb:.2f}",
        ]
        print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
