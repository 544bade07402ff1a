"""The wire between the grader and a student's process, and the student's names as seen through it.

A message is a JSON object and raw array bytes, never pickle; `answer.encode` makes them from plain
data and `answer.decode` checks them. All sizes are bounded. Functions that a check hands over stay
with the grader: the student's side asks for their values by number, and the check counts them.
"""

from __future__ import annotations

import builtins
import json
import socket
import struct
import time

from zglearn import objective
from zglearn.exercises.answer import MAX_BYTES, AnswerFailed, NotAttempted, NotPlain, decode, encode
from zglearn.exercises.limits import TimeIsUp

MAX_HEADER = 8 * 2**20
MAX_BUFFERS = 10_000
CHUNK = 2**16
AS_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
MAX_MESSAGE = 500  # characters of a message from the student's side
GRACE = 0.5  # seconds that the student's side gets to notice by itself that its time is up


class EngineFailed(Exception):
    """The grader failed, not the student: worth another try."""


class WireBroken(Exception):
    """The other side sent what cannot be read."""


class Wire:
    """Messages over a stream socket; `limit` bounds the bytes of the arrays in one."""

    def __init__(self, sock: socket.socket, limit: int = MAX_BYTES):
        self.sock, self.limit = sock, limit
        self._read, self._deadline = bytearray(), None

    def send(self, message: dict, buffers: list[bytes] = ()) -> None:
        """Send a JSON object and arrays. Raises OSError if the other side is gone."""
        text = AS_JSON([message, [len(b) for b in buffers]])
        header = text.encode("utf-8", "replace")  # half a character pair is no text
        self.sock.sendall(b"".join([struct.pack("!I", len(header)), header, *buffers]))

    def receive(self, deadline: float | None = None) -> tuple[dict, list[bytes]]:
        """The next message. Raises EOFError, TimeIsUp at the deadline, or WireBroken."""
        (size,) = struct.unpack("!I", self._exactly(4, deadline))
        if size > MAX_HEADER:
            raise WireBroken("the answer is too long")
        try:
            message, sizes = json.loads(self._exactly(size, deadline))
            if not isinstance(message, dict) or not all(type(n) is int and n >= 0 for n in sizes):
                raise ValueError("not a message")
        except (ValueError, TypeError, RecursionError) as error:
            raise WireBroken(f"the answer is damaged: {error}") from None
        if len(sizes) > MAX_BUFFERS or sum(sizes) > self.limit:
            raise WireBroken("the answer is too large")
        return message, [self._exactly(n, deadline) for n in sizes]

    def _exactly(self, size: int, deadline) -> bytes:
        while len(self._read) < size:
            if deadline is not None:
                self._wait_until(deadline)
            try:
                part = self.sock.recv(CHUNK)
            except TimeoutError:
                raise TimeIsUp from None
            except ConnectionError:
                part = b""
            if not part:
                raise EOFError("the other side is gone")
            self._read += part
        taken = bytes(self._read[:size])
        del self._read[:size]
        return taken

    def _wait_until(self, deadline):
        """Let the socket wait no longer. (Told once for each deadline: it costs a system call.)"""
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeIsUp
        if deadline != self._deadline:
            self._deadline = deadline
            self.sock.settimeout(left)


class RemoteNamespace:
    """A student's names at the far end of a wire: the `Namespace` that a check is given.

    `request(message, buffers, deadline)` sends to the student's process and returns its next
    message. All operations of one namespace share `seconds`.
    """

    def __init__(self, request, check: str, seconds: float):
        self._request, self._check, self._seconds = request, check, seconds
        self._deadline = time.monotonic() + seconds
        self._callbacks, self.printed, self.changed = [], "", []

    def value(self, name, kept=None):
        return self._ask("value", name, kept=kept)

    def call(self, name, args, kwargs, kept=None):
        return self._ask("call", name, args, kwargs, kept=kept)

    def keep(self, name, args, kwargs):
        return self._ask("keep", name, args, kwargs)

    def take(self, kept, n):
        return self._ask("take", kept, n=n)

    def _ask(self, do, name, args=(), kwargs=None, **more):
        tree, buffers = encode((tuple(args), kwargs or {}), self._callbacks)
        left = max(self._deadline - time.monotonic(), 0.01)
        message = {"do": do, "check": self._check, "name": name, "arguments": tree,
                   "seconds": left, **more}
        try:
            while True:
                reply, buffers = self._request(message, buffers, self._deadline + GRACE)
                if "number" not in reply:
                    return self._result(reply, buffers)
                message, buffers = self._answer(reply, buffers)
        except TimeIsUp:
            raise AnswerFailed(
                f"Still running after {self._seconds:g} seconds, so it was stopped. Is there a "
                "loop that never ends, or a generator's loop that never reaches its `yield`?",
                "timeout") from None
        except (WireBroken, NotPlain) as error:
            raise AnswerFailed(f"what came back cannot be read: {error}", "refused") from None

    def _answer(self, question, buffers):
        """The answer to a callback, an exception included: it is raised on the student's side."""
        number = question["number"]
        if type(number) is not int or not 0 <= number < len(self._callbacks):
            raise WireBroken("a question that was never offered")
        args, kwargs = _arguments(decode(question.get("arguments"), buffers))
        try:
            tree, buffers = encode(self._callbacks[number](*args, **kwargs))
        except Exception as error:
            return {"raise": type(error).__name__, "message": str(error)[:MAX_MESSAGE]}, []
        return {"answer": tree}, buffers

    def _result(self, reply, buffers):
        said = str(reply.get("message", ""))[:MAX_MESSAGE]
        self.printed = str(reply.get("printed", ""))[:2100]
        self.changed = _changed(reply.get("changed", []))
        if "result" in reply:
            return decode(reply["result"], buffers)
        if type(reply.get("kept")) is int:
            return reply["kept"]
        if "not_attempted" in reply:
            raise NotAttempted(said)
        if "timeout" in reply:
            raise TimeIsUp
        if "failed" not in reply:
            raise WireBroken("it is no answer")
        cause = reply["failed"]
        raise AnswerFailed(said, cause if cause in ("error", "timeout", "refused") else "error")


def _arguments(value):
    if (not isinstance(value, tuple) or len(value) != 2 or not isinstance(value[0], tuple)
            or not isinstance(value[1], dict)):
        raise WireBroken("a question without arguments")
    return value


def _changed(said) -> list[tuple[int, str]]:
    if not isinstance(said, list) or not all(
            isinstance(pair, list | tuple) and len(pair) == 2 and type(pair[0]) is int
            for pair in said):
        raise WireBroken("what was changed is not said in pairs")
    return [(place, str(kind)[:20]) for place, kind in said]


def exception(name: str, message: str) -> Exception:
    """The exception of that name, from Python or from `zglearn.objective`."""
    kind = getattr(builtins, name, None) or getattr(objective, name, None)
    if not isinstance(kind, type) or not issubclass(kind, Exception):
        kind = RuntimeError
    return kind(message)
