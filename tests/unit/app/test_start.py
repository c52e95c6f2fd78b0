"""`python -m app` as a program: what it refuses, and what it answers."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import numpy  # noqa: F401 - brings the library whose threads are counted
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from app.serve import use_one_core_an_answer

ROOT = Path(__file__).parents[3]


def environment(tmp_path: Path, **settings: str) -> dict[str, str]:
    return os.environ | {"QKATLAS_CACHE": str(tmp_path / "cache")} | settings


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start(tmp_path: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "app"], cwd=ROOT, env=environment(tmp_path, **settings),
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


def test_a_port_in_use_is_refused_in_words(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        done = start(tmp_path, QKATLAS_PORT=port)
    assert done.returncode == 2
    assert f"cannot listen on 127.0.0.1:{port}: another program listens there" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_public_address_without_a_password_is_refused(tmp_path: Path) -> None:
    done = start(tmp_path, QKATLAS_HOST="0.0.0.0", QKATLAS_PORT=str(free_port()))
    assert done.returncode == 2
    assert "QKATLAS_PASSWORD_FILE" in done.stderr


def test_a_cache_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("")
    done = start(tmp_path, QKATLAS_PORT=str(free_port()))
    assert done.returncode == 2
    assert "cache" in done.stderr
    assert "Traceback" not in done.stderr


def test_it_answers_and_ends_with_all_its_children(tmp_path: Path) -> None:
    port = free_port()
    program = subprocess.Popen(
        [sys.executable, "-m", "app"], cwd=ROOT, stderr=subprocess.DEVNULL,
        env=environment(tmp_path, QKATLAS_PORT=str(port)),
    )  # fmt: skip
    try:
        wait_until_healthy(port)
    finally:
        program.terminate()
        assert program.wait(timeout=20) == 0
    assert "pipeline.worker" not in children_of(tmp_path)


def wait_until_healthy(port: int) -> None:
    deadline_s = time.monotonic() + 30
    while time.monotonic() < deadline_s:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz") as response:
                assert response.read() == b"ok"
                return
        except OSError:
            time.sleep(0.1)
    pytest.fail("no answer within 30 s")


def children_of(tmp_path: Path) -> str:
    """Return the command lines of all processes that name the cache of this test."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().decode().replace("\0", " ")
        except OSError:
            continue
        if str(tmp_path) in command:
            found.append(command)
    return "\n".join(found)


def test_matrices_of_an_answer_are_multiplied_on_one_core() -> None:
    with threadpool_limits(2, user_api="blas"):
        use_one_core_an_answer()
        found = [one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"]
    assert found
    assert set(found) == {1}
