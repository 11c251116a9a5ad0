"""A process that a run has started, from the moment when its first library arrives. It says nothing and raises nothing.

What goes wrong is logged at DEBUG: the process that was started by hand has had the same settings, and said what is wrong with them.
"""

from __future__ import annotations

import logging

from otel_genai.runner.children import config as children
from otel_genai.runner.gc_pause import gc_paused
from otel_genai.runner.shutdown.exit import Shutdown

_logger = logging.getLogger("otel_genai")


def begin() -> None:
    """Instrument this process, unless it is a run itself."""
    if children.is_disowned():
        return
    try:
        with gc_paused():
            from otel_genai.runner.process import Process
            from otel_genai.runner.traceparent import take

            told = children.inherited(trace=take())
            process = Process(told, Shutdown(None, child=True))
            process.set_up(child=True)
            process.instrument()
    except Exception:
        _logger.debug("This child is not instrumented.", exc_info=True)
