"""Prometheus counters, from what `session.on_run` hands on."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from mmcache.api.report import Report


class Metrics:
    """The counters of one service."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()

        def counter(name: str, about: str, labels: tuple[str, ...] = ("plan",)) -> Counter:
            return Counter(f"mmcache_{name}", about, labels, registry=self.registry)

        self._requests = counter("requests", "Requests by plan and outcome.", ("plan", "outcome"))
        self._full = counter("full_steps", "Denoiser calls that ran the whole model.")
        self._cached = counter("cached_steps", "Denoiser calls that ran the skip branch, or nothing.")
        self._misses = counter("cache_misses", "Full calls that were to be cached: no kept feature fitted.")
        self._saved = counter("saved_macs", "Multiply-adds that caching has saved.")
        self._held = Gauge(
            "mmcache_bytes_held", "Bytes of kept features, of the last run.", registry=self.registry
        )
        self._seconds = Histogram(
            "mmcache_denoiser_seconds", "Seconds in denoisers of a run.", ("plan",), registry=self.registry
        )

    def recorder(self, plan: str) -> Callable[[Report], None]:
        """What `session.on_run` calls for requests with this plan; counters may be moved by any thread."""

        def record(report: Report) -> None:
            self._full.labels(plan).inc(report.full_steps)
            self._cached.labels(plan).inc(report.cached_steps)
            self._misses.labels(plan).inc(report.cache_misses)
            if report.macs is not None and report.full_macs is not None:
                self._saved.labels(plan).inc(report.full_macs - report.macs)
            self._held.set(report.bytes_held)
            self._seconds.labels(plan).observe(report.seconds)

        return record

    def answered(self, plan: str, outcome: str) -> None:
        """A request is over: "ok", "timeout" or "error"."""
        self._requests.labels(plan, outcome).inc()

    def text(self) -> str:
        """All of them in Prometheus' format."""
        return generate_latest(self.registry).decode()
