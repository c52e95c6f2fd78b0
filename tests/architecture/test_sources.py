"""What may not stand in the source at all. Each rule is shown a breach that it must notice."""

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RAW_HTML = {"dangerously_allow_html", "dangerously_allow_code", "mathjax", "markdown_options"}
# Properties through which text becomes a link, a script or a page.
LINKS = {"href", "src", "srcDoc", "target", "pathname", "search", "hash"}
PICKLE_MODULES = {"pickle", "cPickle", "dill", "joblib", "cloudpickle", "shelve", "marshal"}
SCRIPT_DANGERS = re.compile(
    r"\b(innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function|javascript:)"
)


def python_trees() -> dict[str, ast.Module]:
    paths = [path for half in ("app", "pipeline") for path in (ROOT / half).rglob("*.py")]
    assert len(paths) > 10
    return {str(p.relative_to(ROOT)): ast.parse(p.read_text(encoding="utf-8")) for p in paths}


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    """Yield every call with the last part of the name that is called."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            function = node.func
            name = function.attr if isinstance(function, ast.Attribute) else ""
            yield function.id if isinstance(function, ast.Name) else name, node


def raw_html(tree: ast.Module) -> list[str]:
    """Find switches that make Dash show text as HTML (reliability A3)."""
    return [
        keyword.arg
        for _, call in calls(tree)
        for keyword in call.keywords
        if keyword.arg in RAW_HTML
    ]


def pickles(tree: ast.Module) -> list[str]:
    """Find what could run code from a file (reliability C1)."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if alias.name in PICKLE_MODULES]
        if isinstance(node, ast.ImportFrom) and node.module in PICKLE_MODULES:
            found.append(node.module)
    for name, call in calls(tree):
        owner = ast.unparse(call.func).rpartition(".")[0]
        if name == "load" and owner == "torch":
            found.append("torch.load")
        for keyword in call.keywords:
            is_false = isinstance(keyword.value, ast.Constant) and keyword.value.value is False
            if keyword.arg in ("allow_pickle", "trust_remote_code") and not is_false:
                found.append(keyword.arg)
    return found


def prints(tree: ast.Module) -> list[str]:
    return [name for name, _ in calls(tree) if name == "print"]


def computed_links(tree: ast.Module) -> list[str]:
    """Find links that are not written out in the source (reliability A2).

    A component's link is a constant. A callback's is set by one of our scripts, which put every
    value that they write into an address through `encodeURIComponent`.
    """
    clientside = {
        id(inner)
        for name, call in calls(tree)
        if name == "clientside_callback"
        for inner in ast.walk(call)
    }
    found = []
    for name, call in calls(tree):
        is_output = name == "Output" and id(call) not in clientside
        if is_output and any(isinstance(a, ast.Constant) and a.value in LINKS for a in call.args):
            found.append(ast.unparse(call))
        found += [
            ast.unparse(call)
            for keyword in call.keywords
            if keyword.arg in LINKS - ({"target"} if name == "Thread" else set())
            and not isinstance(keyword.value, ast.Constant)
        ]
    return found


Rule = Callable[[ast.Module], list[str]]
# Each rule, with sources that break it.
RULES: list[tuple[Rule, str]] = [
    (raw_html, "dcc.Markdown(text, dangerously_allow_html=True)"),
    (raw_html, "dcc.Markdown(text, mathjax=True)"),
    (pickles, "import pickle"),
    (pickles, "def f():\n    from joblib import load"),
    (pickles, "torch.load(path)"),
    (pickles, "np.load(path, allow_pickle=True)"),
    (pickles, "np.load(path, allow_pickle=flag)"),
    (pickles, "AutoModel.from_pretrained(name, trust_remote_code=flag)"),
    (prints, "def f():\n    print('here')"),
    (computed_links, "html.A('x', href=address)"),
    (computed_links, "html.Iframe(srcDoc=f'<b>{name}</b>')"),
    (computed_links, "app.callback(Output(ids.LINK, 'href'), Input(ids.NAME, 'value'))"),
    (computed_links, "app.callback(Output(ids.LOCATION, 'search'), Input(ids.NAME, 'value'))"),
]


@pytest.mark.parametrize("rule", dict.fromkeys(rule for rule, _ in RULES))
def test_the_source_keeps_the_rule(rule: Rule) -> None:
    assert {path: rule(tree) for path, tree in python_trees().items() if rule(tree)} == {}


@pytest.mark.parametrize(("rule", "source"), RULES)
def test_the_rule_notices_a_breach(rule: Rule, source: str) -> None:
    assert rule(ast.parse(source))


def test_fixed_links_and_those_of_our_scripts_are_allowed() -> None:
    source = "html.A('x', href='/')\napp.clientside_callback(F('a', 'b'), Output(ids.LINK, 'href'))"
    assert computed_links(ast.parse(source)) == []


def test_scripts_make_no_html_or_code_from_text() -> None:
    scripts = sorted((ROOT / "assets").rglob("*.js"))
    assert scripts
    found = {p.name: SCRIPT_DANGERS.findall(p.read_text(encoding="utf-8")) for p in scripts}
    assert {name: dangers for name, dangers in found.items() if dangers} == {}


def test_html_and_code_from_text_would_be_noticed() -> None:
    for source in ("element.innerHTML = text", "eval(text)", "new Function(text)"):
        assert SCRIPT_DANGERS.search(source)
