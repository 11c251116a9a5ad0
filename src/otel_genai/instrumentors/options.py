"""The arguments of `instrument()` and the settings of the environment, read and checked when it is called."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from otel_genai.config import COMPLETION_HOOK, Config

_PROVIDERS: Final = ("tracer_provider", "meter_provider", "logger_provider")
_SETTINGS: Final = ("provider", "redact", "completion_hook", "engine_stats")


class InstrumentOptions(NamedTuple):
    """The settings in force, and the OpenTelemetry providers that replace the global ones, by argument name."""

    config: Config
    providers: dict[str, Any]

    @classmethod
    def parse(cls, **options: Any) -> InstrumentOptions:
        """Options of the keyword arguments of `instrument()` and the environment. Raises ValueError for unknown or unusable arguments."""
        unknown = options.keys() - {*_PROVIDERS, *_SETTINGS}
        if unknown:
            known = ", ".join((*_PROVIDERS, *_SETTINGS))
            raise ValueError(f"instrument() does not know {', '.join(sorted(unknown))}; it takes {known}")
        config = Config.from_environment(**{name: options[name] for name in _SETTINGS if name in options})
        hook_name = COMPLETION_HOOK.read()
        if config.completion_hook is not None or hook_name is not None:
            from otel_genai.telemetry import completion_hook

            config = config._replace(completion_hook=completion_hook.usable(config.completion_hook, hook_name))
        return cls(config, {name: options[name] for name in _PROVIDERS if name in options})
