"""gunicorn's worker as DataFold runs it: from bytes to a request, to a thread, to an answer."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any

from gunicorn.http import wsgi

from project.proxies import caller_of
from project.server.connection import Connection, Phase, StreamedBody
from project.server.fair_queue import Crew
from project.server.head import body_length, find_end, forwarded_for, parse_head
from project.server.limits import Limits
from project.server.loop import READ, LoopWorker

# Asked by schedulers and load balancers, who must be answered while every other thread hangs: a restart of all
# servers would not bring a database back. `live` waits for nothing at all, so it has a thread to itself.
LIVE_PATHS = {"/health/live", "/health/live/"}
WATCH_PATHS = {
    "/health",
    "/health/",
    "/health/ready",
    "/health/ready/",
    "/health/detailed",
    "/health/detailed/",
    "/metrics",
}
WATCH_THREADS = 2
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Worker(LoopWorker):
    """Threads run the application on requests that have arrived in full; nothing else takes a thread."""

    limits: Limits
    refusals: Any

    def load_wsgi(self) -> None:
        super().load_wsgi()
        from project.server import refusals  # Django is set up from here on

        self.refusals = refusals
        self.limits = Limits.from_settings()
        self.streams: Crew[Connection] = Crew("stream", self.cfg.threads, self.handle)
        live = Crew("live", 1, self.handle)
        watch = Crew("watch", WATCH_THREADS, self.handle)
        self._watchers = dict.fromkeys(LIVE_PATHS, live) | dict.fromkeys(WATCH_PATHS, watch)
        self._given_up = 0  # threads for requests that are busy with one that was given up

    def get_thread_pool(self) -> Crew[Connection]:
        return Crew("request", self.cfg.threads, self.handle)

    def end_threads(self) -> None:
        self.tpool.shutdown(wait=False)
        self.streams.shutdown()
        for crew in self._watchers.values():
            crew.shutdown()

    def weight_limit(self) -> int:
        return self.limits.memory

    # --- A request arrives ----------------------------------------------------------------------------------------

    def arrived(self, connection: Connection) -> None:
        now = time.monotonic()
        if connection.phase is Phase.IDLE:
            connection.begin_request(now)
            connection.deadline = now + self.limits.read
        if connection.phase is Phase.HEAD and not self._read_head(connection):
            return
        connection.deadline = min(now + self.limits.read, connection.latest_end(self.limits.request))
        if len(connection.inbox) >= connection.length:
            connection.take_body()
            self._enqueue(connection, self._watchers.get(connection.request.path) or self.tpool)

    def _read_head(self, connection: Connection) -> bool:
        """Parse the head, if it is there; whether the loop goes on to collect the body."""
        end, hopeless = find_end(connection.inbox, connection.scanned, self.cfg.limit_request_line)
        connection.scanned = len(connection.inbox)
        if end < 0 and not hopeless:
            return False
        head = connection.take_head(end)
        try:
            connection.request, connection.source = parse_head(self.cfg, head, connection.client)
        except Exception as error:  # noqa: BLE001  whatever the parser says of hostile bytes is a refusal
            self._refuse(connection, self.refusals.refusal_for(error))
            return False
        connection.caller = caller_of(connection.client[0], forwarded_for(connection.request))
        length = body_length(connection.request)
        if length is None or length > self.limits.buffered:
            self._stream(connection, length)
            return False
        connection.phase, connection.length = Phase.BODY, length
        if connection.request._expected_100_continue:
            connection.request._expected_100_continue = False  # or gunicorn would say it again
            if len(connection.inbox) < length:
                connection.sock.send(CONTINUE)
        return True

    def _stream(self, connection: Connection, length: int | None) -> None:
        """A body too large to be collected, or of no length: the application reads it, or refuses it."""
        request = connection.request
        request.force_close()
        if length is not None:
            expected, request._expected_100_continue = request._expected_100_continue, False
            connection.streamed = StreamedBody(
                connection, length, pause=self.limits.read, go_ahead=CONTINUE if expected else b""
            )
            connection.source.read_body = connection.streamed.read
        self.watch(connection, connection.interest & ~READ)  # the thread reads from here on
        self._enqueue(connection, self.streams)

    def _enqueue(self, connection: Connection, crew: Crew[Connection]) -> None:
        connection.phase, connection.crew = Phase.BUSY, crew
        connection.deadline = connection.latest_end(self.limits.request)
        crew.submit(connection.caller, connection)

    # --- In a thread ------------------------------------------------------------------------------------------

    def handle(self, connection: Connection) -> None:
        """Have the application answer the request. Runs in a thread of a crew."""
        if not connection.start():
            return  # it waited too long and was refused
        keep = False
        try:
            keep = self._answer(connection.request, connection)
        except OSError as error:
            self.log.debug("Connection lost: %s", error)
        except Exception as error:
            self.log.exception("Error handling request %s", connection.request.path)
            connection.forget_unsent()
            connection.cut_off(self._written(connection, self.refusals.refusal_for(error)))
        finally:
            self.method_queue.defer(self._finished, connection, keep)

    def _answer(self, request: Any, connection: Connection) -> bool:
        """What gunicorn's own worker does with a request; whether the connection stays open."""
        started = datetime.now()  # noqa: DTZ005  as gunicorn's access log wants it
        response, environ = wsgi.create(request, connection, connection.client, connection.server, self.cfg)
        environ["wsgi.multithread"] = True
        environ["datafold.field_lines"] = request.headers  # what `keys.wire` verifies repeated fields by
        self.nr += 1
        if self.nr >= self.max_requests and self.alive:
            self.log.info("Autorestarting worker after current request.")
            self.alive = False
        if not self.alive or not self.cfg.keepalive or connection.ended:
            response.force_close()
        body = self.wsgi(environ, response.start_response)
        try:
            for piece in body:
                response.write(piece)
            response.close()
            connection.flush()
        finally:
            self.log.access(response, request, environ, datetime.now() - started)  # noqa: DTZ005
            if hasattr(body, "close"):
                body.close()
        return not response.should_close()

    # --- The answer is there, or will not come ------------------------------------------------------------------

    def _finished(self, connection: Connection, keep: bool) -> None:
        """The application is done with the request; the answer may still be on its way."""
        if not connection.finish(keep):
            self._given_up -= connection.crew is self.tpool
        elif connection in self.connections:
            self.sent(connection)

    def sent(self, connection: Connection) -> None:
        if connection.finished is None or connection.unsent:
            return
        now = time.monotonic()
        try:
            if not connection.finished or connection.ended:
                self.linger(connection, now)
                return
            self.rest(connection, now)
            self.watch(connection, READ)
            if connection.inbox:  # sent without waiting for the answer before it
                self.arrived(connection)
        except OSError:
            self.drop(connection)

    def overdue(self, connection: Connection) -> None:
        match connection.phase:
            case Phase.IDLE | Phase.CLOSING:
                self.drop(connection)
            case Phase.HEAD | Phase.BODY:
                self._refuse(connection, self.refusals.TOO_SLOW)
            case Phase.BUSY:
                later = connection.latest_end(self.limits.request)
                if later > time.monotonic():
                    connection.deadline = later
                else:
                    self._give_up(connection)

    def _give_up(self, connection: Connection) -> None:
        """The hard limit is over. A thread cannot be stopped, but what it says goes nowhere from now on."""
        streamed = connection.streamed
        late = (
            self.refusals.TOO_SLOW if streamed is not None and streamed.incomplete else self.refusals.OVERDUE
        )
        if connection.give_up():
            # The others' threads do not count: one that reads an upload ends as soon as the connection does.
            self._given_up += connection.crew is self.tpool
        if connection.finished is None:
            self._refuse(connection, late)
        else:
            self.drop(connection)
        if self._given_up >= self.cfg.threads and self.alive:
            self.log.error("All threads hang in requests that were given up: another worker takes over.")
            self.alive = False

    def relieve(self, connection: Connection) -> None:
        """A request that no thread has begun is told so; anything else is dropped."""
        if connection.phase is Phase.BUSY:
            self._refuse(connection, self.refusals.TOO_MANY, unless_begun=True)
        else:
            self.drop(connection)

    def _refuse(self, connection: Connection, refusal: Any, *, unless_begun: bool = False) -> None:
        """Answer in the application's place, and close."""
        if connection.cut_off(self._written(connection, refusal), unless_begun=unless_begun):
            connection.phase, connection.finished = Phase.BUSY, False
            self.sent(connection)
        else:
            self.drop(connection)

    def _written(self, connection: Connection, refusal: Any) -> bytes:
        head = connection.head or bytes(connection.inbox)
        answer: bytes = self.refusals.write_refusal(refusal, head=head, address=connection.caller)
        return answer
