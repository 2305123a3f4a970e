"""One client's connection: what has arrived, and what is to be sent.

The worker's loop reads it, sends what is left over, and closes it; the thread that runs the application writes.
"""

from __future__ import annotations

import errno
import io
import select
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from enum import IntEnum
from typing import Any

from project.server.fair_queue import Crew
from project.server.head import Source

GATHERED = 64 * 1024  # an answer's head and its pieces go out together, up to this
OUTBOX = 4 * 1024 * 1024  # what a slow reader leaves waiting before the answering thread waits for it
PIPELINED = 64 * 1024
TAKEN_AT_ONCE = 256 * 1024  # of a streamed body
SENT_AT_ONCE = 256 * 1024
MIN_RATE = 64 * 1024  # bytes a second that a long upload or download keeps up on average


class Phase(IntEnum):
    IDLE = 0  # nothing of a request has arrived
    HEAD = 1
    BODY = 2
    BUSY = 3  # waits for a thread, is being answered, or the answer is on its way
    CLOSING = 4  # answered, and closed on our side


class Connection:
    """
    Args:
        sock: accepted, not blocking.
        client: (address, port). server: the listener's own address.
        let_loop_send: called by the answering thread where the network takes no more at the moment.
    """

    def __init__(
        self,
        sock: socket.socket,
        client: tuple[str, int],
        server: tuple[str, int],
        let_loop_send: Callable[[Connection], None],
    ) -> None:
        self.sock, self.client, self.server = sock, client, server
        self.phase = Phase.IDLE
        self.since = self.deadline = time.monotonic()  # when the phase (or the request) began, and has to end
        self.interest = 0  # what the loop is told of
        self.ended = False  # the client sends no more
        self.inbox = bytearray()
        self.scanned = 0  # bytes of the inbox in which no head ends
        self._begin()
        self._let_loop_send = let_loop_send
        self._room = threading.Condition()
        self._gathered = bytearray()
        self._outbox = bytearray()
        self._cut = False  # nothing that the application says is sent any more
        self._closed = False

    def _begin(self) -> None:
        self.head = b""
        self.request: Any = None  # gunicorn's
        self.source: Source = Source(b"")
        self.caller = self.client[0]  # of the request, where a trusted proxy stands in between
        self.length = 0  # of the body
        self.streamed: StreamedBody | None = None
        self.crew: Crew[Connection] | None = None  # whose threads it waits for
        self._waiting = 0  # bytes of a body that waits for a thread
        self.moved = len(self.inbox)  # bytes of this request, both ways
        self.finished: bool | None = None  # the application is done: may the connection stay open?
        self._running = self._given_up = False
        self._answered = 0  # bytes of the answer that have left the application

    # --- In the loop --------------------------------------------------------------------------------------

    def begin_request(self, now: float) -> None:
        self._begin()
        self.phase, self.since = Phase.HEAD, now

    def receive(self, buffer: memoryview) -> int:
        """Read what is there, at most `buffer`'s size, into the inbox; 0 at the end."""
        count = self.sock.recv_into(buffer)
        if self.phase is not Phase.CLOSING:
            self.inbox += buffer[:count]
        self.moved += count
        return count

    def take_head(self, end: int) -> bytes:
        """The first `end` bytes of the inbox; all of it where there is no end (-1)."""
        end = len(self.inbox) if end < 0 else end
        self.head = bytes(memoryview(self.inbox)[:end])
        del self.inbox[:end]
        self.scanned = 0
        return self.head

    def take_body(self) -> None:
        """The request's body, which has arrived in full, is for the application from here on."""
        self.source.read_body = io.BytesIO(memoryview(self.inbox)[: self.length]).read
        del self.inbox[: self.length]
        self._waiting = self.length

    def _forget_body(self) -> None:
        """No thread reads it any more; the connection may live for long, also in a queue."""
        self.source.read_body = io.BytesIO().read
        self._waiting = 0

    def latest_end(self, seconds: float) -> float:
        """When the request has to be over: `seconds` after it began, and longer while much moves."""
        return self.since + seconds + self.moved / MIN_RATE

    @property
    def held(self) -> int:
        """Bytes of memory that closing it sets free. A body that a thread has taken is not among them."""
        return len(self.inbox) + len(self._outbox) + self._waiting

    @property
    def full(self) -> bool:
        """More requests wait in the inbox than are taken in while one is answered."""
        return len(self.inbox) > PIPELINED

    @property
    def unsent(self) -> bool:
        return bool(self._outbox)

    def send_more(self) -> None:
        """The network takes more. Raises OSError where the client is gone."""
        with self._room:
            self._send(self._outbox)
            if len(self._outbox) < OUTBOX // 2:
                self._room.notify_all()

    def cut_off(self, answer: bytes, *, unless_begun: bool = False) -> bool:
        """Send `answer`, and nothing that the application says from now on.

        Returns False, without sending it, where a part of the application's own answer is out already, or the
        client is gone; with `unless_begun` also where a thread has the request or is done with it.
        """
        with self._room:
            if unless_begun and (self._running or self.finished is not None):
                return False
            free = not self._cut and self._answered == 0
            self._cut = True
            if not self._running:
                self._forget_body()
            self._room.notify_all()
            if not free:
                return False
            self._outbox += answer
            try:
                self._send(self._outbox)
            except OSError:
                return False
        if self._outbox:
            self._let_loop_send(self)
        return True

    def give_up(self) -> bool:
        """Wait no longer for the thread that has the request; False where none has it."""
        with self._room:
            self._given_up = self._running
            return self._given_up

    def finish(self, keep: bool) -> bool:
        """The thread has let go of the request. Returns False where it had been given up meanwhile."""
        with self._room:
            self._running = False
            self._forget_body()
            if self._closed:
                self.sock.close()
            if self._given_up:
                return False
            self.finished = keep and not self._cut
            return True

    def close(self) -> None:
        with self._room:
            self._cut = self._closed = True
            self._outbox.clear()
            self._room.notify_all()
            if self._running:  # the descriptor is a thread's until that has let go of it
                with suppress(OSError):
                    self.sock.shutdown(socket.SHUT_RDWR)
            else:
                self._forget_body()
                self.sock.close()

    # --- In the thread that answers; gunicorn's Response calls `sendall` ----------------------------------------

    def start(self) -> bool:
        """The thread takes the request; False where it was refused or dropped meanwhile."""
        with self._room:
            self._running = not self._cut
            if self._running:
                self._waiting = 0
            return self._running

    def sendall(self, data: bytes) -> None:
        """Send `data`, or keep it until there is more of it, or until `flush`.

        Raises:
            OSError: the client is gone, or was cut off.
        """
        self._gathered += data
        if len(self._gathered) >= GATHERED:
            self.flush()

    def flush(self) -> None:
        """Hand over everything to the network, or to the loop, which sends the rest. Raises as `sendall` does."""
        data, self._gathered = self._gathered, bytearray()
        with self._room:
            self._room.wait_for(lambda: self._cut or len(self._outbox) < OUTBOX)
            if self._cut:
                raise BrokenPipeError(errno.EPIPE, "The connection is closed.")
            self._answered += len(data)
            if not self._outbox:
                self._send(data)
            self._outbox += data
            left = bool(self._outbox)
        if left:
            self._let_loop_send(self)

    def forget_unsent(self) -> None:
        """Drop what was gathered: another answer takes its place."""
        self._gathered.clear()

    def _send(self, data: bytearray) -> None:
        """Send what can be sent at once, and remove it from `data`."""
        try:
            while data:
                sent = self.sock.send(memoryview(data)[:SENT_AT_ONCE])
                self.moved += sent
                del data[:sent]
        except BlockingIOError:
            pass
        except OSError:
            self._cut = True
            data.clear()
            raise


