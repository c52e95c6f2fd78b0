"""Every request is checked, every response carries the headers. The clock is injected."""

import base64
import itertools
import os
import stat
from pathlib import Path

import flask
import pytest
from flask.testing import FlaskClient

from app.security import protect
from app.settings import Settings, SettingsError, settings_from_environment

PASSWORD = "correct horse: ünïcode"


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    environ = {"QKATLAS_CACHE": str(tmp_path / "cache"), "QKATLAS_TRUSTED_HOSTS": "a.org,.lab.org"}
    return settings_from_environment(environ)


@pytest.fixture
def locked(settings: Settings, tmp_path: Path) -> Settings:
    path = tmp_path / "password"
    path.write_text(PASSWORD + "\n", encoding="utf-8")
    return Settings(**(settings.__dict__ | {"password_file": path}))


def make_client(settings: Settings, clock: Clock, *, work: list[str] | None = None) -> FlaskClient:
    """Return a client of a small server whose every piece of work leaves its name in `work`."""
    work = [] if work is None else work
    server = flask.Flask("test", static_folder=None)
    numbers = itertools.count()

    @server.before_request
    def earlier() -> None:
        work.append("before")

    def view() -> str:
        work.append("view")
        return "ok"

    protect(server, settings, lambda: [f"'sha256-{next(numbers)}'"], clock=clock)

    for rule, endpoint in (("/", "home"), ("/healthz", "healthz"), ("/readyz", "readyz"),
                           ("/api/healthz", "api.healthz")):  # fmt: skip
        server.add_url_rule(rule, endpoint, view)

    @server.post("/upload")
    def upload() -> str:
        return str(len(flask.request.get_data()))

    @server.get("/fault")
    def fault() -> str:
        raise RuntimeError("a fault")

    return server.test_client()


def basic(password: str, user: str = "me") -> dict[str, str]:
    text = base64.b64encode(f"{user}:{password}".encode()).decode()
    return {"Authorization": f"Basic {text}"}


@pytest.mark.parametrize("path", ["/", "/healthz", "/nowhere", "/fault"])
def test_every_response_carries_the_headers(path: str, settings: Settings, clock: Clock) -> None:
    headers = make_client(settings, clock).get(path).headers
    assert headers["Content-Security-Policy"] == (
        "default-src 'self'; script-src 'self' 'sha256-0'; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data: blob:; worker-src 'self' blob:; object-src 'none'; "
        "base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
    )
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"


def test_refusals_carry_the_headers_too(locked: Settings, clock: Clock) -> None:
    client = make_client(locked, clock)
    for response in (client.get("/"), client.get("/", headers={"Host": "evil.org"})):
        assert response.status_code in (400, 401)
        assert "frame-ancestors 'none'" in response.headers["Content-Security-Policy"]


def test_script_hashes_are_asked_at_each_response(settings: Settings, clock: Clock) -> None:
    client = make_client(settings, clock)
    policies = [client.get("/").headers["Content-Security-Policy"] for _ in range(2)]
    assert "'sha256-0'" in policies[0]
    assert "'sha256-1'" in policies[1]


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:8050", "127.0.0.1:1", "[::1]", "[::1]:8050", "a.org", "lab.org",
     "x.y.lab.org:80"],
)  # fmt: skip
def test_trusted_names_are_served(host: str, settings: Settings, clock: Clock) -> None:
    assert make_client(settings, clock).get("/", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    ["evil.org", "a.org.evil.org", "xa.org", "b.a.org", "notlab.org", "localhost.evil.org",
     "127.0.0.1.evil.org", "a.org@evil.org", "a.org:80:80", "a.org:x", "[::2]", "", " ", "a.org.",
     ".lab.org.evil"],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/", "/healthz", "/upload", "/nowhere"])
def test_other_names_are_refused_before_any_work(
    host: str, path: str, settings: Settings, clock: Clock
) -> None:
    work: list[str] = []
    client = make_client(settings, clock, work=work)
    for method in (client.get, client.post):
        response = method(path, headers={"Host": host})
        assert response.status_code == 400
    assert work == []


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost"},
        *({"Origin": origin} for origin in (
            "null", "", "http://evil.org", "http://localhost.evil.org", "http://evil-localhost",
            "http://localhost:81", "http://LOCALHOST", "ftp://localhost", "http://localhost/",
            "http://localhost, http://evil.org", "localhost", "http://a.org",
        )),
    ],
)  # fmt: skip
def test_posts_of_other_sites_are_refused(
    headers: dict[str, str], settings: Settings, clock: Clock
) -> None:
    client = make_client(settings, clock)
    assert client.post("/upload", data=b"abc", headers=headers).status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "http://localhost"},
        {"Origin": "https://localhost"},
        {"Origin": "http://a.org:8050", "Host": "a.org:8050", "Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
    ],
)
def test_posts_of_our_own_pages_and_of_programs_pass(
    headers: dict[str, str], settings: Settings, clock: Clock
) -> None:
    response = make_client(settings, clock).post("/upload", data=b"abc", headers=headers)
    assert response.text == "3"


def test_a_link_on_another_site_may_open_a_page(settings: Settings, clock: Clock) -> None:
    response = make_client(settings, clock).get("/", headers={"Sec-Fetch-Site": "cross-site"})
    assert response.status_code == 200


