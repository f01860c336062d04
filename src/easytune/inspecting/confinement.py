"""Limits that a child sets on itself before it touches what a stranger has made."""

import os
import sys
import tempfile


def hold(cpu_s: int, memory: int, file_bytes: int, files: int = 64) -> bool:
    """Limit this process for good; False where the system knows no such limits.

    `memory` and `file_bytes` are in bytes: of the address space, and of any file it writes.
    """
    if sys.platform == "win32":
        return False
    import resource

    for kind, most in (
        (resource.RLIMIT_CPU, cpu_s),
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_FSIZE, file_bytes),
        (resource.RLIMIT_NOFILE, files),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(kind)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (most, most))
    return True


def environment() -> dict[str, str]:
    """Return the little that such a child may know of this process's surroundings.

    No keys, no proxies, no home folder: only where Python finds our code.
    """
    known = {
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONNOUSERSITE": "1",
        "PYTHONUTF8": "1",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
        "PATH": os.defpath,
    }
    if sys.platform == "win32":
        known |= {"SYSTEMROOT": os.environ.get("SYSTEMROOT", ""), "TEMP": tempfile.gettempdir()}
    return known
