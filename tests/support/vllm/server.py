"""A real vLLM OpenAI server as a child process, and the figures of its `/metrics`."""

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
_READY_WITHIN_S: Final = 240.0  # 17 on an idle machine with two cores
_COUNTED_WITHIN_S: Final = 30.0
_EXIT_WITHIN_S: Final = 30.0

_ENVIRONMENT: Final = {
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_CPU_KVCACHE_SPACE": "1",  # GiB
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",  # with the "uni" executor: one process fewer to start
    "OMP_NUM_THREADS": "1",  # on a busy machine, spinning threads are slower than one thread
}
_OPTIONS: Final = (
    *("--enforce-eager", "--dtype", "float32", "--max-model-len", "1024"),
    *("--distributed-executor-backend", "uni"),
    *("--override-generation-config", '{"temperature": 0}'),  # the same answer in every run, of full length
    *("--enable-auto-tool-choice", "--tool-call-parser", "hermes"),
    *(
        "--enable-prompt-tokens-details",
        "--block-size",
        "32",
    ),  # so that the prefix cache holds prompts of more than 32 tokens
)


@dataclass(frozen=True, slots=True)
class VllmServer:
    """A vLLM server that is ready."""

    address: str
    port: int

    @property
    def url(self) -> str:
        """The value of `OPENAI_BASE_URL`."""
        return f"http://{self.address}:{self.port}/v1"

    def counts(self) -> Counter[str]:
        """Every counter `vllm:…_total`, summed over labels, once no request is running."""
        return self._samples_when(lambda samples: not samples["vllm:num_requests_running"])

    def counts_since(self, before: Counter[str], *, requests: int) -> Counter[str]:
        """The counts since `before`, once `requests` are counted. vLLM answers a request before it counts it."""
        expected = before["vllm:request_success_total"] + requests
        return self._samples_when(lambda samples: samples["vllm:request_success_total"] >= expected) - before

    def histograms(self) -> dict[str, tuple[int, float]]:
        """Name → (count, sum) of every histogram `vllm:…`, over all labels."""
        samples = {name: value for name, value in self._figures() if name.endswith(("_count", "_sum"))}
        return {
            name.removesuffix("_count"): (int(value), samples[f"{name.removesuffix('_count')}_sum"])
            for name, value in samples.items()
            if name.endswith("_count")
        }

    def _samples_when(self, condition: Callable[[Counter[str]], bool]) -> Counter[str]:
        deadline = time.monotonic() + _COUNTED_WITHIN_S
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
    """A server for `model`, ready when the block begins and stopped when it ends; `folder` takes its log and caches."""
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
        _stop(process)


def _await_health(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + _READY_WITHIN_S
    while process.poll() is None and time.monotonic() < deadline:
        try:
            if _get(port, "/health")[0] == 200:
                return
        except OSError:  # not listening yet
            pass
        time.sleep(0.25)
    state = "is not ready" if process.returncode is None else f"ended with {process.returncode}"
    tail = "\n".join(log.read_text(errors="replace").splitlines()[-40:])
    raise AssertionError(f"vLLM {state}; the end of its log:\n{tail}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    # The server first, so that it stops its engine in order; then the rest of its process group.
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(_EXIT_WITHIN_S)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(_EXIT_WITHIN_S)


def _get(port: int, path: str) -> tuple[int, str]:
    # Not through a proxy that the environment may configure.
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
