"""The whole stack on loopback: the programs of docker-compose.yaml, without containers, faster than a real model.

nginx, Prometheus, the OTLP hop and the browser are real. Each program also serves the SDK's Prometheus exporter, in place
of the collector's.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tests.support.otlp.receiver import receiver
from tests.support.processes import ENVIRONMENT
from tests.support.stack.compose import command, environment, scraped
from tests.support.stack.programs import ROOT, answers, free_port, program, running
from tests.support.stack.prometheus import Prometheus, prometheus
from tests.support.stack.rotel import rotel

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tests.support.otlp.receiver import Received

SIMULATORS: Final = ("simulator-1", "simulator-2", "simulator-3")
PEOPLE: Final = 24

# Twice as fast as a real model, with a KV cache that is large enough for all people at once.
PROFILE: Final = """\
name = "a small model in a hurry"
prefill_tokens_per_second = 20000
decode_step_ms = [[1, 25], [32, 28], [128, 34]]
kv_cache_tokens = 30000
"""

# Calls that the chat load does not make: failures, streams that are not read to the end, a model without a price.
OTHER_CALLS: Final = """\
import time
from openai import NotFoundError, OpenAI
with OpenAI(max_retries=0) as client:
    while True:
        client.embeddings.create(model="sim-embed", input="how far is it")
        messages = [{"role": "user", "content": "Tell me everything"}]
        try:
            client.chat.completions.create(model="sim-9b", messages=messages)
        except NotFoundError:
            pass
        with client.chat.completions.create(model="sim-8b", messages=messages, stream=True) as stream:
            for _ in zip(stream, range(3)):
                pass
        time.sleep(0.5)
"""


@dataclass(frozen=True, slots=True)
class Stack:
    """The running programs, as tests use them."""

    prometheus: Prometheus
    received: Received
    """The telemetry that the OTLP hop exports."""
    chat: str
    gateway: str
    simulators: dict[str, str]
    """Name → base URL, without `/v1`."""

    def fault(self, simulator: str, *words: str) -> None:
        """Switch faults of one simulator on or off with `otel-genai fault`."""
        command = (program("otel-genai"), "fault", "--at", self.simulators[simulator], *words)
        done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 0, done.stderr


@contextmanager
def stack(folder: Path) -> Iterator[Stack]:
    """The whole stack, ready and under load; `folder` takes configurations, logs and data."""
    ports = {name: free_port() for name in (*SIMULATORS, "gateway", "chat")}
    addresses = {
        f"{name}:{inside}": f"127.0.0.1:{ports[name]}" for name, inside in {"gateway": 8000, "chat": 8080}.items()
    }
    exporters = {name: free_port() for name in (*SIMULATORS, "chat", "load", "other")}
    (folder / "profile.toml").write_text(PROFILE)
    (folder / "other.py").write_text(OTHER_CALLS)
    with ExitStack() as programs:
        received = programs.enter_context(receiver())
        hop = programs.enter_context(rotel(received.endpoint, "http", folder))
        addresses["collector:4318"] = hop.http.removeprefix("http://")

        def start(name: str, words: Sequence[str], url: str, service: str) -> None:
            variables = environment(service, addresses) | scraped(exporters[name])
            variables["OTEL_METRIC_EXPORT_INTERVAL"] = "1000"
            log = folder / f"{name}.log"
            programs.enter_context(running(words, ready=lambda: answers(url), log=log, variables=variables))

        for name in SIMULATORS:
            options = {"host": "127.0.0.1", "port": ports[name], "profile": folder / "profile.toml", "startup": "0"}
            words = [*command(name, **options), "--model=sim-embed"]
            start(name, words, f"http://127.0.0.1:{ports[name]}/health", name)
        programs.enter_context(nginx(ports, folder))
        chat = f"http://127.0.0.1:{ports['chat']}"
        start("chat", command("chat", host="127.0.0.1", port=ports["chat"]), f"{chat}/health", "chat")
        load = [*command("load", people=PEOPLE), "--pause=0.2", "--answer-tokens=60"]
        start("load", load, metrics_at(exporters["load"]), "load")
        start(
            "other",
            ["otel-genai", "run", "--no-summary", str(folder / "other.py")],
            metrics_at(exporters["other"]),
            "load",
        )
        targets = {f"{name}:8000": {f"{name}:8000": f"127.0.0.1:{ports[name]}"} for name in SIMULATORS}
        # One exporter a program, where the collector has one for all: their services' instances keep them apart.
        targets["collector:8889"] = {
            f"{name}:8000" if name in SIMULATORS else name: f"127.0.0.1:{port}" for name, port in exporters.items()
        }
        server = programs.enter_context(prometheus(targets, folder / "prometheus"))
        gateway = f"http://127.0.0.1:{ports['gateway']}/v1"
        yield Stack(server, received, chat, gateway, {name: f"http://127.0.0.1:{ports[name]}" for name in SIMULATORS})


def metrics_at(port: int) -> str:
    """The URL of a program's own Prometheus exporter."""
    return f"http://127.0.0.1:{port}/metrics"


@contextmanager
def nginx(ports: dict[str, int], folder: Path) -> Iterator[None]:
    """The gateway, on `ports["gateway"]` and in front of the simulators' ports."""
    text = (ROOT / "deploy/gateway/nginx.conf").read_text()
    for name in SIMULATORS:
        text = text.replace(f"{name}:8000", f"127.0.0.1:{ports[name]}")
    text = text.replace("listen 8000", f"listen 127.0.0.1:{ports['gateway']}")
    # Debian's nginx writes its temporary files to root's folders.
    writable = "".join(f"{what}_temp_path {folder};\n" for what in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    text = re.sub(r"^http \{\n", f"http {{\n{writable}", text, flags=re.MULTILINE)
    (folder / "nginx.conf").write_text(text)
    words = [
        "nginx",
        "-p",
        str(folder),
        "-c",
        "nginx.conf",
        "-e",
        "stderr",
        "-g",
        f"daemon off; pid {folder}/nginx.pid;",
    ]
    if not shutil.which("nginx"):
        words[0] = "/usr/sbin/nginx"  # Debian's location, which a user's PATH may lack
    url = f"http://127.0.0.1:{ports['gateway']}/gateway/health"
    with running(words, ready=lambda: answers(url), log=folder / "gateway.log"):
        yield
