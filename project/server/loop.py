"""The connections of one worker: accepting, watching and closing them, none of it blocking."""

from __future__ import annotations

import errno
import selectors
import socket
import time
from collections import Counter
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

from project.proxies import plain_address
from project.server.board import Board
from project.server.connection import Connection, Phase
from project.server.signals import hold_stop_signals, release_stop_signals

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
TICK_SECONDS = 0.5
YIELD_SECONDS = 0.005
LINGER_SECONDS = 2.0  # for a client to read its answer and close
STOP_LINGER_SECONDS = 2.0  # for a request that is on its way on a kept-alive connection
DISCARDED = 16 * 1024 * 1024  # of what a client sends after its answer; it might not look at it otherwise
ACCEPTED_AT_ONCE = 64

board = Board()  # before the fork, so that all workers see the same


class LoopWorker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """Everything about connections and nothing about requests: those are `project.server.worker`'s."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        hold_stop_signals()
        self.connections: set[Connection] = set()
        self._buffer = memoryview(bytearray(256 * 1024))
        self._unweighed = 0  # bytes received since memory was looked at
        self._resume_at = 0.0  # when to accept again, while that is paused
        self._yielded = False
        self._tick_at = 0.0

    # --- Life -------------------------------------------------------------------------------------------------

    def init_signals(self) -> None:
        super().init_signals()
        release_stop_signals()

    def run(self) -> None:
        self.poller.register(self.method_queue.fileno(), READ, self.method_queue.run_callbacks)
        self.set_accept_enabled(True)
        while self.alive and self.is_parent_alive():
            self._turn()
            if not self._accepting and time.monotonic() >= self._resume_at:
                self._resume_at = 0.0
                self.set_accept_enabled(True)
        self._stop()

    def _turn(self) -> None:
        """One round of the loop: what has happened, then what is due."""
        self.notify()
        wait = min(self._tick_at, self._resume_at or self._tick_at) - time.monotonic()
        for key, mask in self.poller.select(max(0.0, wait)):
            if isinstance(key.data, Connection):
                self._on_connection(key.data, mask)
            else:
                key.data(key.fileobj)
        now = time.monotonic()
        if now >= self._tick_at:
            self._tick_at = now + TICK_SECONDS
            self._sweep(now)
            self._weigh()
            if self.alive:
                board.tell(self.age, len(self.connections), now)

    def _stop(self) -> None:
        """Accept what has connected already and nothing more, answer it, and give clients a moment to notice."""
        self.alive = False
        board.leave(self.age)
        self.set_accept_enabled(False)
        self._resume_at = 0.0
        for listener in self.sockets:
            listener.setblocking(False)
            while self._take(listener):
                pass
            listener.close()
        now = time.monotonic()
        idle_until, until = now + STOP_LINGER_SECONDS, now + self.cfg.graceful_timeout
        while self.connections and (now := time.monotonic()) < until:
            self._tick_at = min(self._tick_at, now + 0.1)
            self._turn()
            if now >= idle_until:
                for connection in [each for each in self.connections if each.phase is Phase.IDLE]:
                    self.drop(connection)
        for connection in list(self.connections):
            self.drop(connection)
        self.end_threads()
        self.poller.close()
        self.method_queue.close()

    def _sweep(self, now: float) -> None:
        for connection in [each for each in self.connections if each.deadline <= now]:
            try:
                self.overdue(connection)
            except OSError:
                self.drop(connection)

    # --- For the requests' part ---------------------------------------------------------------------------------

    def arrived(self, connection: Connection) -> None:
        """More of a request is in the inbox."""
        raise NotImplementedError

    def sent(self, connection: Connection) -> None:
        """What was left over of an answer has been sent."""
        raise NotImplementedError

    def overdue(self, connection: Connection) -> None:
        """The deadline of the connection's phase has passed."""
        raise NotImplementedError

    def relieve(self, connection: Connection) -> None:
        """Free the memory that the connection occupies: all together occupy too much."""
        self.drop(connection)

    def weight_limit(self) -> int:
        """How many bytes all connections together may hold."""
        raise NotImplementedError

    def end_threads(self) -> None:
        raise NotImplementedError

    # --- Accepting --------------------------------------------------------------------------------------------

    def accept(self, listener: socket.socket) -> None:
        """Take what waits, unless another worker has fewer connections: then that one may go first, once."""
        for _ in range(ACCEPTED_AT_ONCE):
            now = time.monotonic()
            lightest = board.lightest_other(self.age, now)
            heavy = lightest is not None and len(self.connections) > lightest + max(1, lightest // 8)
            if heavy and not self._yielded:
                self._yielded = True
                self._pause_accepting(now)
                return
            self._yielded = False
            if not self._take(listener):
                return

    def _take(self, listener: socket.socket) -> bool:
        """Accept one connection; whether there may be more."""
        if len(self.connections) >= self.worker_connections and not self._shed(len(self.connections) // 32):
            self._pause_accepting(time.monotonic())
            return False
        try:
            sock, client = listener.accept()
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                self.log.warning("No file descriptor is left for another connection.")
                self._shed(len(self.connections) // 32)
                self._pause_accepting(time.monotonic())
            elif error.errno not in (errno.EAGAIN, errno.EWOULDBLOCK, errno.ECONNABORTED):
                raise
            return False
        sock.setblocking(False)
        caller = (plain_address(client[0]), client[1]) if client else ("", 0)
        connection = Connection(sock, caller, listener.getsockname(), self.let_loop_send)
        self.rest(connection, connection.since)
        self.connections.add(connection)
        if self.alive:
            board.tell(self.age, len(self.connections), connection.since)
        self.watch(connection, READ)
        return True

    def _pause_accepting(self, now: float) -> None:
        self._resume_at = now + YIELD_SECONDS
        self.set_accept_enabled(False)

    # --- Reading and writing ------------------------------------------------------------------------------------

    def _on_connection(self, connection: Connection, mask: int) -> None:
        if connection not in self.connections:  # closed by what came before it in this round
            return
        try:
            if mask & WRITE:
                connection.send_more()
                if not connection.unsent:
                    self.watch(connection, connection.interest & ~WRITE)
                    self.sent(connection)
            if mask & READ and connection.interest & READ:
                self._read(connection)
        except BlockingIOError:
            pass
        except OSError as error:
            self.log.debug("Connection lost: %s", error)
            self._lost(connection)

    def _lost(self, connection: Connection) -> None:
        """The client is gone. What a thread is working on for it stays in sight until it is done."""
        if connection.phase is Phase.BUSY and connection.finished is None:
            connection.ended = True
            self.watch(connection, 0)
        else:
            self.drop(connection)

    def _read(self, connection: Connection) -> None:
        count = connection.receive(self._buffer)
        if not count:
            connection.ended = True
            if connection.phase is Phase.BUSY:  # it may still wait for its answer
                self.watch(connection, connection.interest & ~READ)
            else:
                self.drop(connection)
            return
        self._unweighed += count
        if self._unweighed > self.weight_limit() // 64:
            self._weigh()
        if connection not in self.connections:
            return
        if connection.phase is Phase.CLOSING:
            self._discarded(connection)
        elif connection.phase is Phase.BUSY:
            if connection.full:
                self.watch(connection, connection.interest & ~READ)
        else:
            self.arrived(connection)

    def watch(self, connection: Connection, interest: int) -> None:
        """Be told of what `interest` says about the connection; 0 for nothing."""
        if interest == connection.interest:
            return
        if not interest:
            self.poller.unregister(connection.sock)
        elif not connection.interest:
            self.poller.register(connection.sock, interest, connection)
        else:
            self.poller.modify(connection.sock, interest, connection)
        connection.interest = interest

    def let_loop_send(self, connection: Connection) -> None:
        """From the thread that answers: the network takes no more at the moment."""
        self.method_queue.defer(self._want_write, connection)

    def _want_write(self, connection: Connection) -> None:
        if connection in self.connections and connection.unsent:
            self.watch(connection, connection.interest | WRITE)

    # --- Resting and closing ------------------------------------------------------------------------------------

    def rest(self, connection: Connection, now: float) -> None:
        """Nothing of a request has arrived: wait for one."""
        connection.phase, connection.since = Phase.IDLE, now
        connection.deadline = now + (self.cfg.keepalive or LINGER_SECONDS)

    def linger(self, connection: Connection, now: float) -> None:
        """Close our side, and leave the client time to read what it was sent.

        Closing at once while it is still sending would make its system throw the answer away (RFC 9112, 9.6).
        """
        connection.phase, connection.since, connection.moved = Phase.CLOSING, now, 0
        connection.deadline = now + LINGER_SECONDS
        connection.inbox.clear()
        connection.sock.shutdown(socket.SHUT_WR)
        self.watch(connection, READ)

    def _discarded(self, connection: Connection) -> None:
        connection.deadline = min(connection.since + 5 * LINGER_SECONDS, time.monotonic() + LINGER_SECONDS)
        if connection.moved > DISCARDED:
            self.drop(connection)

    def drop(self, connection: Connection) -> None:
        """Close it now. A thread that still has it finds it cut off."""
        if connection not in self.connections:
            return
        self.connections.discard(connection)
        self.watch(connection, 0)
        connection.close()

    def _shed(self, how_many: int) -> bool:
        """Make room: drop what has waited longest, of whoever has most. Whether anything was dropped."""
        callers = Counter(connection.client[0] for connection in self.connections)
        waiting = [connection for connection in self.connections if connection.phase is not Phase.BUSY]
        waiting.sort(key=lambda connection: (-callers[connection.client[0]], connection.since))
        for connection in waiting[: max(1, how_many)]:
            self.drop(connection)
        return bool(waiting)

    def _weigh(self) -> None:
        """Part with whoever holds most memory, while all together hold too much."""
        self._unweighed = 0
        weight = sum(connection.held for connection in self.connections)
        if weight <= self.weight_limit():
            return
        holders: Counter[str] = Counter()
        for connection in self.connections:
            holders[connection.caller] += connection.held
        heaviest = sorted(
            (each for each in self.connections if each.held),
            key=lambda each: (-holders[each.caller], each.since),
        )
        for connection in heaviest:
            if weight <= self.weight_limit() * 3 // 4:
                break
            weight -= connection.held
            self.relieve(connection)
