"""The container gives away no more than it must (reliability G1, G5)."""

import json
import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def service():
    [found] = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"].values()
    return found


def dockerfile(command):
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    return re.findall(rf"^{command} (.*)$", text, re.MULTILINE)


def test_it_does_not_run_as_root():
    [user] = dockerfile("USER")
    assert int(user) > 0


def test_the_program_itself_gets_the_signals():
    [command] = dockerfile("ENTRYPOINT")
    assert json.loads(command)[0] == "python"


def test_it_has_a_health_check_and_keeps_its_data_apart():
    assert dockerfile("HEALTHCHECK")
    assert dockerfile("VOLUME") == ["/data"]
    assert "QKATLAS_CACHE=/data" in " ".join(dockerfile("ENV"))


def test_it_is_published_to_this_computer_only(service):
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])


def test_it_can_write_nothing_but_its_volume_and_gets_no_rights(service):
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert service["init"] is True


def test_it_cannot_take_the_whole_machine(service):
    assert service["pids_limit"] <= 512
    assert re.fullmatch(r"\d+g", service["mem_limit"])
