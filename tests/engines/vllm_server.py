"""The real vLLM OpenAI server as a child process: started, asked for its own figures, and taken down with its children."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

MODEL: Final = "tiny"
MODULE: Final = ("-m", "vllm.entrypoints.openai.api_server")
_ADDRESS: Final = "127.0.0.1"
_READY_WITHIN: Final = 240.0  # seconds; 17 on an idle machine with two cores, and test machines are seldom idle
_COUNTED_WITHIN: Final = 30.0
_GONE_WITHIN: Final = 30.0

_ENVIRONMENT: Final = {
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_CPU_KVCACHE_SPACE": "1",  # GiB
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",  # with the "uni" executor: one process fewer to start
    "OMP_NUM_THREADS": "1",  # threads that spin for work which others' processes delay are slower than one thread
}
_OPTIONS: Final = (
    *("--enforce-eager", "--dtype", "float32", "--max-model-len", "1024"),
    *("--distributed-executor-backend", "uni"),
    *("--override-generation-config", '{"temperature": 0}'),  # the same answer in every run, and never an early end
    *("--enable-auto-tool-choice", "--tool-call-parser", "hermes"),
    *("--enable-prompt-tokens-details", "--block-size", "32"),  # prompts of more than a block can be found in the cache
)


@dataclass(frozen=True, slots=True)
class VllmServer:
    """A vLLM that answers."""

    address: str
    port: int

    @property
    def url(self) -> str:
        """What `OPENAI_BASE_URL` is set to."""
        return f"http://{self.address}:{self.port}/v1"

    def counts(self) -> Counter[str]:
        """Every `vllm:…_total` that the server counts for Prometheus, summed over labels, once it has no work left."""
        return self._samples_when(lambda samples: not samples["vllm:num_requests_running"])

    def counts_since(self, before: Counter[str], *, requests: int) -> Counter[str]:
        """What was counted after `before`, once so many requests are. Answers leave vLLM before they are counted."""
        due = before["vllm:request_success_total"] + requests
        return self._samples_when(lambda samples: samples["vllm:request_success_total"] >= due) - before

    def histograms(self) -> dict[str, tuple[int, float]]:
        """Name → how often, and the sum, of every `vllm:…` histogram, over all labels."""
        told = {name: value for name, value in self._figures() if name.endswith(("_count", "_sum"))}
        return {
            name.removesuffix("_count"): (int(value), told[f"{name.removesuffix('_count')}_sum"])
            for name, value in told.items()
            if name.endswith("_count")
        }

    def _samples_when(self, condition: Callable[[Counter[str]], bool]) -> Counter[str]:
        deadline = time.monotonic() + _COUNTED_WITHIN
        while not condition(samples := self._samples()):
            assert time.monotonic() < deadline, samples
            time.sleep(0.05)
        return samples

    def _samples(self) -> Counter[str]:
        samples: Counter[str] = Counter()
        for name, value in self._figures():
            if name.endswith(("_total", ":num_requests_running")):
                samples[name] += int(value)
        return samples

    def _figures(self) -> Iterator[tuple[str, float]]:
        status, text = _get(self.port, "/metrics")
        assert status == 200, text
        for line in text.splitlines():
            sample, _, value = line.rpartition(" ")
            name = sample.partition("{")[0]
            if name.startswith("vllm:"):
                yield name, float(value)


@contextmanager
def serving(
    model: Path,
    folder: Path,
    *,
    command: tuple[str, ...] = (sys.executable, *MODULE),
    options: tuple[str, ...] = (),
    variables: Mapping[str, str] | None = None,
) -> Iterator[VllmServer]:
    """A server for `model`, ready when the block is entered and gone when it is left; `folder` takes its log and caches."""
    port = _free_port()
    log = folder / "vllm.log"
    arguments = [
        "--model",
        str(model),
        "--served-model-name",
        MODEL,
        "--host",
        _ADDRESS,
        "--port",
        str(port),
        *_OPTIONS,
        *options,
    ]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "VLLM_"))}
    environment = inherited | _ENVIRONMENT | {"VLLM_CACHE_ROOT": str(folder / "cache")} | {**(variables or {})}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, *arguments],
            cwd=folder,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _await_health(process, port, log)
        yield VllmServer(_ADDRESS, port)
    finally:
        _end(process)


def _await_health(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + _READY_WITHIN
    while process.poll() is None and time.monotonic() < deadline:
        try:
            if _get(port, "/health")[0] == 200:
                return
        except OSError:  # not listening yet
            pass
        time.sleep(0.25)
    story = "is not ready" if process.returncode is None else f"ended with {process.returncode}"
    tail = "\n".join(log.read_text(errors="replace").splitlines()[-40:])
    raise AssertionError(f"vLLM {story}; its last words:\n{tail}")


def _end(process: subprocess.Popen[bytes]) -> None:
    # The server first, so that it can stop its engine in good order; then whatever is left of its group.
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(_GONE_WITHIN)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(_GONE_WITHIN)


def _get(port: int, path: str) -> tuple[int, str]:
    # Straight to the socket: a proxy configured for the outside world has no say here.
    connection = HTTPConnection(_ADDRESS, port, timeout=10)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind((_ADDRESS, 0))
        port: int = listener.getsockname()[1]
        return port
