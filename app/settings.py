"""Settings of the dashboard, from environment variables. Nothing else in `app` reads them."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")
OFF = ("", "0", "false", "no", "off")
# A name, .name for all its subdomains, or an IPv6 address; no scheme, port, path or wildcard.
HOST_NAME = re.compile(r"\.?[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\]")


class SettingsError(Exception):
    """A setting that cannot be used; its text is shown as it is."""


@dataclass(frozen=True)
class Settings:
    """How this dashboard runs.

    Parameters
    ----------
    cache : folder for everything that is computed.
    hub_cache : folder where Hugging Face models lie.
    host, port : address to listen on.
    password_file : its content is the password of the dashboard; None for no password.
    trusted_hosts : lower-case names under which browsers may reach the dashboard, without port.
    build_sample : build the sample atlas when it starts.
    allow_models : "catalogue", or "hub" for any Hugging Face id and any local folder too.
    debug : DASH_DEBUG or FLASK_DEBUG asks for the debugger, which runs code for its visitors.
    """

    cache: Path
    hub_cache: Path
    host: str = "127.0.0.1"
    port: int = 8050
    password_file: Path | None = None
    trusted_hosts: tuple[str, ...] = LOOPBACK_NAMES
    build_sample: bool = False
    allow_models: Literal["catalogue", "hub"] = "hub"
    debug: bool = False

    @property
    def is_loopback(self) -> bool:
        """Whether only this computer can reach the dashboard."""
        return _is_loopback(self.host)


def settings_from_environment(environ: Mapping[str, str]) -> Settings:
    """Read the settings; an empty variable counts as one that is not set.

    Parameters
    ----------
    environ : names and values, usually `os.environ`:

        - QKATLAS_CACHE (./cache), QKATLAS_HOST (127.0.0.1), QKATLAS_PORT (8050);
        - QKATLAS_PASSWORD_FILE (none), see `check_exposure`;
        - QKATLAS_TRUSTED_HOSTS: comma-separated names, besides the loopback names and
          QKATLAS_HOST, which are always trusted (a health check inside a container uses them,
          and no foreign page can send them);
        - QKATLAS_SAMPLE: 1 builds the sample atlas at start (0);
        - QKATLAS_ALLOW_MODELS: catalogue or hub (hub where only this computer can reach us, else
          catalogue: a stranger's model is a stranger's download on our disk);
        - HF_HUB_CACHE (HF_HOME/hub), HF_HOME (~/.cache/huggingface), as in huggingface_hub;
        - DASH_DEBUG, FLASK_DEBUG.

    Raises
    ------
    SettingsError : a value that cannot be used; names the variable.
    """
    given = {name: value.strip() for name, value in environ.items() if value.strip()}
    host = given.get("QKATLAS_HOST", "127.0.0.1").strip("[]").lower()
    hf_home = given.get("HF_HOME", "~/.cache/huggingface")
    default_models = "hub" if _is_loopback(host) else "catalogue"
    password_file = given.get("QKATLAS_PASSWORD_FILE")
    return Settings(
        cache=_path(given.get("QKATLAS_CACHE", "cache")),
        hub_cache=_path(given.get("HF_HUB_CACHE", f"{hf_home}/hub")),
        host=host,
        port=_port(given.get("QKATLAS_PORT", "8050")),
        password_file=_path(password_file) if password_file else None,
        trusted_hosts=_trusted_hosts(given.get("QKATLAS_TRUSTED_HOSTS", ""), host),
        build_sample=_one_of("QKATLAS_SAMPLE", given.get("QKATLAS_SAMPLE", "0"), ("0", "1")) == "1",
        allow_models=cast(
            Literal["catalogue", "hub"],
            _one_of(
                "QKATLAS_ALLOW_MODELS",
                given.get("QKATLAS_ALLOW_MODELS", default_models),
                ("catalogue", "hub"),
            ),
        ),
        debug=any(given.get(name, "").lower() not in OFF for name in ("DASH_DEBUG", "FLASK_DEBUG")),
    )


def check_exposure(settings: Settings) -> None:
    """Refuse to be reachable from other computers without a password, or with the debugger.

    Raises
    ------
    SettingsError : says why, and what to do; the caller ends the process with status 2.
    """
    password = read_password(settings)
    if settings.is_loopback:
        return
    where = f"QKATLAS_HOST={settings.host} makes the dashboard reachable from other computers"
    if settings.debug:
        raise SettingsError(
            f"{where}, and DASH_DEBUG or FLASK_DEBUG is on: the debugger runs any code that a "
            "visitor types. Unset both, or listen on 127.0.0.1."
        )
    if password is None:
        raise SettingsError(
            f"{where}, and there is no password. Write one into a file and name it in "
            "QKATLAS_PASSWORD_FILE, or listen on 127.0.0.1."
        )


def read_password(settings: Settings) -> str | None:
    """Return the content of the password file without its line end, None where none is set.

    Raises
    ------
    SettingsError : the file cannot be read, is not UTF-8, or is empty: a password that was asked
        for is never silently left out.
    """
    path = settings.password_file
    if path is None:
        return None
    try:
        password = path.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeError) as error:
        raise SettingsError(
            f"QKATLAS_PASSWORD_FILE: cannot read {path} ({error}); expected a UTF-8 text file "
            "that this user may read. Correct the path or its rights."
        ) from error
    if not password:
        raise SettingsError(
            f"QKATLAS_PASSWORD_FILE: {path} is empty; expected the password. Write one into it."
        )
    return password


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _path(text: str) -> Path:
    return Path(text).expanduser().absolute()


def _port(text: str) -> int:
    if not (re.fullmatch("[0-9]{1,5}", text) and 1 <= int(text) <= 65535):
        raise SettingsError(
            f"QKATLAS_PORT: found {text!r}, expected a whole number from 1 to 65535; 8050 is usual."
        )
    return int(text)


def _one_of(name: str, value: str, known: tuple[str, ...]) -> str:
    if value not in known:
        raise SettingsError(f"{name}: found {value!r}, expected {' or '.join(known)}.")
    return value


def _trusted_hosts(text: str, host: str) -> tuple[str, ...]:
    """Return the loopback names, the address we listen on and the names of the list."""
    names = [name.strip().lower() for name in text.split(",") if name.strip()]
    for name in names:
        if not HOST_NAME.fullmatch(name):
            raise SettingsError(
                f"QKATLAS_TRUSTED_HOSTS: found {name!r}, expected host names with commas between "
                "them, without http:// and without port, such as atlas.example.org."
            )
    listening = f"[{host}]" if ":" in host else host
    return tuple(dict.fromkeys((*LOOPBACK_NAMES, listening, *names)))
