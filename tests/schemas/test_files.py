"""Validating whole files: over the wire, in the background, from any point on."""

from __future__ import annotations

import errno
import gzip
import io
import json
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.utils import timezone

from project.uploads import uploads_folder
from schemas.files import jobs, runner, worker
from schemas.files.records import BadRecord, UnreadableFileError, read_csv, read_json_array, read_ndjson
from schemas.models import LEASE, JobState, ValidationJob
from tests.schemas.conftest import FIELDS
from tests.support.client import SignedClient, WireClient
from tests.support.signing import content_digest

Make = Callable[..., Any]
ROW = {"id": "0b7c5e0a-6b0e-4c5e-9c57-0d2f6f3f9f01", "at": "2026-01-01T12:00:00Z"}
FILE = "/api/v1/schemas/events/versions/1/validate-file"


@pytest.fixture(autouse=True)
def _by_hand(monkeypatch: pytest.MonkeyPatch, settings: Any, tmp_path: Path) -> None:
    """The tests say when the worker runs: its thread would not see what is not committed."""
    settings.DATA_DIR = tmp_path
    monkeypatch.setattr(jobs, "start_in_background", lambda _: None)


def upload(
    caller: SignedClient, body: bytes, media: str = "application/x-ndjson", path: str = FILE, **headers: str
) -> Any:
    return caller.call("POST", path, content=body, headers={"Content-Type": media, **headers})


def lines(*rows: Any) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def finish(answer: Any) -> ValidationJob:
    assert answer.status_code == 202, answer.content
    runner.run_job(UUID(answer.json()["data"]["id"]))
    return ValidationJob.objects.get(pk=answer.json()["data"]["id"])


def test_a_file_is_validated_and_reported(owner: SignedClient, stranger: SignedClient, make: Make) -> None:
    make("events")
    body = lines(ROW, {"id": 7}, ROW) + b"{broken\n\n" + lines(ROW)
    started = upload(owner, body)
    data = started.json()["data"]
    assert (data["state"], data["progress"], data["bytes"]) == ("queued", 0, len(body))
    finish(started)

    task = f"/api/v1/tasks/{data['id']}"
    done = owner.call("GET", task).json()["data"]
    assert (done["state"], done["progress"], done["error"]) == ("done", 1, None)
    assert (done["result"]["records"], done["result"]["invalid"], done["result"]["valid"]) == (5, 2, 3)
    first, second = done["result"]["first_problems"]
    assert (first["record"], first["problems"][0]["pointer"], first["problems"][0]["code"]) == (
        2,
        "/id",
        "TYPE_WRONG",
    )
    assert (second["record"], second["problems"][0]["code"]) == (4, "RECORD_NOT_JSON")
    report = owner.call("GET", f"{task}/report")
    assert "attachment" in report["Content-Disposition"]
    reported = [json.loads(line) for line in b"".join(report.streaming_content).splitlines()]
    assert reported == [first, second]

    for path in (task, f"{task}/report"):
        assert stranger.call("GET", path).json()["error"]["code"] == "TASK_NOT_FOUND"
    assert stranger.call("POST", f"{task}/cancel").status_code == 404
    assert owner.call("POST", f"{task}/cancel").json()["error"]["code"] == "TASK_STATE_CONFLICT"
    assert not [path for path in uploads_folder().iterdir() if path.suffix == ""]


@pytest.mark.parametrize("gzipped", ["", "encoding", "type"])
@pytest.mark.parametrize("media", ["text/csv", "application/json", "application/x-ndjson"])
def test_every_kind_of_file(owner: SignedClient, make: Make, media: str, gzipped: str) -> None:
    make("events", fields=[*FIELDS, {"name": "n", "type": "integer"}, {"name": "on", "type": "boolean"}])
    rows = [{**ROW, "n": number, "on": True} for number in range(50)] + [{**ROW, "n": "many"}]
    body = {
        "text/csv": (
            "id,at,n,on\r\n" + "".join(f"{r['id']},{r['at']},{r['n']},{r.get('on', '')}\r\n" for r in rows)
        ),
        "application/json": json.dumps(rows, indent=1),
        "application/x-ndjson": lines(*rows).decode(),
    }[media].encode()
    headers = {"Content-Encoding": "gzip"} if gzipped == "encoding" else {}
    media += "+gzip" if gzipped == "type" else ""
    job = finish(upload(owner, gzip.compress(body) if gzipped else body, media, **headers))
    assert (job.state, job.error, job.records, job.invalid) == ("done", "", 51, 1)
    assert job.first_problems[0]["problems"][0]["pointer"] == "/n"
    assert len(body) - job.offset <= len("\n]")


