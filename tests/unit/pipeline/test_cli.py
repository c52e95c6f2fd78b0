"""The command line as scripts use it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.cli import main
from pipeline.store import Store

ROOT = Path(__file__).parents[3]
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(
    tiny_store: Store, hub_cache: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:  # fmt: skip
    """Run a command in this process; returns exit code, stdout and stderr."""
    monkeypatch.setenv("QKATLAS_CACHE", str(tiny_store.root))
    monkeypatch.setattr("pipeline.cli.hub_cache", lambda: hub_cache)

    def command(*arguments: object) -> tuple[int, str, str]:
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return command


def build_arguments(tiny_corpus: Path) -> list[object]:
    return ["build", "--model", "tiny/bert", "--corpus", tiny_corpus, "--methods", "pca", "--json"]


@pytest.mark.parametrize("listing", ["models", "corpora"])
def test_listings_are_json_arrays_of_named_rows(run: Run, listing: str) -> None:
    code, out, _ = run(listing, "--json")
    names = {row["name"] for row in json.loads(out)}
    assert code == 0
    expected = {"models": {"minilm", "smollm2", "dinov2s"}, "corpora": {"sentences", "pairs"}}
    assert expected[listing] <= names
    table = run(listing)[1]
    assert all(name in table for name in names)


def test_build_prints_one_object_with_the_promised_names(
    run: Run, tiny_atlas: dict[str, Any], tiny_corpus: Path
) -> None:
    code, out, _ = run(*build_arguments(tiny_corpus))
    found = json.loads(out)
    assert code == 0
    assert found["atlas"] == tiny_atlas["atlas"]
    assert (found["n_layers"], found["n_heads"], found["n_kv_heads"], found["head_dim"]) == (
        2, 4, 4, 8,
    )  # fmt: skip
    assert found["n_points"] == 2 * found["n_tokens"]
    assert found["reconstruction_error_max"] <= 1e-5
    assert -1 <= found["fidelity"]["per_query_rho"] <= 1
    for matrix in (found["scale"], found["norm_difference"]["per_head"],
                   found["fidelity"]["per_head"]):  # fmt: skip
        assert np.shape(matrix) == (2, 4)
    assert found["fidelity"]["mean_spearman"] == pytest.approx(
        np.mean(found["fidelity"]["per_head"])
    )
    assert {"capture", "normalise", "pca"} <= found["seconds"].keys()
    assert found["peak_rss_bytes"] > 1e7


def test_figures_of_maps_are_means_and_on_request_those_of_every_head(
    run: Run, tiny_atlas: dict[str, Any], tiny_corpus: Path
) -> None:
    code, out, _ = run(*build_arguments(tiny_corpus), "--per-head")
    found = json.loads(out)["maps"]["pca_2d"]
    assert code == 0
    per_head = found.pop("per_head")
    assert {"per_query_rho", "top_key_share", "recall_at_10", "trustworthiness_at_10",
            "mixing"} <= found.keys()  # fmt: skip
    assert found.keys() == per_head.keys()
    for name, mean in found.items():
        assert np.shape(per_head[name]) == (2, 4)
        assert mean == pytest.approx(np.mean(per_head[name]))
    assert "per_head" not in tiny_atlas["maps"]["pca_2d"]


def test_maps_of_another_guidance_are_other_maps(
    run: Run, tiny_atlas: dict[str, Any], tiny_corpus: Path, tmp_path: Path
) -> None:
    del tiny_atlas  # the capture is there
    arguments = [*build_arguments(tiny_corpus)[:-2], "tsne", "--json", "--guidance"]
    plain, guided = (json.loads(run(*arguments, share)[1]) for share in (0, 0.5))
    assert (plain["guidance"], guided["guidance"]) == (0, 0.5)
    assert plain["atlas"] == guided["atlas"]
    assert plain["maps"]["tsne_2d"] != guided["maps"]["tsne_2d"]


def test_a_second_build_imports_no_torch(
    tiny_store: Store, tiny_atlas: dict[str, Any], hub_cache: Path, tiny_corpus: Path
) -> None:
    script = (
        "import sys; from pipeline.cli import main; code = main(sys.argv[1:]); "
        "assert 'torch' not in sys.modules and 'transformers' not in sys.modules; sys.exit(code)"
    )
    arguments = [str(argument) for argument in build_arguments(tiny_corpus)]
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, cwd=ROOT,
        env={"QKATLAS_CACHE": str(tiny_store.root), "HF_HUB_CACHE": str(hub_cache),
             "PATH": "", "HOME": "/"}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["atlas"] == tiny_atlas["atlas"]


def test_head_exports_raw_and_normalised_vectors_and_maps(
    run: Run, tiny_atlas: dict[str, Any], tmp_path: Path
) -> None:
    out = tmp_path / "head.npz"
    atlas = tiny_atlas["atlas"]
    assert run("head", "--atlas", atlas, "--layer", 1, "--head", 3, "--out", out)[0] == 0
    n = tiny_atlas["n_tokens"]
    with np.load(out, allow_pickle=False) as found:
        assert found["queries"].shape == found["normalised_keys"].shape == (n, 8)
        assert found["pca_2d"].shape == (2 * n, 2)
        assert found["pca_3d"].shape == (2 * n, 3)
        assert found["token_text"].shape == found["sequence_index"].shape == (n,)
        scale = tiny_atlas["scale"][1][3]
        np.testing.assert_allclose(found["normalised_queries"], scale * found["queries"], rtol=1e-5)
        centres = [found[f"normalised_{side}"].mean(axis=0) for side in ("queries", "keys")]
        np.testing.assert_allclose(*centres, atol=1e-5)


def test_attention_exports_rows_that_sum_to_one(
    run: Run, tiny_atlas: dict[str, Any], tmp_path: Path
) -> None:
    out = tmp_path / "attention.npz"
    place = ("--sequence", 2, "--layer", 0, "--head", 1)
    assert run("attention", "--atlas", tiny_atlas["atlas"], *place, "--out", out)[0] == 0
    with np.load(out, allow_pickle=False) as found:
        assert found["weights"].dtype == np.float32
        assert found["weights"].shape == (found["token_text"].size,) * 2
        np.testing.assert_allclose(found["weights"].sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["build", "--model", "minilm", "--corpus", "no-such-corpus"], "no-such-corpus"),
        (["build", "--model", "no-such-model", "--corpus", "sentences"], "no-such-model"),
        (["build", "--model", "minilm", "--corpus", "pairs", "--methods", "mds"], "mds"),
        (["build", "--model", "minilm", "--corpus", "pairs", "--dims", "5"], "5"),
        (["build", "--model", "minilm", "--corpus", "pairs", "--limit", "0"], "limit"),
        (["head", "--atlas", "0" * 64, "--layer", 0, "--head", 0, "--out", "x.npz"], "0000"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    run: Run, arguments: list[object], expected: str
) -> None:
    code, out, err = run(*arguments)
    assert code == 2
    assert out == ""
    line = err.splitlines()[-1]
    assert line.startswith("error: ")
    assert expected in line
    assert "Traceback" not in err


@pytest.mark.parametrize(("layer", "head"), [(2, 0), (-1, 0), (0, 4)])
def test_a_head_that_is_not_there_names_the_range(
    run: Run, tiny_atlas: dict[str, Any], tmp_path: Path, layer: int, head: int
) -> None:
    out = tmp_path / "x.npz"
    code, _, err = run(
        "head", "--atlas", tiny_atlas["atlas"], "--layer", layer, "--head", head, "--out", out
    )
    assert code == 2
    assert "expected 0 to" in err
    assert not out.exists()


def test_a_file_that_cannot_be_written_is_named(
    run: Run, tiny_atlas: dict[str, Any], tmp_path: Path
) -> None:
    out = tmp_path / "missing" / "x.npz"
    place = ("--layer", 0, "--head", 0)
    code, _, err = run("head", "--atlas", tiny_atlas["atlas"], *place, "--out", out)
    assert code == 2
    assert str(out) in err


@pytest.mark.parametrize(
    "arguments", [(), ("bild",), ("build", "--model", "minilm"), ("build", "--limit", "few")]
)
def test_a_command_line_that_cannot_be_read_is_refused_in_one_line(
    run: Run, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    with pytest.raises(SystemExit) as refused:
        run(*arguments)
    assert refused.value.code == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
