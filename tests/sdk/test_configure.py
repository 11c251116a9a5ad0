"""The installed distribution and configurator set the SDK up, within the limits of the environment."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.acme import install_acme
from tests.support.otlp.receiver import receiver
from tests.support.processes import RUN, outcome

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def plugins(tmp_path: Path) -> Path:
    """Return the folder where `acme` is installed, for PYTHONPATH."""
    return install_acme(tmp_path)


def test_an_installed_distribution_sets_the_sdk_up(plugins: Path, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        "from opentelemetry import trace\nprint(trace.get_tracer_provider().resource.attributes['by'])"
    )
    expected = (0, "distro\nconfigurator app\nacme\n", "")
    assert outcome(RUN, "app.py", cwd=tmp_path, PYTHONPATH=str(plugins)) == expected


def test_the_settings_of_a_distribution_send_nothing_and_are_removed_from_the_environment(
    plugins: Path, tmp_path: Path
) -> None:
    (tmp_path / "app.py").write_text(
        "import os, sys\nprint('grpc' in sys.modules, [name for name in os.environ if name.startswith('OTEL_EXP')])"
    )
    done = outcome(RUN, "app.py", cwd=tmp_path, PYTHONPATH=str(plugins))
    assert done == (0, "distro\nconfigurator app\nFalse []\n", "")


def test_a_distribution_and_an_endpoint_work_together(plugins: Path, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("from opentelemetry import trace\ntrace.get_tracer('app').start_span('own').end()")
    with receiver() as received:
        done = outcome(
            RUN, "app.py", cwd=tmp_path, PYTHONPATH=str(plugins), OTEL_EXPORTER_OTLP_ENDPOINT=received.endpoint
        )
    assert done == (0, "distro\nconfigurator app\n", "")
    assert [span.name for span in received.spans] == ["own"]


@pytest.mark.parametrize(
    ("variable", "sentence"),
    [
        ("OTEL_PYTHON_DISTRO", "OTEL_PYTHON_DISTRO: 'acne' is not installed (installed: acme)"),
        ("OTEL_PYTHON_CONFIGURATOR", "OTEL_PYTHON_CONFIGURATOR: 'acne' is not installed (installed: acme)"),
    ],
)
def test_a_distribution_that_is_not_installed_is_one_line(
    variable: str, sentence: str, plugins: Path, tmp_path: Path
) -> None:
    (tmp_path / "app.py").write_text("print('must not run')")
    done = outcome(RUN, "app.py", cwd=tmp_path, PYTHONPATH=str(plugins), **{variable: "acne"})
    assert (done[0], done[1].replace("distro\n", ""), done[2]) == (2, "", f"otel-genai run: {sentence}\n")
