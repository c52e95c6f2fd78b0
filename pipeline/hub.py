"""Downloads a model into the hub cache, in a process of its own: the only one that goes online.

huggingface_hub decides at import whether it is offline, so the process that loads models cannot
also download them. `fetch` starts `python -m pipeline.hub` and watches it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from fnmatch import fnmatch
from pathlib import Path
from typing import IO

from pipeline.errors import ModelError
from pipeline.model_files import IMAGE_FILES, INDEX, SINGLE, TOKENIZER_FILES

WEIGHTS = (SINGLE, INDEX, "model-*-of-*.safetensors")
PATTERNS = [*WEIGHTS, "config.json", *IMAGE_FILES, *TOKENIZER_FILES]
# The download itself gives up after `timeout_s` without an answer and tries again some times; when
# nothing has arrived for this many times as long, it hangs (a lock that is never freed, say).
PATIENCE = 3
POLL_S = 0.25


def fetch(
    hub_id: str,
    revision: str,
    *,
    hub_cache: Path,
    endpoint: str | None = None,
    timeout_s: float = 10.0,
    report: Callable[[int], None] = lambda received_bytes: None,
) -> Path:
    """Download configuration, safetensors and preprocessing files of a model; nothing else.

    What is already in the cache is not downloaded again, and an interrupted download is continued.

    Parameters
    ----------
    hub_id, revision : "org/name" and a commit, branch or tag.
    hub_cache : folder to download into, in the layout of the hub cache.
    endpoint : address of the hub; None for HF_ENDPOINT, or huggingface.co.
    timeout_s : seconds to wait for an answer; after three times as long without a new byte the
        download is ended.
    report : told the bytes in the cache four times a second; what it raises ends the download.

    Returns
    -------
    The snapshot folder.

    Raises
    ------
    ModelError
        if the hub cannot be reached or is too slow, the model or revision is not there, is gated
        or has no safetensors, or the disk is too small.
    """
    hub_cache = hub_cache.absolute()
    blobs = hub_cache / f"models--{hub_id.replace('/', '--')}" / "blobs"
    command = [sys.executable, "-m", "pipeline.hub", hub_id, revision, str(hub_cache)]
    with tempfile.TemporaryFile("w+", encoding="utf-8") as said:
        with subprocess.Popen(
            [*command, endpoint or "", str(timeout_s)],
            stdin=subprocess.PIPE,
            stdout=said,
            stderr=subprocess.STDOUT,
            cwd=Path(__file__).parent.parent,
        ) as child:
            try:
                _watch(child, blobs, hub_id, PATIENCE * timeout_s, report)
            finally:
                child.kill()
        return _outcome(hub_id, said)


def _watch(
    child: subprocess.Popen[bytes],
    blobs: Path,
    hub_id: str,
    silence_s: float,
    report: Callable[[int], None],
) -> None:
    """Wait for the download while bytes arrive."""
    received, since_s = -1, time.monotonic()
    while child.poll() is None:
        now = _size(blobs)
        if now != received:
            received, since_s = now, time.monotonic()
        report(received)
        if time.monotonic() - since_s > silence_s:
            raise ModelError(
                f"{hub_id}: nothing arrived for {silence_s:g} s after {received / 1e6:.1f} MB; "
                "another program may hold a lock in the hub cache, or the connection is dead; "
                "try again, what has arrived is kept"
            )
        with suppress(subprocess.TimeoutExpired):
            child.wait(POLL_S)


def _size(folder: Path) -> int:
    """Add up a folder that may not exist, and whose files are renamed meanwhile."""
    size = 0
    for path in folder.glob("*"):
        with suppress(FileNotFoundError):
            size += path.stat().st_size
    return size


def _outcome(hub_id: str, said: IO[str]) -> Path:
    """Read the last line of the download process: where the files are, or why not."""
    said.seek(0)
    last = (said.read().strip().splitlines() or ["it said nothing"])[-1]
    try:
        answer = json.loads(last)
        return Path(answer["folder"])
    except ValueError as error:
        raise ModelError(f"{hub_id}: the download process failed: {last}; try again") from error
    except KeyError:
        raise ModelError(answer["error"]) from None


def main(arguments: list[str]) -> None:
    """Download in this process and say in one line of JSON where to, or why not."""
    hub_id, revision, hub_cache, endpoint, timeout_s = arguments
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.environ.update(
        HF_HUB_OFFLINE="0",
        TRANSFORMERS_OFFLINE="0",
        HF_HUB_DISABLE_TELEMETRY="1",
        HF_HUB_DISABLE_PROGRESS_BARS="1",
        HF_HUB_DISABLE_XET="1",  # plain HTTP: files grow in the cache, where `fetch` sees them
        HF_HUB_ETAG_TIMEOUT=str(max(1, round(float(timeout_s)))),
        HF_HUB_DOWNLOAD_TIMEOUT=str(max(1, round(float(timeout_s)))),
    )
    started_s = time.monotonic()
    try:
        answer = {"folder": _download(hub_id, revision, hub_cache, endpoint, float(timeout_s))}
    except ModelError as error:
        answer = {"error": str(error)}
    except Exception as error:  # the border of this process: whatever it was becomes a sentence
        waited_s = time.monotonic() - started_s
        answer = {"error": _explain(error, hub_id, revision, endpoint, waited_s)}
    sys.stdout.write(json.dumps(answer) + "\n")


def _download(hub_id: str, revision: str, hub_cache: str, endpoint: str, timeout_s: float) -> str:
    """Ask what there is, check that it can be used and fits, then download."""
    from huggingface_hub import HfApi, snapshot_download

    info = HfApi(endpoint or None).model_info(
        hub_id, revision=revision, timeout=timeout_s, files_metadata=True
    )
    sizes = {file.rfilename: file.size or 0 for file in info.siblings or ()}
    wanted = [name for name in sizes if any(fnmatch(name, pattern) for pattern in PATTERNS)]
    if not any(fnmatch(name, pattern) for name in wanted for pattern in WEIGHTS):
        raise ModelError(
            f"{hub_id} at {revision} has no safetensors weights, expected {SINGLE}; other formats "
            "can run code and are never opened; look for a converted revision (refs/pr/...)"
        )
    os.makedirs(hub_cache, exist_ok=True)
    needed, free = sum(sizes[name] for name in wanted), shutil.disk_usage(hub_cache).free
    if needed > free:
        raise ModelError(
            f"{hub_id} needs {needed / 1e6:,.1f} MB, free {free / 1e6:,.1f} MB in {hub_cache}; "
            "free some space or set HF_HUB_CACHE to a folder on a larger disk"
        )
    return snapshot_download(
        hub_id,
        revision=revision,
        cache_dir=hub_cache,
        endpoint=endpoint or None,
        allow_patterns=PATTERNS,
    )


def _explain(error: Exception, hub_id: str, revision: str, endpoint: str, waited_s: float) -> str:
    """Say in one sentence why a download failed and what to do."""
    from huggingface_hub import constants
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    host = endpoint or constants.ENDPOINT
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
    if isinstance(error, GatedRepoError):
        return (
            f"{hub_id} is gated: its owner asks for consent; accept its terms on {host}/{hub_id} "
            "and set HF_TOKEN to a token of that account"
        )
    if isinstance(error, RepositoryNotFoundError):
        return (
            f"{hub_id} was not found on {host}, or it is private; check the name, or set HF_TOKEN "
            "to a token that may read it"
        )
    if isinstance(error, RevisionNotFoundError):
        return f"{hub_id} has no revision {revision!r}; expected a commit, branch or tag; check it"
    if isinstance(error, HfHubHTTPError):
        return f"{hub_id}: {host} refused ({reason}); try again later"
    return (
        f"{hub_id} could not be downloaded from {host}: tried for {waited_s:.1f} s, {reason}; "
        "connect this machine, set HF_ENDPOINT to a mirror, or copy the snapshot folder from "
        "another machine into the hub cache (HF_HOME)"
    )


def _end_with_parent() -> None:
    """End this process when the one that started it is gone: its end of stdin is closed then."""
    sys.stdin.read()
    os._exit(1)


if __name__ == "__main__":
    main(sys.argv[1:])
