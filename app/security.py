"""What every request must pass and every response carries: host, origin, password, headers.

Nothing here knows a page or a route, except the names of the two that are public.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import logging
import math
import os
import re
import secrets
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import flask
from werkzeug.datastructures import Authorization

from app.settings import Settings, SettingsError, read_password

logger = logging.getLogger(__name__)

# Endpoints that anyone may ask, by name: all others need the password where one is set.
PUBLIC_ENDPOINTS = frozenset({"healthz", "readyz"})
MAX_BODY_BYTES = 12 * 2**20
FAILURES_ALLOWED = 5
FAILURE_WINDOW_S = 60.0
# Plotly and Dash's index page set styles in the page; no script of the page runs without a hash.
CONTENT_POLICY = (
    "default-src 'self'; script-src {scripts}; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; worker-src 'self' blob:; object-src 'none'; base-uri 'none'; "
    "frame-ancestors 'none'; form-action 'self'"
)
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def protect(
    server: flask.Flask,
    settings: Settings,
    csp_hashes: Callable[[], Sequence[str]],
    *,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Put all routes of a server, present and future, behind the checks of this module.

    Parameters
    ----------
    csp_hashes : hashes of the inline scripts; asked at each response, because Dash adds a script
        at its first request.
    clock : seconds, for counting failed logins.

    Raises
    ------
    SettingsError : the password cannot be read, or the cache folder cannot be written.
    """
    password = read_password(settings)
    login = _Login(password, clock) if password is not None else None

    def refuse() -> flask.Response | None:
        request = flask.request
        host = request.headers.get("Host", "")
        if not _is_trusted(host, settings.trusted_hosts):
            return _text(400, f"The name {host[:200]!r} is not one of this dashboard's. Its "
                         "owner can add it to QKATLAS_TRUSTED_HOSTS.")  # fmt: skip
        if request.method not in ("GET", "HEAD", "OPTIONS") and _is_cross_site(request, host):
            return _text(403, "This request was sent by another site's page and was refused.")
        if login is None or request.endpoint in PUBLIC_ENDPOINTS:
            return None
        return login.refusal(request.authorization, request.remote_addr or "")

    def add_headers(response: flask.Response) -> flask.Response:
        scripts = " ".join(["'self'", *csp_hashes()])
        response.headers["Content-Security-Policy"] = CONTENT_POLICY.format(scripts=scripts)
        response.headers.update(HEADERS)
        return response

    server.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    server.secret_key = _secret_key(settings.cache)
    # First in the list: Dash's own work before a request must not start for a refused one.
    server.before_request_funcs.setdefault(None, []).insert(0, refuse)
    server.after_request(add_headers)


class _Login:
    """Compares passwords and counts the failures of each address; each web process for itself."""

    def __init__(self, password: str, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._salt = secrets.token_bytes(16)
        self._hash = self._slow_digest(password)
        # Browsers send the password with every request, and scrypt takes 50 ms and 16 MB: one
        # that was right is recognised by a quick keyed digest, which never leaves this process.
        self._proved = b""
        self._failures: dict[str, list[float]] = {}

    def refusal(self, given: Authorization | None, address: str) -> flask.Response | None:
        """Return None for the right password, else the answer 401 or 429.

        A request without a readable password guesses nothing and is not counted.
        """
        if given is None or given.type != "basic" or given.password is None:
            return _ask_for_password()
        now = self._clock()
        with self._lock:
            recent = [t for t in self._failures.get(address, ()) if now - t < FAILURE_WINDOW_S]
            if len(recent) >= FAILURES_ALLOWED:
                wait_s = math.ceil(recent[0] + FAILURE_WINDOW_S - now)
                answer = _text(429, f"Too many wrong passwords; try again in {wait_s} seconds.")
                answer.headers["Retry-After"] = str(wait_s)
                return answer
            if self._is_right(given.password):
                return None
            self._forget_before(now - FAILURE_WINDOW_S)
            self._failures[address] = [*recent, now]
        logger.warning("login from %s refused: wrong password", address)
        return _ask_for_password()

    def _is_right(self, password: str) -> bool:
        quick = hashlib.blake2b(password.encode(), key=self._salt).digest()
        if hmac.compare_digest(quick, self._proved):
            return True
        is_right = hmac.compare_digest(self._slow_digest(password), self._hash)
        if is_right:
            self._proved = quick
        return is_right

    def _slow_digest(self, password: str) -> bytes:
        return hashlib.scrypt(password.encode(), salt=self._salt, n=2**14, r=8, p=1)

    def _forget_before(self, time_s: float) -> None:
        self._failures = {a: times for a, times in self._failures.items() if times[-1] > time_s}


def _is_trusted(host: str, trusted: tuple[str, ...]) -> bool:
    """Compare a Host header, its port cut off, with the trusted names.

    Flask's own TRUSTED_HOSTS cuts names at the first colon (Werkzeug 3.1.9) and so refuses
    every IPv6 address.
    """
    name = re.sub(r":[0-9]*\Z", "", host.lower())
    return any(
        name == known or (known.startswith(".") and ("." + name).endswith(known))
        for known in trusted
    )


def _is_cross_site(request: flask.Request, host: str) -> bool:
    """Whether a page of another site sent this; a request without either header is no page's."""
    if request.headers.get("Sec-Fetch-Site") == "cross-site":
        return True
    # Both schemes: behind a proxy that speaks TLS we see http.
    return request.headers.get("Origin") not in (None, f"http://{host}", f"https://{host}")


def _text(status: int, message: str) -> flask.Response:
    return flask.Response(message + "\n", status, mimetype="text/plain")


def _ask_for_password() -> flask.Response:
    answer = _text(401, "This dashboard has a password; any user name will do.")
    answer.headers["WWW-Authenticate"] = 'Basic realm="QK Atlas", charset="UTF-8"'
    return answer


def _secret_key(cache: Path) -> str:
    """Return the signing secret of this cache folder, made at the first start.

    It is linked into place whole: of two processes that start at once, both read the first's.
    """
    path = cache / "secret_key"
    try:
        cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            descriptor, temporary = tempfile.mkstemp(dir=cache)  # rights 0600
            with open(descriptor, "w", encoding="ascii") as file:
                file.write(secrets.token_hex(32))
                file.flush()
                os.fsync(file.fileno())
            with contextlib.suppress(FileExistsError):
                os.link(temporary, path)
            os.unlink(temporary)
        secret = path.read_text(encoding="ascii")
    except (OSError, UnicodeError) as error:
        raise SettingsError(
            f"cannot keep a secret in {path} ({error}); expected a folder and file that this "
            "user may read and write. Correct the rights, or set QKATLAS_CACHE."
        ) from error
    if len(secret) != 64:
        raise SettingsError(
            f"{path} holds {len(secret)} characters, expected 64. Delete it; a new one is made "
            "at the next start."
        )
    return secret
