"""Instruments a child just before the import of its first GenAI library. It prints nothing and raises nothing.

Errors are logged at DEBUG: the run has the same settings, and has already reported their errors.
"""

from __future__ import annotations

import logging

from otel_genai.runner.children import config as children
from otel_genai.runner.gc_pause import gc_paused
from otel_genai.runner.shutdown.exit import Shutdown

_logger = logging.getLogger("otel_genai")


def begin() -> None:
    """Instrument this process, unless it is a run of its own."""
    if children.ignores_inherited():
        return
    try:
        with gc_paused():
            from otel_genai.runner.process import Process
            from otel_genai.runner.traceparent import take_headers

            config = children.inherited(trace_headers=take_headers())
            process = Process(config, Shutdown(None, child=True))
            process.set_up(child=True)
            process.instrument()
    except Exception:
        _logger.debug("This child is not instrumented.", exc_info=True)
