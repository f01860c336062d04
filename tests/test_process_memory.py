import subprocess
import sys

_LARGE = 400_000_000


def test_the_memory_of_the_process_that_started_this_one_is_not_counted() -> None:
    held = b"\1" * _LARGE
    script = "from easytune import process_memory; print(process_memory.peak_bytes())"
    told = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    ).stdout
    assert len(held) == _LARGE
    assert 5_000_000 < int(told) < _LARGE / 2


def test_what_has_been_given_back_still_counts() -> None:
    script = (
        "from easytune import process_memory\n"
        f"before = process_memory.peak_bytes(); held = b'1' * {_LARGE}; del held\n"
        "print(process_memory.peak_bytes() - before)"
    )
    told = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    ).stdout
    assert int(told) > 0.9 * _LARGE
