"""Who uses this machine."""

import getpass


def user() -> str:
    """Return the name that this user has on the machine, "" where there is none."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        # A container may give the user no name.
        return ""
