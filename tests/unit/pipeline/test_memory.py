"""What a model needs of memory, and what there is."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from pipeline import build as build_module
from pipeline import memory
from pipeline.build import build_atlas
from pipeline.errors import MemoryShortage
from pipeline.specs import AtlasSpec
from pipeline.store import Store
from tests.unit.pipeline.tiny_models import load_tiny


def write_cgroup(folder: Path, *, limit: str) -> None:
    (folder / "memory.max").write_text(limit)
    (folder / "memory.current").write_text("700")
    (folder / "memory.stat").write_text("anon 600\ninactive_file 50\n")


def test_the_limit_of_a_container_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "CGROUP", tmp_path)
    write_cgroup(tmp_path, limit="1000")
    assert memory.free_bytes("cpu") == 1000 - 700 + 50


def test_without_a_limit_the_memory_of_the_machine_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "CGROUP", tmp_path)
    without = memory.free_bytes("cpu")
    write_cgroup(tmp_path, limit="max")
    # Other processes come and go between two looks.
    assert memory.free_bytes("cpu") == pytest.approx(without, rel=0.5)
    assert without > 10_000_000


def test_every_weight_of_the_files_is_counted(hub_cache: Path) -> None:
    source = load_tiny("tiny/bert", hub_cache).source
    tensors = load_file(source.folder / "model.safetensors").values()
    assert memory.count_weights(source) == sum(tensor.numel() for tensor in tensors)


def test_a_model_that_does_not_fit_is_refused_before_it_is_loaded(
    hub_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "free_bytes", lambda _: memory.RESERVE_BYTES)
    monkeypatch.setattr(
        "pipeline.models.AutoModel.from_pretrained", lambda *_, **__: pytest.fail("loaded")
    )
    with pytest.raises(MemoryShortage, match=r"tiny/bert needs about 1\.0 GB of memory.*free"):
        load_tiny("tiny/bert", hub_cache)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), True),
        (MemoryError(), True),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError("shapes cannot be multiplied"), False),
        (ValueError("can't allocate memory"), False),
    ],
)
def test_errors_about_memory_are_told_from_others(error: BaseException, expected: bool) -> None:
    assert memory.is_out_of_memory(error) is expected


def test_what_the_cpu_allocator_raises_is_known() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert memory.is_out_of_memory(caught.value)


@pytest.mark.parametrize("device", ["auto", "cuda"])
def test_a_build_goes_on_without_a_gpu_only_where_it_was_not_asked_for(
    device: str, hub_cache: Path, tiny_corpus: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    own = build_module.capture_stage

    def capture_stage(request: object, *rest: object) -> object:
        if request.device == "cuda":  # type: ignore[attr-defined]
            raise MemoryShortage("the GPU is full")
        return own(request, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(build_module, "resolve_device", lambda _: "cuda")
    monkeypatch.setattr(build_module, "capture_stage", capture_stage)
    spec = AtlasSpec("tiny/bert", str(tiny_corpus), methods=("pca",), device=device)

    def run() -> dict[str, object]:
        return build_atlas(spec, Store(tmp_path), hub_cache=hub_cache, report=lambda _: None)

    if device == "auto":
        assert run()["n_layers"] == 2
    else:
        with pytest.raises(MemoryShortage):
            run()
