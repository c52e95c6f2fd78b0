"""Settings: defaults, refusals, and what may be reached from other computers."""

from dataclasses import replace
from pathlib import Path

import pytest

from app.settings import (
    Settings,
    SettingsError,
    check_exposure,
    read_password,
    settings_from_environment,
)


@pytest.fixture
def password_file(tmp_path: Path) -> Path:
    path = tmp_path / "password"
    path.write_text("correct horse\n", encoding="utf-8")
    return path


def test_an_empty_environment_gives_the_documented_defaults() -> None:
    assert settings_from_environment({}) == Settings(
        cache=Path("cache").absolute(),
        hub_cache=Path.home() / ".cache/huggingface/hub",
        host="127.0.0.1",
        port=8050,
        password_file=None,
        trusted_hosts=("localhost", "127.0.0.1", "[::1]"),
        build_sample=False,
        allow_models="hub",
        debug=False,
    )


def test_every_variable_is_read(tmp_path: Path) -> None:
    settings = settings_from_environment({
        "QKATLAS_CACHE": str(tmp_path),
        "QKATLAS_HOST": "0.0.0.0",
        "QKATLAS_PORT": "80",
        "QKATLAS_PASSWORD_FILE": "/run/secrets/password",
        "QKATLAS_TRUSTED_HOSTS": "Atlas.example.org, .lab.example ,[fe80::1]",
        "QKATLAS_SAMPLE": "1",
        "QKATLAS_ALLOW_MODELS": "hub",
        "HF_HUB_CACHE": "/models",
        "DASH_DEBUG": "True",
    })  # fmt: skip
    assert settings == Settings(
        cache=tmp_path,
        hub_cache=Path("/models"),
        host="0.0.0.0",
        port=80,
        password_file=Path("/run/secrets/password"),
        trusted_hosts=(
            "localhost", "127.0.0.1", "[::1]", "0.0.0.0",
            "atlas.example.org", ".lab.example", "[fe80::1]",
        ),
        build_sample=True,
        allow_models="hub",
        debug=True,
    )  # fmt: skip


def test_empty_variables_count_as_unset() -> None:
    names = ("QKATLAS_CACHE", "QKATLAS_HOST", "QKATLAS_PORT", "QKATLAS_PASSWORD_FILE", "HF_HOME")
    assert settings_from_environment(dict.fromkeys(names, " ")) == settings_from_environment({})


def test_hf_home_holds_the_hub_cache() -> None:
    settings = settings_from_environment({"HF_HOME": "/data/hf"})
    assert settings.hub_cache == Path("/data/hf/hub")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "[::1]", "localhost"])
def test_loopback_addresses_are_recognised(host: str) -> None:
    assert settings_from_environment({"QKATLAS_HOST": host}).is_loopback


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "atlas", "localhost.evil.org"])
def test_other_addresses_are_exposed_and_get_the_catalogue_only(host: str) -> None:
    settings = settings_from_environment({"QKATLAS_HOST": host})
    assert not settings.is_loopback
    assert settings.allow_models == "catalogue"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("QKATLAS_PORT", port) for port in ("0", "65536", "-1", "80a", "8e3", "٨", "080500000")),
        ("QKATLAS_SAMPLE", "yes"),
        ("QKATLAS_ALLOW_MODELS", "all"),
        *(
            ("QKATLAS_TRUSTED_HOSTS", hosts)
            for hosts in ("http://a.org", "a.org:80", "*", ".", "a b", "a/b", "a.org,é.org")
        ),
    ],
)
def test_values_that_cannot_be_used_are_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"{name}: found .*, expected"):
        settings_from_environment({name: value})


@pytest.mark.parametrize(
    ("host", "has_password", "is_allowed"),
    [
        ("127.0.0.1", False, True),
        ("127.0.0.1", True, True),
        ("::1", False, True),
        ("localhost", False, True),
        ("0.0.0.0", False, False),
        ("0.0.0.0", True, True),
        ("::", False, False),
        ("192.168.1.4", False, False),
    ],
)
def test_exposure_needs_a_password(
    host: str, has_password: bool, is_allowed: bool, password_file: Path
) -> None:
    settings = settings_from_environment({"QKATLAS_HOST": host})
    if has_password:
        settings = replace(settings, password_file=password_file)
    if is_allowed:
        check_exposure(settings)
    else:
        with pytest.raises(
            SettingsError, match=r"reachable .* no password\..*QKATLAS_PASSWORD_FILE"
        ):
            check_exposure(settings)


@pytest.mark.parametrize("name", ["DASH_DEBUG", "FLASK_DEBUG"])
def test_the_debugger_is_never_exposed(name: str, password_file: Path) -> None:
    environ = {name: "1", "QKATLAS_PASSWORD_FILE": str(password_file)}
    check_exposure(settings_from_environment(environ))
    with pytest.raises(SettingsError, match="debugger"):
        check_exposure(settings_from_environment(environ | {"QKATLAS_HOST": "0.0.0.0"}))


@pytest.mark.parametrize("value", ["0", "false", "False", "off"])
def test_a_debug_variable_that_says_no_means_no(value: str) -> None:
    assert not settings_from_environment({"DASH_DEBUG": value}).debug


def test_the_password_loses_only_its_line_end(password_file: Path) -> None:
    password_file.write_bytes(b" two words \r\n")
    settings = settings_from_environment({"QKATLAS_PASSWORD_FILE": str(password_file)})
    assert read_password(settings) == " two words "


@pytest.mark.parametrize("content", [None, b"", b"\n", b"\xff\xfe"])
def test_a_password_file_without_password_is_refused_on_loopback_too(
    content: bytes | None, tmp_path: Path
) -> None:
    path = tmp_path / "password"
    if content is not None:
        path.write_bytes(content)
    settings = settings_from_environment({"QKATLAS_PASSWORD_FILE": str(path)})
    with pytest.raises(SettingsError, match="QKATLAS_PASSWORD_FILE"):
        check_exposure(settings)
