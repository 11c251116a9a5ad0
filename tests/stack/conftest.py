"""The stack starts once for all tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.stack.stack import Stack, stack

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def running_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The whole stack under load."""
    with stack(tmp_path_factory.mktemp("stack")) as running:
        yield running
