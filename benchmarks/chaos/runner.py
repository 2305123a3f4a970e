"""One run: start everything, break one thing after the other under load, wait for what is still due."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from multiprocessing.context import SpawnProcess
from pathlib import Path

import psycopg

from benchmarks.chaos import database
from benchmarks.chaos.clients import Identity, Plan, Signals, start_process
from benchmarks.chaos.faults import FALLBACK_FAULTS, FAULTS, Fault
from benchmarks.chaos.installation import Installation
from benchmarks.chaos.jobs_watch import JobsWatch
from benchmarks.chaos.judge import Effect, Window, effect_of
from benchmarks.chaos.network import Namespace
from benchmarks.chaos.records import Record, read_records
from benchmarks.chaos.report import Say
from benchmarks.chaos.verdict import Verdict, judge_run

PROCESSES = 2
CUSTOMERS_EACH = 3
CUSTOMERS = [f"customer-{number}" for number in range(PROCESSES * CUSTOMERS_EACH)]
STORMS_PER_FAULT = 3
WARM_UP_SECONDS = 5.0
QUIET_SECONDS = 2.5
DRAIN_SECONDS = 180.0


@dataclass(slots=True)
class Run:
    """A run of the faults of `quick` runs, or of all.

    Args:
        only: names of faults, or parts of them; empty: all.
        say: prints progress.
    """

    folder: Path
    quick: bool
    only: Sequence[str]
    say: Say
    effect_line: Callable[[Effect], str]
    skipped: list[tuple[str, str]] = field(default_factory=list)
    windows: list[Window] = field(default_factory=list)
    fallback_from: float = float("inf")

    def carry_out(self) -> Verdict:
        """Raises RuntimeError if a part cannot be started."""
        namespace = self._namespace()
        try:
            site = Installation(self.folder, namespace)
            try:
                return self._with(site)
            finally:
                site.stop()
        finally:
            if namespace is not None:
                namespace.remove()

    def _with(self, site: Installation) -> Verdict:
        self.say("Starting PostgreSQL, Redis, two web servers, two workers, beat and nginx …")
        site.start()
        faults = self._chosen(FAULTS, site)
        fallback_faults = [] if self.quick else self._chosen(FALLBACK_FAULTS, site)
        signals, processes = self._start_clients(site, len(faults) + len(fallback_faults))
        watch = JobsWatch(site.dsn())
        time.sleep(WARM_UP_SECONDS)
        for fault in faults:
            self._inflict(site, fault, signals, watch)
        self.fallback_from = time.time()
        for fault in fallback_faults:
            self._inflict(site, fault, signals, watch)
        self._stop_clients(signals, processes)
        left_undone = self._drain(site)
        watch.stop()
        records = self._records()
        effects = [effect_of(window, records, CUSTOMERS) for window in self.windows]
        self.say("Holding the records against the database …")
        return judge_run(site, records, effects, left_undone=left_undone, skipped=self.skipped)

    # --- Before ---------------------------------------------------------------------------------------

    def _namespace(self) -> Namespace | None:
        try:
            return Namespace()
        except RuntimeError as error:
            reason = str(error)
        cut = [fault.name for fault in [*FAULTS, *FALLBACK_FAULTS] if fault.needs_namespace]
        self.skipped = [(name, reason) for name in dict.fromkeys(cut)]
        self.say(f"Without a network namespace ({reason}) no network is cut.")
        return None

    def _chosen(self, faults: Sequence[Fault], site: Installation) -> list[Fault]:
        return [
            fault
            for fault in faults
            if (fault.quick or not self.quick)
            and (not self.only or any(part in fault.name for part in self.only))
            and not (fault.needs_namespace and site.namespace is None)
            and not (fault.instead_of_namespace and site.namespace is not None)
        ]

    def _start_clients(self, site: Installation, faults: int) -> tuple[Signals, list[SpawnProcess]]:
        """A quick run has clients of the strict profile only: they are back soon after Redis lost its memory."""
        profiles = ["strict", "strict" if self.quick else "standard"]
        customers = [Identity.new(name, profiles[number % 2]) for number, name in enumerate(CUSTOMERS)]
        leavers = [
            Identity.new(f"leaver-{number}", profiles[number % 2])
            for number in range(PROCESSES * STORMS_PER_FAULT * faults)
        ]
        self._seed(site, [*customers, *leavers], expiring=10 * faults)
        signals, folder = Signals(len(customers)), self.folder / "records"
        folder.mkdir()
        plans = [
            Plan(
                site.origin,
                str(site.certificate),
                str(folder),
                first=number * CUSTOMERS_EACH,
                customers=customers[number * CUSTOMERS_EACH : (number + 1) * CUSTOMERS_EACH],
                leavers=leavers[number::PROCESSES],
            )
            for number in range(PROCESSES)
        ]
        return signals, [start_process(plan, signals) for plan in plans]

    def _seed(self, site: Installation, identities: Sequence[Identity], *, expiring: int) -> None:
        """Let the clients in, and keys that will expire one after the other while things break."""
        now = datetime.now(UTC)
        expiries = {
            Identity.new(f"expiring-{number}", "standard"): (now + timedelta(seconds=30 + number)).isoformat()
            for number in range(expiring)
        }
        clients = [
            {
                "client_id": each.client_id,
                "profile": each.profile,
                "public_key": each.signer().public_hex,
                "expires_at": expiries.get(each),
            }
            for each in [*identities, *expiries]
        ]
        wish = json.dumps({"clients": clients, "webhook": site.webhooks.url})
        result = site.run("-m", "benchmarks.chaos.seed", stdin=wish)
        if result.returncode:
            raise RuntimeError(result.stderr)

    # --- While it breaks ------------------------------------------------------------------------------

    def _inflict(self, site: Installation, fault: Fault, signals: Signals, watch: JobsWatch) -> None:
        self.say(f"{fault.name} …")
        begun = time.time()
        _storm(signals)
        fault.inflict(site)
        _sleep_until(begun + fault.hold)
        fault.lift(site)
        lifted = time.time()
        _storm(signals)
        self._wait_until_settled(site, fault, lifted, signals, watch)
        _storm(signals)
        time.sleep(1.0)
        ended = time.time()
        jobs_back = watch.first_after(lifted)
        window = Window(fault.name, begun, lifted, ended, fault.within, jobs_back, fault.unfelt)
        self.windows.append(window)
        self.say(self.effect_line(effect_of(window, self._records(since=begun), CUSTOMERS)))

    def _wait_until_settled(
        self, site: Installation, fault: Fault, lifted: float, signals: Signals, watch: JobsWatch
    ) -> None:
        """Jobs run and everybody is served; given up a little after the bound, which then is broken."""
        deadline = lifted + fault.within + QUIET_SECONDS
        settled_at: float | None = None
        while time.time() < deadline:
            time.sleep(0.25)
            if settled_at is None:
                settled_at = time.time() if _settled(fault, site) else None
            elif watch.first_after(lifted) and _all_served(signals, since=settled_at):
                return

    # --- Afterwards -----------------------------------------------------------------------------------

    def _stop_clients(self, signals: Signals, processes: Sequence[SpawnProcess]) -> None:
        signals.stop.set()
        for process in processes:
            process.join(timeout=90)
            if process.is_alive():
                process.kill()
                raise RuntimeError("a client process did not end")

    def _drain(self, site: Installation) -> dict[str, int]:
        """Wait for the background work that is still to be done; what is left of it."""
        self.say("Waiting for the background work that is still due …")
        deadline = time.monotonic() + DRAIN_SECONDS
        with psycopg.connect(site.dsn(), autocommit=True) as connection:
            while True:
                left = database.pending(lambda sql: connection.execute(sql.encode()).fetchall())
                if not any(left.values()) and not site.uncounted_uses():
                    return left
                if time.monotonic() > deadline:
                    return left
                time.sleep(1.0)

    def _records(self, since: float = 0.0) -> list[Record]:
        paths = sorted((self.folder / "records").glob("*.jsonl"))
        return [each for each in read_records(paths) if each.answered >= since]


def _storm(signals: Signals) -> None:
    """Have every client send again many of the requests that were accepted."""
    with signals.storms.get_lock():
        signals.storms.value += 1


def _sleep_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.time()))


def _all_served(signals: Signals, *, since: float) -> bool:
    now = time.time()
    return all(
        accepted > max(failed, since) and max(failed, since) < now - QUIET_SECONDS
        for accepted, failed in zip(signals.last_accepted, signals.last_failed, strict=True)
    )


def _settled(fault: Fault, site: Installation) -> bool:
    try:
        return fault.settled(site)
    except psycopg.OperationalError:
        return False
