"""Build a new atlas: choose model, corpus, normalisation and maps."""

from __future__ import annotations

from collections.abc import Callable

from dash import dcc, html
from dash.development.base_component import Component

from app import ids
from app.controls.column import METHODS
from app.controls.elements import attributes, primary_button
from pipeline.catalogue import ModelState
from pipeline.corpora import CorpusInfo

NORMALISATIONS = (
    ("faithful", "faithful: the scale at which distance follows attention best"),
    ("paper", "paper: centred keys, scale 1, as AttentionViz' published generator does"),
    ("none", "none: raw queries and keys"),
)


def layout(
    models: Callable[[], list[ModelState]], corpora: Callable[[], list[CorpusInfo]], *,
    allow_any_model: bool,
) -> Component:  # fmt: skip
    """Return the form; models and corpora are listed anew each time it is opened."""
    other = _other_model() if allow_any_model else html.Div()
    return html.Div(
        html.Form(
            [
                html.H1("Build an atlas"),
                html.P(
                    "The model reads the corpus once; queries and keys of every head are kept, "
                    "checked against the model's own attention, and laid out. PCA appears first, "
                    "the other maps head by head."
                ),
                _question("Model", _models(models()), other),
                _question("Corpus", _corpora(corpora())),
                _question("Normalisation", _radio(ids.BUILD_NORMALISATION, NORMALISATIONS)),
                _question("Maps", _methods()),
                *([_question("Patch labels", _segmentation())] if allow_any_model else []),
                primary_button("Build", ids.BUILD_START),
                html.P(id=ids.BUILD_MESSAGE, role="status"),
            ],
            className="qk-form",
        ),
        className="qk-page",
    )  # fmt: skip


def _question(title: str, *answers: Component) -> Component:
    return html.Fieldset([html.Legend(title), *answers])


def _radio(component_id: str, options: tuple[tuple[str, str], ...]) -> Component:
    return dcc.RadioItems(
        id=component_id,
        options=[{"value": value, "label": label} for value, label in options],
        value=options[0][0],
    )


def _models(states: list[ModelState]) -> Component:
    return dcc.RadioItems(
        id=ids.BUILD_MODEL,
        options=[
            {
                "value": state.entry.name,
                "label": html.Span([
                    html.B(state.entry.name),
                    f" {state.entry.title}, {state.entry.modality}, {state.entry.layers} layers x "
                    f"{state.entry.heads} heads ",
                    html.Span(state.state, className="qk-pill", title=state.advice,
                              **attributes(data_level=_level(state))),
                ]),
            }
            for state in states
        ],
        value=states[0].entry.name,
    )  # fmt: skip


def _level(state: ModelState) -> str:
    return "good" if state.state == "ready" else "doubtful"


def _other_model() -> Component:
    return dcc.Input(
        id=ids.BUILD_OTHER_MODEL,
        type="text",
        placeholder="or a Hugging Face id, or a folder on this machine",
        maxLength=200,
        debounce=True,
    )


def _corpora(infos: list[CorpusInfo]) -> Component:
    return dcc.RadioItems(
        id=ids.BUILD_CORPUS,
        options=[
            {
                "value": info.name,
                "label": html.Span([html.B(info.name), f" {info.modality}: {info.description}"]),
            }
            for info in infos
        ],
        value=infos[0].name,
    )


def _segmentation() -> Component:
    return dcc.Input(
        id=ids.BUILD_SEGMENTATION,
        type="text",
        placeholder="for images: a segmentation model (hub id or folder); empty: their own masks",
        maxLength=200,
        debounce=True,
    )


def _methods() -> Component:
    return dcc.Checklist(
        id=ids.BUILD_METHODS,
        options=[{"value": value, "label": label} for value, label in METHODS],
        value=[value for value, _ in METHODS],
        inline=True,
    )
