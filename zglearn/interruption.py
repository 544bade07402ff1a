"""Ending what another thread does: for code that may loop for ever."""

from __future__ import annotations

import ctypes
import threading
import time

AGAIN = 0.05  # seconds: code that swallows the first interruption gets another


def interrupt(thread: threading.Thread, error: type[BaseException], patience: float) -> None:
    """Raise ``error`` in a thread at its next Python instruction, again and again until it has
    ended, for at most ``patience`` seconds. A call into C that never returns cannot be ended."""
    give_up = time.monotonic() + patience
    while thread.is_alive() and time.monotonic() < give_up:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(
            ctypes.c_ulong(thread.ident), ctypes.py_object(error))
        thread.join(AGAIN)
