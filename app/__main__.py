"""`python -m app`: starts the dashboard."""

from __future__ import annotations

import errno
import logging
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from gunicorn.app.base import BaseApplication

from app.serve import Dashboard, build_dashboard
from app.settings import Settings, SettingsError, check_exposure, settings_from_environment
from pipeline.errors import PipelineError
from pipeline.folder import prepare
from pipeline.store import STORE_SCHEMA

BAD_SETTINGS = 2
THREADS = 8


class Server(BaseApplication):
    """One gunicorn process with threads; the worker process does the computing."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._dashboard: Dashboard | None = None
        self._supervisor = start_supervisor(settings)
        super().__init__()

    def load_config(self) -> None:
        """Set gunicorn's options."""
        host = f"[{self._settings.host}]" if ":" in self._settings.host else self._settings.host
        options: dict[str, Any] = {
            "bind": f"{host}:{self._settings.port}",
            "worker_class": "gthread",
            "threads": THREADS,
            "timeout": 60,
            "graceful_timeout": 5,
            "loglevel": "warning",
            "when_ready": lambda _: _say(f"QK Atlas is ready on http://{options['bind']}"),
            "worker_exit": lambda _server, _worker: self._stop(),
            "on_exit": lambda _server: end_supervisor(self._supervisor),
        }
        for name, value in options.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        """Build the dashboard, in the process that serves it."""
        self._dashboard = build_dashboard(self._settings, stands_by=True)
        return self._dashboard.app.server

    def _stop(self) -> None:
        if self._dashboard is not None:
            self._dashboard.supervisor.stop()


def main() -> int:
    """Check the settings, the cache folder and the port, then serve until stopped."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        settings = settings_from_environment(os.environ)
        check_exposure(settings)
        check_port(settings)
        # The folder alone: no connection to a database may cross gunicorn's fork.
        prepare(settings.cache.resolve(), schema=STORE_SCHEMA)
    except (SettingsError, PipelineError) as error:
        _say(f"error: {error}")
        return BAD_SETTINGS
    Server(settings).run()
    return 0


def start_supervisor(settings: Settings) -> subprocess.Popen[bytes]:
    """Start the program that keeps the worker: its jobs go on when a web process dies."""
    return subprocess.Popen(
        [
            sys.executable, "-m", "pipeline.supervisor", "--cache", str(settings.cache),
            "--parent", str(os.getpid()),
        ],
        cwd=Path(__file__).parents[1],
        stdin=subprocess.DEVNULL,
    )  # fmt: skip


def end_supervisor(supervisor: subprocess.Popen[bytes]) -> None:
    """End it and with it the worker; one that died already is no matter."""
    supervisor.terminate()
    supervisor.wait()


def check_port(settings: Settings) -> None:
    """Refuse a port that another program listens on.

    Raises
    ------
    SettingsError
        says who cannot listen where, and what to do.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            taken = error.errno == errno.EADDRINUSE
            reason = "another program listens there" if taken else error.strerror
            raise SettingsError(
                f"cannot listen on {settings.host}:{settings.port}: {reason}. Stop it, or choose "
                "another port: make run PORT=8123"
            ) from error


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
