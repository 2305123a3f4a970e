"""What the commands that name a key share: their arguments, their output and their exit codes."""

from __future__ import annotations

import getpass
import json
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Collection
from datetime import UTC, date, datetime
from datetime import time as time_of_day
from typing import Any, NoReturn

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.dateparse import parse_date, parse_datetime

from accounts.audit import Actor
from accounts.models import User
from keys.decisions import Details, Verb, decide
from keys.models import Key, KeyStatus
from keys.naming import MAX_CANDIDATES, KeyNameUnknown, find_key
from project.context import RequestContext, use_context
from project.errors import DomainError

PROGRESS_SECONDS = 5.0
_DASHED_NAME = re.compile(r"-[A-Za-z0-9_-]{3,42}")


class KeyNameParser(CommandParser):
    """Takes a thumbprint that begins with "-" (one in 64 does) for what it is and not for an option."""

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        given = list(sys.argv[1:] if args is None else args)
        names = [each for each in given if "--" not in given and self._is_name(each)]
        rest = [each for each in given if each not in names]
        return super().parse_args([*rest, "--", *names] if names else rest, namespace)

    def _is_name(self, text: str) -> bool:
        options = [option for action in self._actions for option in action.option_strings]
        return bool(_DASHED_NAME.fullmatch(text)) and not any(option.startswith(text) for option in options)


class DataFoldCommand(BaseCommand):
    """`--json`, and refusals of the domain as CommandError (exit code 1)."""

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        parser = super().create_parser(prog_name, subcommand, **kwargs)
        parser.__class__ = KeyNameParser  # Django offers no other way to choose the class
        return parser

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--json", action="store_true", dest="as_json", help="Print JSON for a script to read."
        )

    def execute(self, *args: Any, **options: Any) -> str | None:
        try:
            answer = super().execute(*args, **options)
            self.stdout.flush()
        except BrokenPipeError:
            self._stop_talking()
        except KeyNameUnknown as error:
            raise CommandError(_with_candidates(error)) from error
        except DomainError as error:
            raise CommandError(error.message) from error
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error
        return answer

    def _stop_talking(self) -> NoReturn:
        """Whoever read the output has gone (`| head`). What Python still flushes at its end goes nowhere."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.stdout.fileno())
        os.close(nowhere)
        sys.exit(128 + signal.SIGPIPE)

    def progress(self, what: str) -> Callable[[int], None]:
        """A callback for long work: says how far it is, every few seconds."""
        last = time.monotonic()

        def say(count: int) -> None:
            nonlocal last
            if time.monotonic() - last >= PROGRESS_SECONDS:
                last = time.monotonic()
                self.stderr.write(f"{count:,} {what} …")

        return say

    def print_json(self, value: Any) -> None:
        self.stdout.write(json.dumps(value, indent=2, default=str))


class KeyCommand(DataFoldCommand):
    """A command about one key, decided by an operator or by whoever may run commands here."""

    among: Collection[KeyStatus] = tuple(KeyStatus)
    already: KeyStatus | None = None

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("key", help="client_id, registration_id, or the beginning of a thumbprint.")

    def execute(self, *args: Any, **options: Any) -> str | None:
        """What the services warn of goes to standard error, so that it breaks no JSON."""
        with use_context(RequestContext()) as context:
            answer = super().execute(*args, **options)
            for warning in context.warnings:
                self.stderr.write(self.style.WARNING(warning))
        return answer

    def find(self, name: str) -> Key:
        return find_key(name, among=self.among, already=self.already)

    def decide(self, key: Key, verb: Verb, *, by: str, details: Details) -> Key:
        """Decide as the operator `by`, under the rules of every operator; "": as the system."""
        return decide(key.pk, verb, actor=actor_for(by), seen=None, details=details)

    def print_key(self, key: Key, *, as_json: bool, said: str, changed: bool = True) -> None:
        if as_json:
            self.print_json({**key_facts(key), "changed": changed})
        else:
            self.stdout.write(said if changed else f"Nothing to do: {key} is {key.status} already.")


class DecisionCommand(KeyCommand):
    """A key's change of state, signed with the name of an operator where one is given.

    Attributes:
        reason_readers: who reads the reason.
    """

    reason_readers = "kept in the audit log"

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--reason", default="", help=f"Why, in your own words; {self.reason_readers}.")
        add_actor_argument(parser)


def add_actor_argument(parser: CommandParser) -> None:
    parser.add_argument(
        "--by", default="", metavar="USERNAME", help="The operator who decides; default: this command line."
    )


def actor_for(username: str) -> Actor:
    """The operator of that name, or the command line with the account that runs it."""
    if not username:
        return Actor.system(f"command line ({_account()})")
    user = User.objects.filter(username=username, is_active=True).first()
    if user is None:
        raise CommandError(f"There is no active operator {username!r}.")
    return Actor.operator(user)


def _account() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return "unnamed account"


def parse_moment(text: str) -> datetime:
    """An argparse type: a date (its first moment, UTC) or a date and time (UTC unless it says)."""
    try:
        moment = parse_datetime(text) if len(text) > 10 else None
        day = None if moment else parse_date(text)
    except ValueError as error:
        raise CommandError(f"{text!r} is not a real date.") from error
    if isinstance(day, date):
        moment = datetime.combine(day, time_of_day.min)
    if moment is None:
        raise CommandError(f"{text!r} is not a date. Write it as 2030-01-31 or 2030-01-31T12:00:00Z.")
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def key_facts(key: Key) -> dict[str, Any]:
    """A key for a script: its public facts, JSON-able."""
    return {
        "registration_id": key.registration_id,
        "client_id": key.client.client_id,
        "key_name": key.name,
        "algorithm": key.algorithm,
        "thumbprint": key.thumbprint,
        "fingerprint": key.fingerprint,
        "status": str(key.status),
        "proven": key.proven,
        "registered_at": _iso(key.registered_at),
        "expires_at": _iso(key.expires_at),
        "retire_at": _iso(key.retire_at),
        "rotate_by": _iso(key.rotate_by),
        "decided_at": _iso(key.decided_at),
        "decision_reason": key.decision_reason,
        "revocation_reason": str(key.revocation_reason),
        "compromised_since": _iso(key.compromised_since),
        "last_used_at": _iso(key.last_used_at),
        "usage_count": key.usage_count,
    }


def key_line(key: Key) -> str:
    """A key for a person, on one line."""
    return (
        f"{key.registration_id}  {key.thumbprint[:8]}  {key.status:<9} {key.registered_at:%Y-%m-%d %H:%M}  "
        f"{key.client.client_id}" + (f"  {key.name!r}" if key.name else "")
    )


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def _with_candidates(error: KeyNameUnknown) -> str:
    if not error.candidates:
        return f"{error.message} There is no key that it could mean."
    lines = [f"  {key_line(key)}" for key in error.candidates[:MAX_CANDIDATES]]
    more = len(error.candidates) - len(lines)
    tail = [f"  … and {more} more: manage.py list_keys"] if more > 0 else []
    return "\n".join([error.message, "Candidates:", *lines, *tail])
