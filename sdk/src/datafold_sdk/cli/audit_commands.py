"""What each `datafold audit …` does."""

from __future__ import annotations

from pathlib import Path

from datafold_sdk.checkpoints import Checkpoint
from datafold_sdk.pinning import CheckpointPin
from datafold_sdk.verification import ServerKeys

from .commands import OK, Run
from .output import facts

_SHOWN = ("number", "tree_size", "hash", "keyid", "sealed_at")


def pin(run: Run) -> int:
    """Keep the latest checkpoint of the server's audit log, if it continues the one kept before."""
    kept = _pin(run)
    with run.client() as client:
        head = kept.update(client, _keys(run))
    shown = _shown(head, kept)
    run.output.result(shown, facts(f"Pinned checkpoint {head.number}: {head.tree_size} events.", shown))
    return OK


def check(run: Run) -> int:
    """Check that the server's audit log continues the kept checkpoint; with --event, that an event is in it."""
    kept = _pin(run)
    with run.client() as client:
        if run.options.event is not None:
            event = kept.check_event(client, _keys(run), run.options.event)
            run.output.result(
                event, facts(f"The event {run.options.event} is in the log as it was sealed.", event)
            )
            return OK
        pinned = kept.load()
        head = kept.check(client, _keys(run))
    shown = _shown(head, kept)
    since = (
        "Nothing is pinned yet: datafold audit pin." if pinned is None else f"It continues {pinned.number}."
    )
    run.output.result(shown, facts(f"The latest checkpoint is {head.number}. {since}", shown))
    return OK


def _pin(run: Run) -> CheckpointPin:
    default = run.store.folder / f"{run.store.profile}-checkpoint.json"
    return CheckpointPin(Path(run.options.file) if run.options.file else default)


def _keys(run: Run) -> ServerKeys:
    return ServerKeys.fetch(run.settings().server_url, timeout=run.options.timeout)


def _shown(checkpoint: Checkpoint, kept: CheckpointPin) -> dict[str, object]:
    return {"file": str(kept.path), **{name: checkpoint.document.get(name) for name in _SHOWN}}
