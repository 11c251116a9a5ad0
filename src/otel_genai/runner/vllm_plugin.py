"""vLLM's plug-in (entry point `vllm.general_plugins`): instruments a vLLM that cannot be started by `otel-genai run`.

vLLM loads it in all of its processes. It does nothing unless `OTEL_GENAI_VLLM_PLUGIN` switches it on. A process that makes an engine
sets the SDK up, unless there is a provider. The engine core and the workers, which vLLM starts, export nothing.
"""

from __future__ import annotations

import logging
import sys

from otel_genai.config import VLLM_PLUGIN
from otel_genai.guard import Guard

_logger = logging.getLogger("otel_genai")
_ACTIVATING = Guard("this vLLM is not instrumented")
_SERVICE = "vllm"


def activate() -> None:
    """Instrument this process if the setting says so. vLLM may call it several times."""
    with _ACTIVATING:
        if VLLM_PLUGIN.read():
            import otel_genai
            from otel_genai.server.cold_start import before_first_engine

            if "opentelemetry.sdk.trace" in sys.modules:
                from otel_genai.sdk.span_ids import use_unseeded_ids

                use_unseeded_ids()
            before_first_engine(_set_up)
            otel_genai.instrument()


def _set_up() -> None:
    try:
        from otel_genai.runner.children.config import ChildConfig
        from otel_genai.runner.process import Process
        from otel_genai.runner.shutdown.exit import Shutdown
        from otel_genai.sdk import providers

        if not providers.are_set():
            process = Process(ChildConfig(service_name=_SERVICE), Shutdown(None))
            process.set_up()
            process.instrument()
    except Exception as error:
        _logger.warning("%s: no telemetry is sent: %s", VLLM_PLUGIN.variable, error)
        _logger.debug("Details:", exc_info=True)
