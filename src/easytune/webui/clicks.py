"""How clicks are wired that say what was clicked.

Not with the trigger mode `always_last`: Gradio then repeats the first click instead of the last.
"""

from typing import Any

EACH: dict[str, Any] = {"trigger_mode": "multiple", "queue": True}
"""For clicks that choose: each counts, also while the one before is still being answered.

Past the queue answers may overtake each other, and the last click would not be the one that counts.
"""
ONE_BY_ONE: dict[str, Any] = {"trigger_mode": "once"}
"""For clicks that go on from what the one before has left: none counts until it is answered."""