class StreamedBody:
    """A body that the application reads from the connection, in the thread that runs it.

    Args:
        length: in bytes. pause: seconds without a byte after which reading fails.
        go_ahead: what the client waits for before it sends, or b"".
    """

    def __init__(self, connection: Connection, length: int, *, pause: float, go_ahead: bytes) -> None:
        self._connection, self._left, self._pause, self._go_ahead = connection, length, pause, go_ahead

    @property
    def incomplete(self) -> bool:
        return self._left > 0

    def read(self, size: int) -> bytes:
        """At most `size` bytes; b"" at the end of the body or of the connection. Raises OSError.

        gunicorn asks for all that is left, and would hold in memory what the network has of it.
        """
        size = min(size, self._left, TAKEN_AT_ONCE)
        data = self._take(size) if size else b""
        self._left -= len(data)
        return data

    def _take(self, size: int) -> bytes:
        connection = self._connection
        if connection.inbox:
            data = bytes(memoryview(connection.inbox)[:size])
            del connection.inbox[:size]
            return data
        if self._go_ahead:
            connection.sock.send(self._go_ahead)
            self._go_ahead = b""
        poll = select.poll()
        poll.register(connection.sock, select.POLLIN)
        if not poll.poll(self._pause * 1000):
            raise TimeoutError(errno.ETIMEDOUT, "The body did not arrive in time.")
        data = connection.sock.recv(size)
        connection.moved += len(data)
        return data
