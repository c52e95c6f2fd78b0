"""Downloads run in their own process, take only what is needed, and give up with one sentence."""

import hashlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from safetensors.numpy import save

from pipeline.catalogue import NeedsPreparation, find_source
from pipeline.errors import ModelError
from pipeline.hub import fetch

ROOT = Path(__file__).parents[3]
COMMIT = "0123456789abcdef0123456789abcdef01234567"
FILES = {
    "config.json": b'{"model_type": "bert"}',
    "tokenizer.json": b"{}",
    "model.safetensors": save({"a": np.ones(1000, np.float32)}),
    "pytorch_model.bin": b"pickle",
    "README.md": b"# read me",
    "onnx/config.json": b"{}",
}


class Hub(BaseHTTPRequestHandler):
    """The four routes of the hub that a download asks for, and some faults."""

    protocol_version = "HTTP/1.1"
    server: Any

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        self.server.asked.append(f"{self.command} {path}")
        self.server.tokens.add(self.headers.get("Authorization"))
        if path.startswith("/api/models/org/gated/"):
            self.answer(403, b"{}", {"X-Error-Code": "GatedRepo"})
        elif path.startswith("/api/models/org/absent/"):
            self.answer(404, b"{}", {"X-Error-Code": "RepoNotFound"})
        elif path.endswith("/revision/absent"):
            self.answer(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
        elif path.startswith("/api/models/org/broken/"):
            self.answer(500, b"{}", {})
        elif path.startswith("/api/models/org/name/"):
            self.answer(200, json.dumps(self.listing(path)).encode(), {})
        else:
            self.file(path.partition(f"/resolve/{COMMIT}/")[2])

    def listing(self, path: str) -> object:
        files = self.server.files
        if "/tree/" in path:
            return [
                {"type": "file", "path": name, "size": len(data), "oid": name}
                for name, data in files.items()
            ]
        siblings = [
            {"rfilename": name, "size": self.server.sizes.get(name, len(data))}
            for name, data in files.items()
        ]
        return {"id": "org/name", "sha": COMMIT, "siblings": siblings}

    def file(self, name: str) -> None:
        data = self.server.files[name]
        etag = hashlib.sha256(data).hexdigest()
        headers = {"ETag": f'"{etag}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
        if self.command == "GET" and name == self.server.stuck:
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data[:100])
            self.server.released.wait(30)
            self.close_connection = True
            return
        self.answer(200, data, headers)

    def answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for key, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hub() -> Iterator[Any]:
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.daemon_threads = True
    server.files, server.sizes, server.stuck = dict(FILES), {}, None
    server.asked, server.tokens, server.released = [], set(), threading.Event()
    server.address = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.released.set()
    server.shutdown()
    server.server_close()


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_model_is_downloaded_into_the_hub_cache_and_found_there(
    hub: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")  # as in the process that loads models
    received: list[int] = []
    folder = fetch(
        "org/name", "main", hub_cache=tmp_path, endpoint=hub.address, report=received.append
    )
    assert sorted(path.name for path in folder.iterdir()) == [
        "config.json", "model.safetensors", "tokenizer.json"]  # fmt: skip
    source = find_source("org/name", cache=tmp_path, hub_cache=tmp_path, remembered=sha256)
    assert (source.folder, source.revision) == (folder, COMMIT)
    assert received
    assert not any("onnx" in row or ".bin" in row for row in hub.asked)


def test_a_second_fetch_downloads_no_file_again(hub: Any, tmp_path: Path) -> None:
    fetch("org/name", "main", hub_cache=tmp_path, endpoint=hub.address)
    hub.asked.clear()
    fetch("org/name", "main", hub_cache=tmp_path, endpoint=hub.address)
    assert hub.asked
    assert not any("/resolve/" in row for row in hub.asked)


@pytest.mark.parametrize(
    ("hub_id", "revision", "message"),
    [
        ("org/gated", "main", r"is gated: .* accept its terms on http://127\.0.*set HF_TOKEN"),
        ("org/absent", "main", r"was not found on http://127\.0\.0\.1:\d+, or it is private"),
        ("org/name", "absent", "has no revision 'absent'; expected a commit, branch or tag"),
        ("org/broken", "main", r"org/broken: http://127.* refused \(.*500.*\); try again later"),
    ],
)
def test_a_refusal_of_the_hub_becomes_one_sentence(
    hub: Any, tmp_path: Path, hub_id: str, revision: str, message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        fetch(hub_id, revision, hub_cache=tmp_path, endpoint=hub.address)


def test_a_refused_port_gives_up_at_once_and_says_what_to_do(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
        started_s = time.monotonic()
        with pytest.raises(ModelError, match=r"from http://127.*: tried for .* set HF_ENDPOINT .*"):
            fetch("org/name", "main", hub_cache=tmp_path, endpoint=address)
    assert time.monotonic() - started_s < 10  # far below the time-out of a lost packet


def test_a_model_without_safetensors_is_not_downloaded(hub: Any, tmp_path: Path) -> None:
    del hub.files["model.safetensors"]
    with pytest.raises(ModelError, match=r"has no safetensors weights, expected model\.safe"):
        fetch("org/name", "main", hub_cache=tmp_path, endpoint=hub.address)
    assert not any("/resolve/" in row for row in hub.asked)


def test_a_model_that_does_not_fit_on_the_disk_is_not_begun(hub: Any, tmp_path: Path) -> None:
    hub.sizes["model.safetensors"] = 10**18
    with pytest.raises(ModelError, match=r"needs 1,000,000,000,000\.0 MB, free .* MB in"):
        fetch("org/name", "main", hub_cache=tmp_path, endpoint=hub.address)
    assert not any("/resolve/" in row for row in hub.asked)


def test_a_download_that_hangs_is_ended(
    hub: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.hub.PATIENCE", 0.2)
    hub.stuck = "model.safetensors"
    with pytest.raises(ModelError, match=r"org/name: nothing arrived for 2 s after"):
        fetch("org/name", "main", hub_cache=tmp_path, endpoint=hub.address, timeout_s=10)


def test_what_report_raises_ends_the_download(hub: Any, tmp_path: Path) -> None:
    hub.stuck = "model.safetensors"

    def cancel(received_bytes: int) -> None:
        if received_bytes > 0:
            raise InterruptedError("cancelled")

    with pytest.raises(InterruptedError):
        fetch("org/name", "main", hub_cache=tmp_path, endpoint=hub.address, report=cancel)


def test_a_download_after_a_killed_one_is_whole(hub: Any, tmp_path: Path) -> None:
    test_what_report_raises_ends_the_download(hub, tmp_path)
    with pytest.raises(NeedsPreparation):
        find_source("org/name", cache=tmp_path, hub_cache=tmp_path, remembered=sha256)
    hub.stuck = None
    folder = fetch("org/name", "main", hub_cache=tmp_path, endpoint=hub.address)
    assert (folder / "model.safetensors").read_bytes() == FILES["model.safetensors"]


def test_the_download_process_ends_with_the_one_that_started_it(hub: Any, tmp_path: Path) -> None:
    hub.stuck = "model.safetensors"
    command = [sys.executable, "-m", "pipeline.hub", "org/name", "main", str(tmp_path)]
    child = subprocess.Popen([*command, hub.address, "60"], stdin=subprocess.PIPE, cwd=ROOT)
    assert child.stdin is not None
    child.stdin.close()
    assert child.wait(10) == 1


def test_a_download_process_that_crashes_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(ModelError, match="the download process failed: it said nothing"):
        fetch("org/name", "main", hub_cache=tmp_path, endpoint="http://127.0.0.1:9")


def test_the_token_goes_to_the_hub_and_is_never_said(
    hub: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_canary")
    with pytest.raises(ModelError) as caught:
        fetch("org/broken", "main", hub_cache=tmp_path, endpoint=hub.address)
    assert "hf_canary" not in str(caught.value)
    assert hub.tokens == {"Bearer hf_canary"}
    assert os.environ.get("HF_HUB_OFFLINE") != "0"
