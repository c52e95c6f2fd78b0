"""The finished app as a whole."""

from __future__ import annotations

import gc
from pathlib import Path

from flask.testing import FlaskClient

ASSETS = Path(__file__).parents[3] / "assets"


def test_an_asset_is_sent_whole_and_its_file_closed(client: FlaskClient) -> None:
    # A file left open is a ResourceWarning, which our pytest settings make an error.
    answer = client.get("/assets/app.css", headers={"Accept-Encoding": "gzip"})
    assert answer.headers["Content-Encoding"] == "gzip"
    assert int(answer.headers["Content-Length"]) < (ASSETS / "app.css").stat().st_size / 2
    answer.close()
    gc.collect()


def test_the_theme_is_set_before_the_page_has_any_style(client: FlaskClient) -> None:
    page = client.get("/").text
    assert page.count("60_theme.js") == 1  # Dash does not load it a second time
    assert page.index("60_theme.js") < page.index("bootstrap.min.css")
    with client.get("/assets/60_theme.js") as answer:
        assert answer.status_code == 200


def test_a_last_slash_is_dropped_and_the_query_kept(client: FlaskClient) -> None:
    answer = client.get("/head/?layer=2")
    assert (answer.status_code, answer.location) == (302, "/head?layer=2")
    # Two slashes before a name would be another host.
    answer = client.get("/", environ_overrides={"PATH_INFO": "//example.org/"})
    assert answer.location == "/example.org"
