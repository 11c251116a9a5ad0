"""`--with` switches on instrumentations of other packages, in the program and in its children."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.acme import install_acme
from tests.support.processes import RUN, outcome

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def plugins(tmp_path: Path) -> Path:
    """Return the folder where `acme` is installed, for PYTHONPATH."""
    return install_acme(tmp_path)


def test_by_default_only_the_instrumentations_of_this_package_are_on(plugins: Path, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("print('runs')")
    done = outcome(RUN, "app.py", cwd=tmp_path, PYTHONPATH=str(plugins))
    assert done == (0, "distro\nconfigurator app\nruns\n", "")


@pytest.mark.parametrize("names", [("acme_http",), ("acme_http,acme_http",), ("acme_http, ", "--with", "acme_http")])
def test_a_named_instrumentation_is_switched_on_by_the_distribution(
    names: tuple[str, ...], plugins: Path, tmp_path: Path
) -> None:
    (tmp_path / "app.py").write_text("print('runs')")
    done = outcome(RUN, "--with", *names, "app.py", cwd=tmp_path, PYTHONPATH=str(plugins))
    assert done == (0, "distro\nconfigurator app\nloads acme_http\ninstruments\nruns\n", "")


def test_all_means_all_that_are_not_disabled_and_one_that_fails_is_a_warning(plugins: Path, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("print('runs')")
    launcher = (*RUN, "--with", "all")
    status, out, err = outcome(launcher, "app.py", cwd=tmp_path, PYTHONPATH=str(plugins))
    assert (status, err) == (0, "acme_broken is not instrumented: broken\n")
    assert out == "distro\nconfigurator app\nloads acme_http\ninstruments\nloads acme_broken\nruns\n"
    for disabled, loaded in (("acme_broken", "loads acme_http\ninstruments\n"), ("*", "")):
        done = outcome(
            launcher, "app.py", cwd=tmp_path, PYTHONPATH=str(plugins), OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=disabled
        )
        assert done == (0, f"distro\nconfigurator app\n{loaded}runs\n", "")


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("acme_htp", "--with: no instrumentation called 'acme_htp' is installed (installed: acme_http)"),
        ("x", "--with: no instrumentation called 'x' is installed (installed: acme_broken, acme_http)"),
    ],
)
def test_an_instrumentation_that_is_not_installed_is_one_line(
    name: str, sentence: str, plugins: Path, tmp_path: Path
) -> None:
    (tmp_path / "app.py").write_text("print('must not run')")
    done = outcome(RUN, "--with", name, "app.py", cwd=tmp_path, PYTHONPATH=str(plugins))
    assert done == (2, "", f"otel-genai run: {sentence}\n")


def test_an_instrumentation_whose_library_is_not_installed_is_one_line(plugins: Path, tmp_path: Path) -> None:
    metadata = plugins / "acme-1.0.dist-info" / "METADATA"
    metadata.write_text(metadata.read_text().replace("instruments-of-others", "instruments"))
    (tmp_path / "app.py").write_text("print('must not run')")
    status, out, err = outcome(RUN, "--with", "acme_http", "app.py", cwd=tmp_path, PYTHONPATH=str(plugins))
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert err == "otel-genai run: --with acme_http: it needs nosuch>=3, which is not installed\n"


def test_children_are_instrumented_before_they_import_the_library_too(plugins: Path, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        "import subprocess, sys\n"
        "subprocess.run([sys.executable, '-c', 'print(1)'])\n"
        "subprocess.run([sys.executable, '-c', 'import wrapt; print(2)'])\n"
    )
    done = outcome((*RUN, "--with", "acme_http"), "app.py", cwd=tmp_path, PYTHONPATH=str(plugins))
    once = "distro\nconfigurator app\nloads acme_http\ninstruments\n"
    assert done == (0, f"{once}1\n{once}2\n", "")