def test_bodies_above_12_mb_are_refused(settings: Settings, clock: Clock) -> None:
    client = make_client(settings, clock)
    limit = 12 * 2**20
    assert client.post("/upload", data=bytes(limit)).text == str(limit)
    assert client.post("/upload", data=bytes(limit + 1)).status_code == 413


def test_all_endpoints_but_two_need_the_password(locked: Settings, clock: Clock) -> None:
    client = make_client(locked, clock)
    open_rules = {
        rule.endpoint
        for rule in client.application.url_map.iter_rules()
        for method in (rule.methods or ())
        if client.open(rule.rule, method=method).status_code != 401
    }
    assert open_rules == {"healthz", "readyz"}
    assert client.get("/nowhere").status_code == 401


def test_nothing_works_before_the_password(locked: Settings, clock: Clock) -> None:
    work: list[str] = []
    response = make_client(locked, clock, work=work).get("/")
    assert response.headers["WWW-Authenticate"] == 'Basic realm="QK Atlas", charset="UTF-8"'
    assert work == []


def test_the_right_password_opens_again_and_again(locked: Settings, clock: Clock) -> None:
    client = make_client(locked, clock)
    for user in ("me", "", "you"):
        assert client.get("/", headers=basic(PASSWORD, user)).text == "ok"


@pytest.mark.parametrize("password", ["", "correct horse", PASSWORD + "\n", "x" * 9999])
def test_a_wrong_password_is_refused_also_after_a_right_one(
    password: str, locked: Settings, clock: Clock
) -> None:
    client = make_client(locked, clock)
    assert client.get("/", headers=basic(password)).status_code == 401
    assert client.get("/", headers=basic(PASSWORD)).status_code == 200
    assert client.get("/", headers=basic(password)).status_code == 401


@pytest.mark.parametrize(
    "value",
    ["", "Basic", "Basic ", "Basic !!!!", "Basic YQ", "Basic /////w==", "Basic bm9jb2xvbg==",
     "Basic gICAgA==", "Bearer abc", f'Digest password="{PASSWORD}"', "basic\tabc", ":", "=", "é",
     'Basic password="x"'],
)  # fmt: skip
def test_malformed_logins_are_401_and_never_a_fault(
    value: str, locked: Settings, clock: Clock
) -> None:
    client = make_client(locked, clock)
    assert client.get("/", headers={"Authorization": value}).status_code == 401


def test_twenty_wrong_logins_are_fifteen_times_told_to_wait(locked: Settings, clock: Clock) -> None:
    client = make_client(locked, clock)
    answers = [client.get("/", headers=basic(f"guess {i}")) for i in range(20)]
    assert [answer.status_code for answer in answers] == [401] * 5 + [429] * 15
    assert answers[-1].headers["Retry-After"] == "60"


def test_a_guesser_waits_even_with_the_right_password(locked: Settings, clock: Clock) -> None:
    client = make_client(locked, clock)
    assert client.get("/", headers=basic(PASSWORD)).status_code == 200
    for i in range(5):
        client.get("/", headers=basic(f"guess {i}"))
        clock.now_s += 1
    answer = client.get("/", headers=basic(PASSWORD))
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "55")
    clock.now_s += 55
    assert client.get("/", headers=basic(PASSWORD)).status_code == 200


def test_failures_are_counted_per_address(locked: Settings, clock: Clock) -> None:
    client = make_client(locked, clock)
    for i in range(5):
        client.get("/", headers=basic(f"guess {i}"), environ_base={"REMOTE_ADDR": "10.0.0.1"})
    statuses = [
        client.get("/", headers=basic(PASSWORD), environ_base={"REMOTE_ADDR": a}).status_code
        for a in ("10.0.0.1", "10.0.0.2")
    ]
    assert statuses == [429, 200]


def test_asking_without_a_password_is_no_failure(locked: Settings, clock: Clock) -> None:
    client = make_client(locked, clock)
    assert {client.get("/").status_code for _ in range(20)} == {401}
    assert client.get("/", headers=basic(PASSWORD)).status_code == 200


def test_the_secret_is_private_and_outlives_a_restart(settings: Settings, clock: Clock) -> None:
    secrets = [make_client(settings, clock).application.secret_key for _ in range(2)]
    path = settings.cache / "secret_key"
    assert secrets == [path.read_text(), path.read_text()]
    assert len(path.read_text()) == 64
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(settings.cache) == ["secret_key"]


def test_of_two_first_starts_both_use_one_secret(
    settings: Settings, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = make_client(settings, clock).application.secret_key
    # The second looked before the first had written.
    monkeypatch.setattr(Path, "exists", lambda self: False)
    assert make_client(settings, clock).application.secret_key == first


@pytest.mark.parametrize("content", ["", "abc", "ü"])
def test_a_damaged_secret_is_refused(content: str, settings: Settings, clock: Clock) -> None:
    settings.cache.mkdir()
    (settings.cache / "secret_key").write_text(content, encoding="latin-1")
    with pytest.raises(SettingsError, match="secret_key"):
        make_client(settings, clock)


def test_a_cache_folder_that_cannot_be_made_is_refused(settings: Settings, clock: Clock) -> None:
    settings.cache.write_text("a file stands here")
    with pytest.raises(SettingsError, match="QKATLAS_CACHE"):
        make_client(settings, clock)
