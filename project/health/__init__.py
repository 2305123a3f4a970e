"""Health for load balancers, schedulers and people on call. Every answer is bounded when a part hangs."""

from project.health.views import detailed, live, ready, summary

__all__ = ["detailed", "live", "ready", "summary"]
