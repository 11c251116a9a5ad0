"""The Compose file is valid, publishes ports on loopback only, and has health checks."""

from __future__ import annotations

import re
import subprocess

import pytest
import yaml

from tests.support.stack.compose import services
from tests.support.stack.programs import ROOT, program

pytestmark = pytest.mark.stack

ENVIRONMENTS = ["vllm-cpu.env", "vllm-gpu.env"]
DOCKERFILE = ROOT / "deploy" / "Dockerfile"


@pytest.mark.parametrize("options", [(), *(("--env-file", f"deploy/{name}") for name in ENVIRONMENTS)], ids=str)
def test_compose_accepts_the_file(options: tuple[str, ...]) -> None:
    done = subprocess.run(
        [program("docker-compose"), *options, "config", "--quiet"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_every_port_is_published_on_loopback_only() -> None:
    ports = {port for service in services().values() for port in service.get("ports", ())}
    assert {port.split(":")[1] for port in ports} == {
        *("8080", "8000", "8001", "8002", "8003", "8004"),
        *("4317", "4318", "8889", "16686", "9090", "3000"),
    }
    assert {port.split(":")[0] for port in ports} == {"127.0.0.1"}


def test_every_image_is_pinned() -> None:
    pulled = [service["image"] for service in services().values() if "build" not in service]
    base_images = re.findall(r"^FROM (\S+)", DOCKERFILE.read_text(), re.MULTILINE)
    arguments = [
        service["build"].get("args", {}).get("VLLM_IMAGE") for service in services().values() if "build" in service
    ]
    for image in [*pulled, *base_images, *filter(None, arguments)]:
        assert image == "${VLLM_IMAGE}" or re.fullmatch(r"[\w./-]+:v?\d[\w.-]+", image), image


def test_every_build_target_is_a_stage_of_the_dockerfile() -> None:
    stages = set(re.findall(r"^FROM \S+ AS (\S+)", DOCKERFILE.read_text(), re.MULTILINE))
    assert {service["build"]["target"] for service in services().values() if "build" in service} == stages - {"busybox"}


def test_every_server_has_a_health_check() -> None:
    assert {name for name, service in services().items() if "test" not in service["healthcheck"]} == {"load"}


def test_every_mounted_file_exists() -> None:
    for service in services().values():
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            assert not source.startswith(".") or (ROOT / source).exists(), source


def test_the_build_context_has_every_copied_file() -> None:
    included = {
        line[1:] for line in (ROOT / "deploy/Dockerfile.dockerignore").read_text().splitlines() if line[0] == "!"
    }
    copied = [
        source
        for sources in re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE.read_text(), re.MULTILINE)
        for source in sources.split()
    ]
    assert set(copied) == included
    assert all((ROOT / source).exists() for source in copied)


def test_the_chat_app_calls_the_real_engine_of_each_profile() -> None:
    for name in ENVIRONMENTS:
        lines = (ROOT / "deploy" / name).read_text().splitlines()
        values = dict(line.split("=") for line in lines if not line.startswith("#"))
        (engine,) = (
            service for service in services().values() if service.get("profiles") == [values["COMPOSE_PROFILES"]]
        )
        assert engine["networks"]["default"]["aliases"] == ["vllm"]
        assert values["OPENAI_BASE_URL"] == "http://vllm:8000/v1"
        assert f"--model={values['OPENAI_MODEL']}" in engine["command"]


def test_the_collector_exports_all_three_signals() -> None:
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
