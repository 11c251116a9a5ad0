"""Ids of spans and the random numbers of the program are independent of each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.processes import RUN, outcome

if TYPE_CHECKING:
    from pathlib import Path


SEEDED = """\
import random
from opentelemetry import trace
def ids():
    random.seed(1)
    context = trace.get_tracer("app").start_span("work").get_span_context()
    return context.trace_id, context.span_id, random.random()
(*first, value), (*second, _) = ids(), ids()
print(value, {*first} & {*second}, 0 in first)
"""


def test_a_program_that_seeds_its_random_numbers_gets_the_same_numbers_and_no_id_twice(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(SEEDED)
    assert outcome(RUN, "app.py", cwd=tmp_path) == (0, "0.13436424411240122 set() False\n", "")
