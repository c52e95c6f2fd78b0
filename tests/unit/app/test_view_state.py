"""A view goes into the address and comes back; an address can hold anything."""

from dataclasses import asdict, replace
from urllib.parse import parse_qsl

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.view_state import CHOICES, NAME, PINS, RANGES, ViewState, parse, to_query

numbers = st.integers(0, 9_999_999)
ranges = st.just("") | st.from_regex(RANGES, fullmatch=True, alphabet="0123456789-,")
names = st.text("azAZ09éü_/~.@+: -", min_size=1, max_size=40).filter(NAME.fullmatch)
states = st.builds(
    ViewState,
    model=names,
    corpus=names,
    layer=numbers,
    head=numbers,
    sequence=st.none() | numbers,
    layers=ranges,
    heads=ranges,
    pinned=st.just("") | st.from_regex(PINS, fullmatch=True, alphabet="0123456789-,:;"),
    compare=st.none() | numbers,
    **{name: st.sampled_from(choices) for name, choices in CHOICES.items()},
).flatmap(
    lambda state: st.builds(
        replace,
        st.just(state),
        token=st.none() if state.sequence is None else st.none() | numbers,
    )
)


@given(states)
def test_writing_then_reading_gives_the_same_state(state: ViewState) -> None:
    # As Dash reads an address.
    query = dict(parse_qsl(to_query(state), keep_blank_values=True, strict_parsing=False))
    assert parse(query) == (state, [])


texts = st.text() | st.lists(st.text()) | st.none() | st.integers()


@given(st.dictionaries(st.sampled_from([*asdict(ViewState()), "page", "sid"]), texts))
@example({"encoding": "\U0001da8c" * 100})
def test_any_address_gives_a_view_that_can_be_linked_to(query: dict[str, object]) -> None:
    state, notices = parse(query)
    assert parse(dict(parse_qsl(to_query(state)))) == (state, [])
    assert all(len(notice) < 500 for notice in notices)


def test_the_default_view_has_an_empty_query() -> None:
    assert to_query(ViewState()) == ""
    assert parse({}) == (ViewState(), [])


# The same pairs stand in tests/javascript/url.test.js.
@pytest.mark.parametrize(
    ("changes", "query"),
    [
        ({"layer": 3, "head": 9}, "layer=3&head=9"),
        ({"head": 9, "layer": 3, "model": "org/name-v1.0"}, "model=org/name-v1.0&layer=3&head=9"),
        ({"model": "org/a@b", "corpus": "/data/my texts.csv"},
         "model=org/a%40b&corpus=/data/my%20texts.csv"),
        ({"corpus": "~/é+ü:x"}, "corpus=~/%C3%A9%2B%C3%BC%3Ax"),
        ({"sequence": 0, "token": 4, "side": "key"}, "sequence=0&token=4&side=key"),
        ({"dims": 3, "palette": "classic"}, "dims=3&palette=classic"),
        ({"guidance": 0.3, "dims": 3}, "guidance=0.3&dims=3"),
        ({"guidance": 0.0}, "guidance=0"),
        ({"token": 4, "sequence": 1, "image_mode": "flows"}, "sequence=1&token=4&image_mode=flows"),
        ({"image_least": 0.25, "image_contrast": "on"}, "image_least=0.25&image_contrast=on"),
        ({"layers": "0-3,7", "pairs": "ab"}, "layers=0-3%2C7&pairs=ab"),
    ],
)  # fmt: skip
def test_only_what_differs_is_written_in_a_fixed_order(
    changes: dict[str, object], query: str
) -> None:
    assert to_query(replace(ViewState(), **changes)) == query  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["a", "1-", "-1", "1,,2", "1234", "1-2-3", " 1", "1" + ",1" * 20])
def test_ranges_that_are_none_are_refused(text: str) -> None:
    state, [notice] = parse({"layers": text})
    assert state == ViewState()
    assert "expected numbers and ranges such as 0-3,7" in notice


def test_unknown_names_are_ignored() -> None:
    assert parse({"layer": "2", "text": "what a user typed", "utm": "x"}) == (
        ViewState(layer=2),
        [],
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *(("layer", text) for text in ("", "-1", "1.5", "1e3", "x", "٣", "12345678", " 1", "1\n")),
        ("head", ["1", "2"]),
        ("sequence", "none"),
        ("dims", "4"),
        ("dims", 2),
        ("method", "TSNE"),
        ("normalisation", ""),
        ("guidance", "0.31"),
        ("encoding", "frequency"),
        ("palette", "<b>"),
        ("side", "value"),
        *(
            ("model", text)
            for text in ("", "a" * 201, "<script>", "a\nb", "../etc", "a/../b", "a?b", "a&b=c",
                         "a%b", "javascript:alert(1)", " a", "a ", "a\u202eb", "a\0")
        ),
    ],
)  # fmt: skip
def test_a_bad_value_becomes_the_default_and_a_notice(name: str, text: object) -> None:
    state, notices = parse({name: text, "layer" if name != "layer" else "head": "5"})
    default = getattr(ViewState(), name)
    assert getattr(state, name) == default
    assert {state.layer, state.head} == {5, 0}
    assert len(notices) == 1
    assert f"The address asks for {name} " in notices[0]
    assert f"Shown instead: {'none' if default is None else default}." in notices[0]


def test_a_token_needs_its_sequence() -> None:
    state, notices = parse({"token": "4"})
    assert state == ViewState()
    assert notices == ["The address names a token without its sequence. No token is selected."]


def test_a_name_may_have_200_characters() -> None:
    assert parse({"model": "a" * 200}) == (ViewState(model="a" * 200), [])


def test_a_long_bad_value_is_cut_in_its_notice() -> None:
    _, notices = parse({"model": "<" * 5000})
    assert len(notices[0]) < 200