@pytest.mark.parametrize(
    ("media", "body", "words"),
    [
        ("application/json", b'[{"a": 1}, ', "no JSON"),
        ("application/json", b'{"a": 1}', "'['"),
        ("application/json", b"[1 2]", "comma"),
        ("application/json", b"[1] 2", "end of the file"),
        ("application/json", b"[" * 100_000, "too deep"),
        ("application/json", b'["\xff"]', "UTF-8"),
        ("text/csv", b"\n", "columns"),
        ("text/csv", b"a,a\n1,2\n", "columns"),
        ("application/x-ndjson+gzip", b"no gzip", "gzip"),
        ("application/x-ndjson+gzip", gzip.compress(lines(*[ROW] * 99))[:-9], "gzip"),
    ],
)
def test_a_file_that_cannot_be_read_fails_with_the_reason(
    owner: SignedClient, make: Make, media: str, body: bytes, words: str
) -> None:
    make("events")
    job = finish(upload(owner, body, media))
    assert job.state == "failed"
    assert words in job.error


def test_the_digest_is_checked_while_the_body_streams(owner: SignedClient, make: Make) -> None:
    make("events")
    signed = owner.signer.sign(
        "POST", f"http://testserver{FILE}", content=lines(ROW), headers={"Content-Type": "text/csv"}
    )
    signed.content = lines({**ROW, "id": 1})
    answer = owner.send(signed)
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "DIGEST_MISMATCH"
    assert ValidationJob.objects.count() == 0
    assert not [path for path in uploads_folder().iterdir() if path.suffix == ""]


def test_an_upload_is_refused_before_its_body_is_read(
    client: WireClient, owner: SignedClient, make: Make, settings: Any
) -> None:
    make("events")

    class Untouchable(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            raise AssertionError("the body was read")

    refusals = [
        ({}, FILE, 401, "SIGNATURE_MISSING"),
        (owner.signer.sign("POST", f"http://testserver{FILE}x", content=b"1").headers, FILE, 401, ""),
        ({"Content-Digest": content_digest(b"1")}, FILE, 401, "SIGNATURE_MISSING"),
        ({"Accept-Signature": 'sig1=("@status");created'}, FILE, 401, "SIGNATURE_MISSING"),
    ]
    for headers, path, status, code in refusals:
        fields = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()}
        answer = client.generic(
            "POST",
            path,
            **{"wsgi.input": Untouchable(), "CONTENT_LENGTH": "1", "CONTENT_TYPE": "text/csv", **fields},
        )
        assert answer.status_code == status, answer.content
        assert answer.json()["error"]["code"] == code or not code
    settings.DATAFOLD_MAX_UPLOAD_BYTES = 10
    assert upload(owner, b"x" * 11).status_code == 413
    assert upload(owner, b"{}\n", "application/pdf").status_code == 415
    settings.DATAFOLD_MAX_BODY_BYTES = 5
    assert owner.call("POST", "/api/v1/schemas", content=b'{"a":  1}').status_code == 413
    assert upload(owner, b'{"a": 1}\n').status_code == 202


