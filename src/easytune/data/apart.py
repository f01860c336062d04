"""Calls in a process of their own, for work that takes much memory and gives little back.

Putting a million rows in another order takes hundreds of megabytes for some seconds, and the web
process must not grow by that.
"""

import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from easytune.dataset_errors import TaskLost
from easytune.errors import EasyTuneError

P = ParamSpec("P")
T = TypeVar("T")
_WATCH_S = 0.3


def call(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Return what a function returns; it and its arguments can be pickled.

    Raises the EasyTuneError that it raises, and TaskLost when its process died.
    """
    return watched(_nobody, function, *args, **kwargs)


def watched(
    watch: Callable[[], None], function: Callable[P, T], *args: P.args, **kwargs: P.kwargs
) -> T:
    """Do as `call` does, and call `watch` now and then; what it raises ends the process."""
    command = [sys.executable, "-m", __name__]
    wanted = pickle.dumps((function, args, kwargs))
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            answer = _answer(process, wanted, watch)
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        raise TaskLost(getattr(function, "__name__", ""))
    error, found = pickle.loads(answer)
    if error:
        raise error(**found)
    return found


def _answer(process: "subprocess.Popen[bytes]", wanted: bytes, watch: Callable[[], None]) -> bytes:
    unsent: bytes | None = wanted
    while True:
        try:
            return process.communicate(unsent, timeout=_WATCH_S)[0]
        except subprocess.TimeoutExpired:
            # It goes on with what it was given first, and takes nothing more.
            unsent = None
            watch()


def _nobody() -> None:
    return


def main() -> None:
    """Do the call that standard input names."""
    function, args, kwargs = pickle.load(sys.stdin.buffer)
    try:
        answer = None, function(*args, **kwargs)
    except EasyTuneError as problem:
        answer = type(problem), problem.values
    pickle.dump(answer, sys.stdout.buffer)


if __name__ == "__main__":
    main()
