"""A simulator in the process of its user: for tests, and for the command.

This module imports the standard library alone; the server (extra `simulator`) is imported when it starts.
"""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from otel_genai.simulator.api.app import ServerConfig
    from otel_genai.simulator.engine.profile import Profile
    from otel_genai.simulator.telemetry import ServerTelemetry

DEFAULT_MODEL: Final = "sim-small"


@contextmanager
def serve(
    *,
    models: Sequence[str] = (DEFAULT_MODEL,),
    ttft: float = 0.0,
    itl: float = 0.0,
    error_rate: float = 0.0,
    seed: int = 0,
    profile: Profile | Path | str | None = None,
    startup: float | None = None,
    faults: Mapping[str, float | None] | None = None,
) -> Iterator[str]:
    """A server in this process, on a free loopback port, as long as the block lasts; gives its base URL.

    Times are in seconds. With a `profile`, or the path of one, the simulated engine has a batch, a KV cache and a queue: `ttft` and
    `itl` are then ignored, and `startup` is the profile's by default. `faults` have the names in
    `otel_genai.simulator.faults.faults.NAMES`. Streams that are open at the end of the block are cut off.
    """
    from otel_genai.simulator import server
    from otel_genai.simulator.api.app import application
    from otel_genai.simulator.engine.profile import Profile

    config = server_config(
        models,
        profile=Profile.read(profile) if isinstance(profile, str | Path) else profile,
        ttft=ttft,
        itl=itl,
        seed=seed,
        startup=startup,
        faults={"error_rate": error_rate, **(faults or {})},
    )
    with server.running(application(config), server.listen("127.0.0.1", 0)) as base_url:
        yield base_url


def server_config(
    models: Sequence[str],
    *,
    profile: Profile | None = None,
    ttft: float = 0.0,
    itl: float = 0.0,
    seed: int = 0,
    startup: float | None = None,
    faults: Mapping[str, float | None] | None = None,
    telemetry: ServerTelemetry | None = None,
) -> ServerConfig:
    """The engine and the state of a server that reports to `telemetry`. Loading begins now. Other parameters are those of `serve`."""
    from otel_genai.simulator.api.app import ServerConfig
    from otel_genai.simulator.engine.engine import Engine
    from otel_genai.simulator.engine.fixed_rate import FixedRateEngine
    from otel_genai.simulator.engine.lifecycle import Lifecycle
    from otel_genai.simulator.engine.startup import Startup
    from otel_genai.simulator.engine.statistics import Statistics
    from otel_genai.simulator.faults.faults import Faults

    lifecycle = Lifecycle(Statistics(), None if telemetry is None else telemetry.observer(models[0]))
    active = Faults(faults, seed=seed)
    engine = (
        Engine(lifecycle, profile, active, seed=seed)
        if profile
        else FixedRateEngine(lifecycle, seed=seed, ttft=ttft, itl=itl)
    )
    if startup is None:
        startup = profile.startup_seconds if profile else 0.0
    return ServerConfig(
        models=models,
        generate=engine.generate,
        statistics=lifecycle.statistics,
        faults=active,
        startup=Startup(startup),
        context_length=engine.context_length,
        middleware=None if telemetry is None else telemetry.middleware,
    )
