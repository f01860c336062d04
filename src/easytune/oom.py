"""How often the system has killed for memory: the proof that it did. Standard library only."""

from pathlib import Path

_PROC = Path("/proc")


def kills() -> tuple[int, ...]:
    """Return how many processes were killed for memory: in the machine, and in our cgroup.

    Zeros where nothing tells, as outside Linux.
    """
    files = [_PROC / "vmstat", *_cgroup_files()]
    return tuple(_counter(file, "oom_kill") for file in files)


def rise(before: tuple[int, ...]) -> int:
    """Return how many there were since `before` was returned by `kills`."""
    return max(now - then for now, then in zip(kills(), before, strict=True))


def _cgroup_files() -> list[Path]:
    """Return the files with the memory events of our cgroup, of version 2 and 1."""
    try:
        lines = (_PROC / "self/cgroup").read_text().splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        root = Path("/sys/fs/cgroup")
        if not controllers:
            found.append(root / path.lstrip("/") / "memory.events")
        elif "memory" in controllers.split(","):
            found.append(root / "memory" / path.lstrip("/") / "memory.oom_control")
    return found


def _counter(file: Path, name: str) -> int:
    try:
        lines = file.read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.split()[:1] == [name]), 0)