def test_a_killed_worker_is_followed_by_another_that_goes_on(
    owner: SignedClient, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    make("events")
    body = lines(*[ROW, {"id": 1}] * 200)
    job_pk = UUID(upload(owner, body).json()["data"]["id"])
    monkeypatch.setattr(runner, "NOTE_SECONDS", 0.0)
    seen = []
    note = runner._note_progress

    def dies_later(job: ValidationJob, *rest: Any) -> None:
        note(job, *rest)
        seen.append(job.records)
        if job.records > 100:
            raise KeyboardInterrupt  # as a killed process: nothing after this runs

    monkeypatch.setattr(runner, "_note_progress", dies_later)
    with pytest.raises(KeyboardInterrupt):
        runner.run_job(job_pk)
    job = ValidationJob.objects.get(pk=job_pk)
    assert job.state == JobState.RUNNING
    assert 100 < job.records < 400

    runner.run_job(job_pk)  # the lease of the dead worker has not ended
    assert ValidationJob.objects.get(pk=job_pk).records == job.records
    ValidationJob.objects.update(heartbeat_at=timezone.now() - LEASE * 2)
    assert jobs.resume_lost(timezone.now()) == {"resumed": 1}
    monkeypatch.setattr(runner, "_note_progress", note)
    runner.run_job(job_pk)
    job.refresh_from_db()
    assert (job.state, job.records, job.invalid) == ("done", 400, 200)
    reported = [json.loads(line)["record"] for line in job.report_path.read_text().splitlines()]
    assert reported == list(range(2, 401, 2))


def test_a_file_at_which_every_worker_dies_is_given_up(
    owner: SignedClient, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    make("events")
    job_pk = UUID(upload(owner, lines(ROW)).json()["data"]["id"])

    def dies(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(runner, "_validate", dies)
    for _ in range(runner.MAX_ATTEMPTS):
        with pytest.raises(KeyboardInterrupt):
            runner.run_job(job_pk)
        ValidationJob.objects.update(heartbeat_at=timezone.now() - LEASE * 2)
    runner.run_job(job_pk)
    job = ValidationJob.objects.get(pk=job_pk)
    assert (job.state, "came no further" in job.error) == ("failed", True)
    assert jobs.resume_lost(timezone.now()) == {"resumed": 0}


def test_a_full_disk_ends_the_job_with_its_reason(
    owner: SignedClient, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    make("events")

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(runner, "_open_report", full)
    job = finish(upload(owner, lines(ROW)))
    assert (job.state, "No space left on device" in job.error) == ("failed", True)


def test_a_job_is_cancelled(owner: SignedClient, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    make("events")
    queued = upload(owner, lines(ROW)).json()["data"]
    cancelled = owner.call("POST", f"/api/v1/tasks/{queued['id']}/cancel")
    assert cancelled.json()["data"]["state"] == "cancelled"
    runner.run_job(UUID(queued["id"]))
    assert ValidationJob.objects.get().records == 0

    running = UUID(upload(owner, lines(*[ROW] * 1000)).json()["data"]["id"])
    monkeypatch.setattr(runner, "NOTE_SECONDS", 0.0)
    take = runner._take

    def cancelled_meanwhile(pk: UUID) -> ValidationJob | None:
        job = take(pk)
        assert owner.call("POST", f"/api/v1/tasks/{pk}/cancel").json()["data"]["state"] == "running"
        return job

    monkeypatch.setattr(runner, "_take", cancelled_meanwhile)
    runner.run_job(running)
    job = ValidationJob.objects.get(pk=running)
    assert job.state == "cancelled"
    assert job.records < 1000


def test_old_jobs_and_stray_files_are_forgotten(owner: SignedClient, make: Make, settings: Any) -> None:
    make("events")
    job = finish(upload(owner, lines({"id": 1})))
    stray = uploads_folder() / "0123456789abcdef"
    stray.touch()
    assert jobs.purge(timezone.now())["jobs"] == 0
    assert job.report_path.exists()
    later = timezone.now() + timedelta(days=settings.DATAFOLD_UPLOAD_DAYS + 1)
    assert jobs.purge(later) == {"jobs": 1, "files": 1}
    assert not job.report_path.exists()
    assert not stray.exists()


@pytest.mark.parametrize("reader", [read_ndjson, read_json_array, lambda f, s: read_csv(f, s, {})])
def test_a_reader_goes_on_from_every_record(reader: Any) -> None:
    rows = [{"a": "é" * number, "b": 'x,"y"\n' * (number % 3)} for number in range(1, 30)]
    bodies = {
        read_ndjson: "\ufeff" + "\n\n".join(json.dumps(row, ensure_ascii=False) for row in rows),
        read_json_array: "\ufeff" + json.dumps(rows, ensure_ascii=False, indent=2) + " \n",
    }
    quoted = "".join('"{}","{}"\r\n'.format(r["a"], r["b"].replace('"', '""')) for r in rows)
    body = bodies.get(reader, "\ufeffa,b\r\n" + quoted).encode()
    whole = list(reader(io.BytesIO(body), 0))
    assert [{"a": row["a"], "b": row.get("b", "")} for row, _ in whole] == rows
    for index, (_, end) in enumerate(whole):
        assert list(reader(io.BytesIO(body), end)) == whole[index + 1 :]


def test_hostile_records_do_not_stop_the_file() -> None:
    body = (
        b"[" * 200_000
        + b"\n"
        + b'"'
        + b"a" * 9_000_000
        + b'"\n{"ok": 1}\n\xff\xfe\n'
        + b"9" * 10_000
        + b"\nNaN\n[-Infinity]\n7"
    )
    records = [record for record, _ in read_ndjson(io.BytesIO(body), 0)]
    bad = [BadRecord, BadRecord]
    assert [type(record) for record in records] == [*bad, dict, *bad, *bad, int]


@pytest.mark.parametrize("broken", [b'{"a": NaN}', b'{"a": 1 "b": 2}', b'{"a": tru}'])
def test_a_mistake_in_a_large_array_is_named_where_it_is(broken: bytes) -> None:
    body = b"[1, " + broken + b", 2" * 4_000_000 + b"]"
    with pytest.raises(UnreadableFileError, match="byte 4 is no JSON"):
        list(read_json_array(io.BufferedReader(io.BytesIO(body)), 0))


def test_an_array_is_read_whatever_pieces_it_comes_in(monkeypatch: pytest.MonkeyPatch) -> None:
    values = [True, None, -1.5e-7, '\u00e9\U0001f600\\"', {"a": [{}, ""]}, 123456789]
    for ascii_only in (True, False):
        body = json.dumps(values, ensure_ascii=ascii_only, indent=ascii_only or None).encode()
        for piece in range(1, 40):
            monkeypatch.setattr("schemas.files.records._PIECE", piece)
            read = list(read_json_array(io.BytesIO(body), 0))
            assert [value for value, _ in read] == values
            for index, (_, end) in enumerate(read):
                assert list(read_json_array(io.BytesIO(body), end)) == read[index + 1 :]


def test_one_element_without_end_is_refused_in_bounded_memory() -> None:
    with pytest.raises(UnreadableFileError):
        list(read_json_array(io.BufferedReader(io.BytesIO(b'["' + b"a" * 20_000_000)), 0))


@pytest.mark.parametrize("media", ["application/x-ndjson", "application/json", "text/csv"])
def test_a_bomb_is_left_where_it_unpacks_to_too_much(
    owner: SignedClient, make: Make, settings: Any, monkeypatch: pytest.MonkeyPatch, media: str
) -> None:
    make("events")
    settings.DATAFOLD_MAX_UPLOAD_BYTES = 100_000
    bomb = gzip.compress({"application/json": b"[", "text/csv": b"a\n"}.get(media, b"") + b" " * 30_000_000)
    job = finish(upload(owner, bomb, media, **{"Content-Encoding": "gzip"}))
    assert job.state == "failed"
    assert "unpacks to over 1600000 bytes" in job.error


def test_a_job_without_an_end_of_line_is_cancelled_and_gives_signs_of_life(
    owner: SignedClient, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    make("events")
    started = upload(owner, gzip.compress(b" " * 20_000_000), **{"Content-Encoding": "gzip"})
    monkeypatch.setattr(runner, "BEAT_SECONDS", 0.0)
    beats: list[datetime | None] = []
    look = runner._Lookout.look

    def look_and_cancel(self: Any) -> None:
        beats.append(ValidationJob.objects.get().heartbeat_at)
        if len(beats) == 5:
            owner.call("POST", f"/api/v1/tasks/{started.json()['data']['id']}/cancel")
        look(self)

    monkeypatch.setattr(runner._Lookout, "look", look_and_cancel)
    assert finish(started).state == "cancelled"
    assert len(set(beats)) == 5


def test_with_a_broker_a_worker_does_it(
    owner: SignedClient, make: Make, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    from schemas.tasks import validate_file

    settings.CELERY_TASK_ALWAYS_EAGER = False
    queued: list[str] = []
    monkeypatch.setattr(validate_file, "delay", queued.append)
    monkeypatch.setattr(jobs, "start_in_background", worker.start_in_background)
    make("events")
    job = upload(owner, lines(ROW)).json()["data"]["id"]
    assert queued == [job]
    validate_file.apply(args=queued)
    assert ValidationJob.objects.get(pk=job).state == "done"


def test_without_a_worker_that_takes_them_files_do_not_fill_the_broker(
    owner: SignedClient,
    make: Make,
    monkeypatch: pytest.MonkeyPatch,
    settings: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What waits in the queue for over a minute looks as lost as what a killed worker left."""
    make("events")
    for _ in range(2):
        upload(owner, lines(ROW))
    ValidationJob.objects.update(created_at=timezone.now() - timedelta(hours=1))
    settings.CELERY_TASK_ALWAYS_EAGER = False
    for waiting, resumed in ((jobs.MOST_QUEUED - 1, 1), (jobs.MOST_QUEUED, 0), (None, 2)):
        monkeypatch.setattr("project.queues.state", lambda *_, waiting=waiting: (waiting, None))
        assert jobs.resume_lost(timezone.now()) == {"resumed": resumed}
    assert "a worker that takes the queue files" in caplog.text


def test_without_a_broker_a_thread_of_the_process_does_it(
    owner: SignedClient, make: Make, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.CELERY_TASK_ALWAYS_EAGER = True
    ran: list[UUID] = []
    monkeypatch.setattr(runner, "run_job", ran.append)
    monkeypatch.setattr(jobs, "start_in_background", worker.start_in_background)
    make("events")
    job = UUID(upload(owner, lines(ROW)).json()["data"]["id"])
    deadline = time.monotonic() + 10
    while not ran and time.monotonic() < deadline:
        time.sleep(0.01)
    assert ran == [job]
