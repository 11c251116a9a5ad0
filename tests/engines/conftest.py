"""The engines that these tests share, started once a session. Without vLLM there is nothing here to collect."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest

from tests.engines.tiny_model import make_tiny_model
from tests.engines.vllm_in_process import make_async_llm, make_llm
from tests.engines.vllm_server import VllmServer, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# An environment without vLLM collects nothing here, and a run that was asked for these tests alone then fails.
collect_ignore_glob = [] if find_spec("vllm") else ["test_*.py"]


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the tiny model in it."""
    return make_tiny_model(tmp_path_factory.mktemp("tiny_model"))


@pytest.fixture(scope="session")
def vllm_server(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[VllmServer]:
    """The real vLLM, serving the tiny model."""
    with serving(tiny_model, tmp_path_factory.mktemp("vllm")) as server:
        yield server


@pytest.fixture(scope="session")
def llm(tiny_model: Path) -> Any:
    """VLLM in this process, with statistics."""
    return make_llm(tiny_model)


@pytest.fixture(scope="session")
def silent_llm(tiny_model: Path) -> Any:
    """VLLM in this process, without statistics: its own default."""
    return make_llm(tiny_model, disable_log_stats=True)


@pytest.fixture(scope="session")
def async_llm(tiny_model: Path) -> Any:
    """VLLM's asynchronous engine in this process. It belongs to the session's event loop."""
    return make_async_llm(tiny_model)
