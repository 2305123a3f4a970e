"""Request ids through the worker; traces and crash reports where the settings ask for them.

Neither OpenTelemetry nor Sentry is imported unless it is configured, and neither is told a secret: no
header, query, body, argument or local variable leaves the server.
"""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from project.context import RequestContext, current_context, use_context

if TYPE_CHECKING:
    from celery import Celery

log = logging.getLogger(__name__)

_REQUEST_ID = "datafold_request_id"
_PUBLISHED = "datafold_published_at"
_TRACE = "datafold_traceparent"


# --- Celery ------------------------------------------------------------------------------------------


def connect_celery(app: Celery) -> None:
    """Tasks carry the id of the request that sent them, and when; their log lines and events say so.

    Celery offers no other way into a message or around a task than its signals.
    """
    from celery import signals

    def before_publish(headers: dict[str, Any] | None = None, **_: Any) -> None:
        if headers is not None:
            headers[_PUBLISHED] = time.time()
            if request_id := current_context().request_id:
                headers[_REQUEST_ID] = request_id
            if trace := _current_trace():
                headers[_TRACE] = trace

    def before_run(task_id: str = "", task: Any = None, **_: Any) -> None:
        request_id = task.request.get(_REQUEST_ID) or current_context().request_id or task_id
        stack = ExitStack()
        stack.enter_context(use_context(RequestContext(request_id=str(request_id)[:64])))
        stack.enter_context(_task_span(task))
        task.request.datafold_stack = stack

    def after_run(task: Any = None, **_: Any) -> None:
        stack: ExitStack | None = getattr(task.request, "datafold_stack", None)
        if stack is not None:
            stack.close()

    # Celery would replace the log format of the settings by its own.
    signals.setup_logging.connect(_keep_logging, weak=False, dispatch_uid="datafold.logging")
    signals.before_task_publish.connect(before_publish, weak=False, dispatch_uid="datafold.publish")
    signals.task_prerun.connect(before_run, weak=False, dispatch_uid="datafold.prerun")
    signals.task_postrun.connect(after_run, weak=False, dispatch_uid="datafold.postrun")
    signals.worker_process_init.connect(_configure_worker, weak=False, dispatch_uid="datafold.worker")


def published_at(message: bytes | str) -> float | None:
    """When a task's message, as it lies in Redis, was sent (Unix seconds); None where it does not say."""
    try:
        headers = json.loads(message).get("headers", {})
        return float(headers[_PUBLISHED])
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def _keep_logging(**_: Any) -> None:
    """Django has configured it already."""


def _configure_worker(**_: Any) -> None:
    configure()


# --- Traces and crash reports --------------------------------------------------------------------------


def configure() -> None:
    """Start what the settings ask for.

    gunicorn's processes inherit it from the one that loaded the application: both libraries start their
    threads anew after a fork. Each process of Celery's worker does it for itself.
    """
    if settings.SENTRY_DSN:
        configure_sentry(settings.SENTRY_DSN)
    if settings.OTEL_EXPORTER_OTLP_ENDPOINT:
        configure_tracing()


def configure_sentry(dsn: str) -> None:
    import sentry_sdk

    sentry_sdk.init(
        dsn=dsn,
        release=settings.VERSION,
        environment="development" if settings.DATAFOLD_DEVELOPMENT else "production",
        send_default_pii=False,
        include_local_variables=False,
        include_source_context=False,
        max_request_body_size="never",
        max_breadcrumbs=0,
        traces_sample_rate=0.0,
        auto_session_tracking=False,
        before_send=without_secrets,
    )


def without_secrets(event: Any, hint: Mapping[str, Any]) -> Any:
    """A crash report with its request cut down to method and path, and with the request id.

    Of a log line only the text that stands in the source is kept; what was filled in is whatever it may be.
    """
    request = event.pop("request", None) or {}
    url = str(request.get("url", "")).partition("?")[0]
    event["request"] = {"method": request.get("method"), "url": url}
    for name in ("user", "extra", "breadcrumbs", "modules", "server_name"):
        event.pop(name, None)
    for value in (event.get("exception") or {}).get("values", []):
        value["value"] = _without_secrets(value.get("value", ""))
    said = [(event.pop("logentry", None) or {}).get("message"), event.pop("message", None)]
    if any(said):
        event["logentry"] = {"message": _without_secrets(said[0] or said[1])}
    event.setdefault("tags", {})["request_id"] = current_context().request_id
    return event


# What an error's text may quote: passwords in URLs, bearer tokens, long runs of key material.
_SECRETS = re.compile(r"(?<=://)[^\s/@]+@|(?i:bearer)\s+\S+|[A-Za-z0-9+/_=-]{32,}")


def _without_secrets(text: object) -> str:
    return _SECRETS.sub("[hidden]", str(text))[:500]


def configure_tracing() -> None:
    """Spans go to OTEL_EXPORTER_OTLP_ENDPOINT in batches, off the request's thread."""
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.sampling import TraceIdRatioBased

    resource = Resource.create({"service.name": "datafold", "service.version": settings.VERSION})
    provider = TracerProvider(resource=resource, sampler=TraceIdRatioBased(settings.DATAFOLD_TRACE_RATIO))
    endpoint = settings.OTEL_EXPORTER_OTLP_ENDPOINT.rstrip("/") + "/v1/traces"
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint)))
    trace.set_tracer_provider(provider)


class TracingMiddleware:
    """One span for each request; in MIDDLEWARE only where tracing is configured.

    A caller's `traceparent` joins the span to the caller's trace. Whether it is recorded is decided
    here: a stranger cannot make this server record everything.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        from opentelemetry import trace

        parent = _extract(request.META.get("HTTP_TRACEPARENT", ""))
        tracer = trace.get_tracer("datafold")
        with tracer.start_as_current_span(
            f"{request.method}", context=parent, kind=trace.SpanKind.SERVER, record_exception=False
        ) as span:
            response = self.get_response(request)
            match = request.resolver_match
            route = match.route if match else "unknown"
            context = current_context()
            span.update_name(f"{request.method} {route}")
            span.set_attributes(
                {
                    "http.request.method": str(request.method),
                    "http.route": route,
                    "http.response.status_code": response.status_code,
                    "datafold.request_id": context.request_id,
                    "datafold.error_code": str(context.log_fields.get("error_code", "")),
                }
            )
        return response


def _extract(traceparent: str) -> Any:
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return TraceContextTextMapPropagator().extract({"traceparent": traceparent}) if traceparent else None


def _current_trace() -> str:
    if not settings.OTEL_EXPORTER_OTLP_ENDPOINT:
        return ""
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return carrier.get("traceparent", "")


def _task_span(task: Any) -> AbstractContextManager[Any]:
    if not settings.OTEL_EXPORTER_OTLP_ENDPOINT:
        return nullcontext()
    from opentelemetry import trace

    parent = _extract(str(task.request.get(_TRACE) or ""))
    span: AbstractContextManager[Any] = trace.get_tracer("datafold").start_as_current_span(
        f"task {task.name}", context=parent, kind=trace.SpanKind.CONSUMER, record_exception=False
    )
    return span
