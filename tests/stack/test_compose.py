"""The composition is valid, keeps to the loopback interface, and knows how its parts do."""

from __future__ import annotations

import re
import subprocess

import pytest
import yaml

from tests.stack.compose import services
from tests.stack.programs import ROOT, program

pytestmark = pytest.mark.stack

ENVIRONMENTS = ["vllm-cpu.env", "vllm-gpu.env"]
DOCKERFILE = ROOT / "deploy" / "Dockerfile"


@pytest.mark.parametrize("options", [(), *(("--env-file", f"deploy/{name}") for name in ENVIRONMENTS)], ids=str)
def test_compose_takes_the_file(options: tuple[str, ...]) -> None:
    done = subprocess.run(
        [program("docker-compose"), *options, "config", "--quiet"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_nothing_listens_beyond_the_loopback_interface() -> None:
    ports = {port for service in services().values() for port in service.get("ports", ())}
    assert {port.split(":")[1] for port in ports} == {
        *("8080", "8000", "8001", "8002", "8003", "8004"),
        *("4317", "4318", "8889", "16686", "9090", "3000"),
    }
    assert {port.split(":")[0] for port in ports} == {"127.0.0.1"}


def test_every_image_is_pinned() -> None:
    bought = [service["image"] for service in services().values() if "build" not in service]
    begun_with = re.findall(r"^FROM (\S+)", DOCKERFILE.read_text(), re.MULTILINE)
    arguments = [
        service["build"].get("args", {}).get("VLLM_IMAGE") for service in services().values() if "build" in service
    ]
    for image in [*bought, *begun_with, *filter(None, arguments)]:
        assert image == "${VLLM_IMAGE}" or re.fullmatch(r"[\w./-]+:v?\d[\w.-]+", image), image


def test_every_target_is_a_stage() -> None:
    stages = set(re.findall(r"^FROM \S+ AS (\S+)", DOCKERFILE.read_text(), re.MULTILINE))
    assert {service["build"]["target"] for service in services().values() if "build" in service} == stages - {"busybox"}


def test_every_server_is_asked_after_its_health() -> None:
    assert {name for name, service in services().items() if "test" not in service["healthcheck"]} == {"load"}


def test_whatever_is_mounted_is_there() -> None:
    for service in services().values():
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            assert not source.startswith(".") or (ROOT / source).exists(), source


def test_images_are_built_from_files_that_are_let_in() -> None:
    let_in = {line[1:] for line in (ROOT / "deploy/Dockerfile.dockerignore").read_text().splitlines() if line[0] == "!"}
    copied = [
        source
        for sources in re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE.read_text(), re.MULTILINE)
        for source in sources.split()
    ]
    assert set(copied) == let_in
    assert all((ROOT / source).exists() for source in copied)


def test_a_real_engine_is_asked_by_the_chat_app() -> None:
    for name in ENVIRONMENTS:
        lines = (ROOT / "deploy" / name).read_text().splitlines()
        values = dict(line.split("=") for line in lines if not line.startswith("#"))
        (engine,) = (
            service for service in services().values() if service.get("profiles") == [values["COMPOSE_PROFILES"]]
        )
        assert engine["networks"]["default"]["aliases"] == ["vllm"]
        assert values["OPENAI_BASE_URL"] == "http://vllm:8000/v1"
        assert f"--model={values['OPENAI_MODEL']}" in engine["command"]


def test_the_collector_passes_on_all_three_signals() -> None:
    config = yaml.safe_load((ROOT / "deploy/collector/config.yaml").read_text())
    pipelines = config["service"]["pipelines"]
    assert {name: pipeline["exporters"] for name, pipeline in pipelines.items()} == {
        "traces": ["otlp/jaeger"],
        "metrics": ["prometheus"],
        "logs": ["debug"],
    }
    for pipeline in pipelines.values():
        for kind in ("receivers", "processors", "exporters"):
            assert set(pipeline[kind]) <= set(config[kind])
    assert config["exporters"]["prometheus"]["enable_open_metrics"] is True
