"""The command line: list models and corpora, build an atlas, export a head or its attention.

Results go to stdout (one JSON object with `--json`), progress and errors to stderr. Bad input ends
with exit code 2 and one line: what was found, what was expected, what to do.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn, TextIO

from tqdm import tqdm

from pipeline.build import build_atlas, find_built, hub_cache
from pipeline.catalogue import list_models
from pipeline.corpora import list_corpora
from pipeline.device import resolve_device
from pipeline.errors import InputError, PipelineError
from pipeline.exports import attention_arrays, head_arrays, save_arrays
from pipeline.records import Progress
from pipeline.specs import (
    DEFAULT_GUIDANCE,
    DEFAULT_NEIGHBOURS,
    DEVICES,
    DIMS,
    MAX_GUIDANCE,
    METHODS,
    NEIGHBOURS,
    NORMALISATIONS,
    PARTS,
    ROTARY,
    AtlasSpec,
)
from pipeline.store import Store

BAD_INPUT = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    try:
        options.run(options)
    except PipelineError as error:
        print_line(sys.stderr, f"error: {' '.join(str(error).split())}")
        return BAD_INPUT
    except KeyboardInterrupt:
        print_line(sys.stderr, "interrupted; finished stages and heads are kept")
        return 130
    except BrokenPipeError:
        # The reader of our output has gone (`| head`): nobody is left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def print_line(stream: TextIO, line: str) -> None:
    """Write one line and flush it."""
    stream.write(f"{line}\n")
    stream.flush()


class _Parser(argparse.ArgumentParser):
    """Refuses a command line as all bad input is refused: in one line."""

    def error(self, message: str) -> NoReturn:
        """End the program."""
        print_line(sys.stderr, f"error: {message}; see `{self.prog} --help`")
        sys.exit(BAD_INPUT)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m pipeline", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(
        name: str, run: Callable[[argparse.Namespace], None], text: str
    ) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text)
        added.set_defaults(run=run)
        return added

    for name, run in (("models", _models), ("corpora", _corpora)):
        listing = command(name, run, f"list the known {name}")
        listing.add_argument("--json", action="store_true", help="one JSON array on stdout")
    verify = command("verify", _verify, "show what is found in a model and how exactly")
    verify.add_argument("--model", required=True, metavar="NAME|HUB_ID|FOLDER")
    verify.add_argument("--text", help="a text of your own")
    verify.add_argument("--device", default="auto", help=" | ".join(DEVICES))
    verify.add_argument("--json", action="store_true", help="one JSON object on stdout")
    _add_build_options(command("build", _build, "build what is missing of an atlas"))
    head = command("head", _head, "export vectors and maps of one head to a .npz file")
    attention = command("attention", _attention, "export attention weights of one sequence")
    attention.add_argument("--sequence", type=int, required=True, metavar="I")
    for export in (head, attention):
        export.add_argument("--atlas", required=True, metavar="ID", help="printed by build")
        export.add_argument("--layer", type=int, required=True, metavar="L")
        export.add_argument("--head", type=int, required=True, metavar="H")
        export.add_argument("--out", type=Path, required=True, metavar="F.npz")
    return parser


def _add_build_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--model", required=True, metavar="NAME|HUB_ID|FOLDER")
    add("--corpus", required=True, metavar="NAME|FILE|FOLDER")
    add("--methods", type=_words, default=METHODS, help=f"default {','.join(METHODS)}")
    add("--dims", type=_words, default=None, help="default 2,3 for PCA and 2 for the others")
    add("--normalisation", default="faithful", help=" | ".join(NORMALISATIONS))
    add("--guidance", type=float, default=DEFAULT_GUIDANCE, metavar="G",
        help=f"share of real attention in t-SNE and UMAP, 0 to {MAX_GUIDANCE}; "
        "default %(default)s")  # fmt: skip
    add("--neighbours", default=DEFAULT_NEIGHBOURS, help=" | ".join(NEIGHBOURS))
    add("--limit", type=int, metavar="N", help="use the first N sequences")
    add("--seed", type=int, default=0)
    add("--device", default="auto", help=" | ".join(DEVICES))
    add("--column", help="column of a CSV, TSV or JSON lines file")
    add("--part", help=f"of a model of several parts: {' | '.join(PARTS)} (default encoder)")
    add("--rotary", default="after", help=f"vectors after or before it: {' | '.join(ROTARY)}")
    add("--segmentation", metavar="HUB_ID|FOLDER", help="model that labels the patches of images")
    add("--json", action="store_true", help="one JSON object on stdout")
    add("--per-head", action="store_true", help="with --json: figures of each head as well")


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _store() -> Store:
    return Store(Path(os.environ.get("QKATLAS_CACHE") or "cache"))


def _models(options: argparse.Namespace) -> None:
    states = list_models(_store().root, hub_cache())
    if options.json:
        rows = [asdict(s.entry) | {"state": s.state, "advice": s.advice} for s in states]
        print_line(sys.stdout, json.dumps(rows))
        return
    for state in states:
        entry = state.entry
        shape = f"{entry.layers}x{entry.heads}x{entry.head_dim}"
        row = f"{entry.name:22} {entry.modality:6} {shape:9} {state.state}: {state.advice}"
        print_line(sys.stdout, row)


def _corpora(options: argparse.Namespace) -> None:
    corpora = list_corpora()
    if options.json:
        print_line(sys.stdout, json.dumps([asdict(corpus) for corpus in corpora]))
        return
    for corpus in corpora:
        print_line(
            sys.stdout,
            f"{corpus.name:10} {corpus.modality:6} {corpus.n_sequences:5}  {corpus.description}",
        )


def _verify(options: argparse.Namespace) -> None:
    # Imported here: torch and transformers take seconds, and no other command needs them at once.
    from pipeline.verify import story, verify

    device = resolve_device(options.device)
    found = verify(
        options.model, _store(), hub_cache=hub_cache(), device=device, text=options.text
    )  # fmt: skip
    for line in [json.dumps(found)] if options.json else story(found):
        print_line(sys.stdout, line)


def _build(options: argparse.Namespace) -> None:
    spec = _spec(options)
    store = _store()
    where = {"hub_cache": hub_cache(), "per_head": options.per_head}
    result = find_built(spec, store, **where)
    if result is None:
        with _ProgressBar() as bar:
            result = build_atlas(spec, store, report=bar.report, **where)
    if options.json:
        print_line(sys.stdout, json.dumps(result))
        return
    for line in _story(result):
        print_line(sys.stdout, line)


def _spec(options: argparse.Namespace) -> AtlasSpec:
    known = {str(dims): dims for dims in DIMS}
    unknown = [word for word in options.dims or () if word not in known]
    if unknown:
        raise InputError(f"--dims: found {','.join(unknown)}, expected 2, 3 or 2,3")
    return AtlasSpec(
        model=options.model,
        corpus=options.corpus,
        methods=options.methods,
        dims=tuple(known[word] for word in options.dims) if options.dims else None,
        normalisation=options.normalisation,
        guidance=options.guidance,
        neighbours=options.neighbours,
        limit=options.limit,
        seed=options.seed,
        device=options.device,
        column=options.column,
        part=options.part,
        rotary=options.rotary,
        segmentation=options.segmentation,
    )


def _story(result: dict[str, Any]) -> list[str]:
    lines = [
        f"atlas {result['atlas']}",
        f"{result['model']} on {result['corpus']}: {result['n_layers']} layers x "
        f"{result['n_heads']} heads, {result['n_sequences']} sequences, "
        f"{result['n_tokens']} tokens, {result['n_points']} points a head",
        f"rebuilt attention differs by at most {result['reconstruction_error_max']:.1e}",
        f"distance against dot product: rho {result['fidelity']['mean_spearman']:.3f} "
        f"(mean over heads, -1 is ideal)",
        *(
            f"{name}: per query {figures['per_query_rho']:.3f}, strongest key among the 3 nearest "
            f"{figures['top_key_share']:.0%}, neighbours kept {figures['recall_at_10']:.0%}"
            for name, figures in result["maps"].items()
        ),
        "seconds: " + ", ".join(f"{k} {v:.1f}" for k, v in result["seconds"].items()),
    ]
    if result["n_truncated"]:
        lines.append(f"{result['n_truncated']} texts were cut to the length the model allows")
    if result["n_sequences"] < result["n_sequences_given"]:
        lines.append(
            f"a random sample of {result['n_sequences']} of {result['n_sequences_given']} "
            "sequences was used"
        )
    return lines + list(result["left_out"])


def _head(options: argparse.Namespace) -> None:
    _save(options, head_arrays(_store(), options.atlas, options.layer, options.head))


def _attention(options: argparse.Namespace) -> None:
    place = options.sequence, options.layer, options.head
    _save(options, attention_arrays(_store(), options.atlas, *place))


def _save(options: argparse.Namespace, arrays: dict[str, Any]) -> None:
    save_arrays(options.out, arrays)
    print_line(sys.stderr, f"wrote {options.out}: {', '.join(arrays)}")


class _ProgressBar:
    """One bar on stderr for the stage at hand."""

    def __enter__(self) -> _ProgressBar:
        pause_s = 0.5 if sys.stderr.isatty() else 10  # a log file needs fewer lines
        self._bar: tqdm[Any] = tqdm(total=1, file=sys.stderr, leave=False, mininterval=pause_s)
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def report(self, progress: Progress) -> None:
        """Show progress of a stage."""
        if self._bar.desc != f"{progress.stage}: ":
            self._bar.reset(total=progress.total)
            self._bar.set_description(progress.stage)
        self._bar.set_postfix_str(progress.message, refresh=False)
        self._bar.update(progress.done - self._bar.n)
