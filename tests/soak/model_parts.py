"""Figure 15: model folders that are hostile or damaged, built by the real worker."""

from __future__ import annotations

import hashlib
import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline.jobs import JobTable
from pipeline.store import Store
from tests.soak.common import Figure, Place, ended, wait_for
from tests.soak.process_parts import supervisor, worker_pid
from tests.unit.pipeline.tiny_models import COMMIT, copy_of

SINGLE = "model.safetensors"
CANARY = "canary"


def bad_models(place: Place, count: int) -> list[Figure]:
    """Build an atlas of each kind of bad folder; every one must be refused in words."""
    jobs = JobTable(Store(place.cache))
    outcomes: dict[str, str] = {}
    with supervisor(place):
        assert wait_for(lambda: worker_pid(place))
        for name, spoil in list(KINDS.items())[:count]:
            folder = copy_of("tiny/bert", place.hub_cache, place.folder / name.replace(" ", "-"))
            model = spoil(folder) or str(folder)
            job = jobs.submit("build", place.spec(model=model).to_json(), "me")
            found = ended(jobs, job.id)
            outcomes[name] = f"{found.state}: {found.error}" if found else "hangs"
        last = jobs.submit("build", place.spec().to_json(), "me")
        done = (found := ended(jobs, last.id)) and found.state == "done"
    canaries = [str(path) for path in place.folder.rglob(f"{CANARY}*.ran")]
    silent = [name for name, said in outcomes.items() if said.startswith("done")]
    odd = {n: s for n, s in outcomes.items() if "internal error" in s or not s.startswith("failed")}
    died = [name for name, said in outcomes.items() if "the worker ended" in said]
    return [
        Figure("15", f"{len(outcomes)} kinds of bad model folder: canaries run, silent results",
               "0; 0", f"{len(canaries)}; {len(silent)} {silent or ''}", not canaries + silent),
        Figure("15", "the same: not refused in words; worker deaths; a good model works afterwards",
               "0; 0; yes", f"{len(odd)} {odd or ''}; {len(died)}; {'yes' if done else 'no'}",
               not odd and not died and bool(done)),
    ]  # fmt: skip


class _Canary:
    """Touches a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self._path,)


def _pickled(folder: Path) -> None:
    (folder / SINGLE).unlink()
    canary = _Canary(folder / f"{CANARY}.ran")
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps({"weight": canary}))


def _set(name: str, value: Any, file: str = "config.json") -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        code = f"from pathlib import Path\nPath({str(folder / CANARY)!r} + '.ran').touch()\n"
        (folder / "modeling_evil.py").write_text(code)
        path = folder / file
        path.write_text(json.dumps(json.loads(path.read_text()) | {name: value}))

    return spoil


def _weights(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        path = folder / SINGLE
        path.write_bytes(change(path.read_bytes()))

    return spoil


def _without_a_tensor(data: bytes) -> bytes:
    """Leave out the last tensor, header and all; the file itself is whole."""
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    names = [name for name in header if name != "__metadata__" and ".query.weight" in name]
    name = max(names, key=lambda name: header[name]["data_offsets"])
    start, end = header.pop(name)["data_offsets"]
    for row in header.values():
        if "data_offsets" in row and row["data_offsets"][0] >= end:
            row["data_offsets"] = [offset - (end - start) for offset in row["data_offsets"]]
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    body = data[8 + length :]
    return len(text).to_bytes(8, "little") + text + body[:start] + body[end:]


def _flipped_blob(folder: Path) -> str:
    """Lay the model out as the hub cache does, then flip a bit of the weights."""
    repository = folder.parent / "models--tiny--flipped"
    snapshot = repository / "snapshots" / COMMIT
    shutil.copytree(folder, snapshot)
    data = bytearray((snapshot / SINGLE).read_bytes())
    blob = repository / "blobs" / hashlib.sha256(data).hexdigest()
    blob.parent.mkdir()
    data[-100] ^= 1
    blob.write_bytes(data)
    (snapshot / SINGLE).unlink()
    (snapshot / SINGLE).symlink_to(blob)
    return str(snapshot)


def _merges_overrun(folder: Path) -> None:
    """Make a tokenizer whose merges name tokens that are not in its vocabulary."""
    path = folder / "tokenizer.json"
    tokenizer = json.loads(path.read_text())
    tokenizer["model"] = {"type": "BPE", "vocab": {"a": 0}, "merges": [["x" * 50, "y"], ["q", "r"]]}
    path.write_text(json.dumps(tokenizer))


def _slow_pattern(folder: Path) -> None:
    """Make a tokenizer whose pattern takes for ever on long words."""
    path = folder / "tokenizer.json"
    tokenizer = json.loads(path.read_text())
    pattern = {"Regex": r"(?:a+)+(?:e+)*\1$"}
    tokenizer["pre_tokenizer"] = {
        "type": "Split", "pattern": pattern, "behavior": "Isolated", "invert": False,
    }  # fmt: skip
    path.write_text(json.dumps(tokenizer))


def _shard_outside(folder: Path) -> None:
    (folder / SINGLE).unlink()
    index = {"weight_map": {"embeddings": "../../../etc/passwd"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def _deep_config(folder: Path) -> None:
    (folder / "config.json").write_text('{"a":' * 100_000 + "1" + "}" * 100_000)


EVIL = {"AutoModel": "modeling_evil.Model", "AutoConfig": "modeling_evil.Config"}
KINDS: dict[str, Callable[[Path], str | None]] = {
    "pickled weights only": _pickled,
    "code by auto_map": _set("auto_map", EVIL),
    "weights cut in half": _weights(lambda data: data[: len(data) // 2]),
    "a flipped bit in a hub file": _flipped_blob,
    "a tensor is missing": _weights(_without_a_tensor),
    "trust_remote_code in the config": _set("trust_remote_code", True),
    "attention from the hub": _set("_attn_implementation_internal", "evil/kernel"),
    "custom pipelines": _set("custom_pipelines", {"x": {"impl": "modeling_evil.Pipe"}}),
    "code by the tokenizer": _set("auto_map", EVIL, "tokenizer_config.json"),
    "a header of 2**60 bytes": _weights(lambda data: (2**60).to_bytes(8, "little") + data[8:]),
    "one byte too many": _weights(lambda data: data + b"\0"),
    "merges that overrun": _merges_overrun,
    "a pattern that cannot be run": _slow_pattern,
    "a shard outside the folder": _shard_outside,
    "a config nested 100,000 deep": _deep_config,
    "an unknown kind of model": _set("model_type", "never-heard-of"),
    "an empty file of weights": _weights(lambda _: b""),
}
