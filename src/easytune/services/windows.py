"""Windows only: the start time of a process, and a job object that ends a tree with its owner.

Follows Microsoft's documentation; not tried on Windows yet.
"""

import sys

if sys.platform == "win32":
    import ctypes
    import subprocess
    from ctypes import wintypes
    from typing import Any

    _kernel = ctypes.WinDLL("kernel32", use_last_error=True)
    _kernel.OpenProcess.restype = wintypes.HANDLE
    _kernel.CreateJobObjectW.restype = wintypes.HANDLE
    _QUERY_LIMITED_INFORMATION = 0x1000
    _EXTENDED_LIMITS = 9
    _KILL_ON_JOB_CLOSE = 0x2000
    _STILL_ACTIVE = 259

    class _BasicLimits(ctypes.Structure):
        _fields_ = (
            ("PerProcessUserTimeLimit", ctypes.c_int64),
            ("PerJobUserTimeLimit", ctypes.c_int64),
            ("LimitFlags", wintypes.DWORD),
            ("MinimumWorkingSetSize", ctypes.c_size_t),
            ("MaximumWorkingSetSize", ctypes.c_size_t),
            ("ActiveProcessLimit", wintypes.DWORD),
            ("Affinity", ctypes.c_size_t),
            ("PriorityClass", wintypes.DWORD),
            ("SchedulingClass", wintypes.DWORD),
        )

    class _ExtendedLimits(ctypes.Structure):
        _fields_ = (
            ("BasicLimitInformation", _BasicLimits),
            ("IoInfo", ctypes.c_uint64 * 6),
            ("ProcessMemoryLimit", ctypes.c_size_t),
            ("JobMemoryLimit", ctypes.c_size_t),
            ("PeakProcessMemoryUsed", ctypes.c_size_t),
            ("PeakJobMemoryUsed", ctypes.c_size_t),
        )

    def start_time(pid: int) -> str:
        """Return when the process with this pid was created; empty when none runs."""
        handle = wintypes.HANDLE(_kernel.OpenProcess(_QUERY_LIMITED_INFORMATION, False, pid))
        if not handle:
            return ""
        times = [wintypes.FILETIME() for _ in range(4)]
        code = wintypes.DWORD()
        known = _kernel.GetProcessTimes(handle, *(ctypes.byref(time) for time in times))
        _kernel.GetExitCodeProcess(handle, ctypes.byref(code))
        _kernel.CloseHandle(handle)
        if not known or code.value != _STILL_ACTIVE:
            return ""
        return str((times[0].dwHighDateTime << 32) | times[0].dwLowDateTime)

    def job_of(process: subprocess.Popen[bytes]) -> Any:
        """Put a process into a job object that kills all its processes when we end."""
        job = wintypes.HANDLE(_kernel.CreateJobObjectW(None, None))
        limits = _ExtendedLimits()
        limits.BasicLimitInformation.LimitFlags = _KILL_ON_JOB_CLOSE
        _kernel.SetInformationJobObject(
            job, _EXTENDED_LIMITS, ctypes.byref(limits), ctypes.sizeof(limits)
        )
        handle = wintypes.HANDLE(int(process._handle))  # type: ignore[attr-defined]
        _kernel.AssignProcessToJobObject(job, handle)
        return job
