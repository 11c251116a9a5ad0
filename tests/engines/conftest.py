"""Engines that these tests share, started once a session."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.tiny_model import make_tiny_model
from tests.support.vllm.in_process import make_async_llm, make_llm
from tests.support.vllm.server import VllmServer, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Without vLLM no test is collected, and a run of these tests alone fails.
collect_ignore_glob = [] if find_spec("vllm") else ["test_*.py"]


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the tiny model."""
    return make_tiny_model(tmp_path_factory.mktemp("tiny_model"))


@pytest.fixture(scope="session")
def vllm_server(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[VllmServer]:
    """A real vLLM server of the tiny model."""
    with serving(tiny_model, tmp_path_factory.mktemp("vllm")) as server:
        yield server


@pytest.fixture(scope="session")
def llm(tiny_model: Path) -> Any:
    """An `LLM` in this process, with statistics."""
    return make_llm(tiny_model)


@pytest.fixture(scope="session")
def silent_llm(tiny_model: Path) -> Any:
    """An `LLM` in this process, without statistics: vLLM's default."""
    return make_llm(tiny_model, disable_log_stats=True)


@pytest.fixture(scope="session")
def async_llm(tiny_model: Path) -> Any:
    """An `AsyncLLM` in this process. It belongs to the session's event loop."""
    return make_async_llm(tiny_model)
