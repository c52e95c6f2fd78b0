"""Who may import whom, read from the syntax tree. Each rule is shown a breach that it must notice.

A room is a module or package directly inside `app` or `pipeline`. Rooms that are not built yet are
simply not there; other rooms that no rule names count as part of the rooms that import them.
"""

import ast
import graphlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCREEN_LIBRARIES = {"app", "dash", "plotly", "flask"}
# Rooms that put a real service together.
BUILDERS = {"app.__main__", "app.wsgi", "app.serve", "app.notebook"}
# Runs models where it is imported: by notebooks and scripts, never by the web process.
NOTEBOOK = "app.notebook"
# Of the pipeline, app takes values from these; from all other rooms only types.
SHARED_ROOMS = {"errors", "records", "specs"}
# What each room of app may take from the others; rooms that stand here not at all may take all.
APP_ROOMS = {
    "ids": set(),
    "bodies": set(),
    "settings": set(),
    "theme": set(),
    "security": {"settings"},
    "view_state": {"theme"},
    "figures": {"theme", "figures"},
    "opening": {"view_state"},
    "questions": {"theme"},
    "api": {"theme", "view_state", "opening", "api"},
    "controls": {"ids", "view_state", "theme", "controls"},
    "pages": {"ids", "view_state", "theme", "controls"},
    "shell": {"ids", "view_state", "theme", "controls", "pages"},
    "callbacks": {"ids", "view_state", "theme", "opening", "questions", "figures", "controls"},
}
# From bottom to top; a room imports from its own level and those below.
PIPELINE_LEVELS = (
    {"errors"},
    {"records"},
    {"specs", "device"},
    {"store", "corpora", "sampling", "normalise", "projection", "quality"},
    {"models", "rotation", "capture", "fallback", "masks", "operands", "projections"},
    {"layers", "inputs", "survey", "layer_files", "text_inputs", "image_inputs", "tokens"},
    {"extract", "attention", "headscores"},
    {"verify"},
    {"encodings", "aggregate", "report", "search"},
    {"worker", "jobs"},
    {"service"},
    {"cli"},
)
# Which rooms may import a library; `convert` reads GGUF files through transformers.
LIBRARY_ROOMS = {
    "transformers": {"models", "capture", "convert", "segmentation"},
    "diskcache": {"store", "table"},
    "textblob": {"parts_of_speech"},
}
TORCH_FREE_ROOMS = {"normalise", "sampling", "quality"}
# `app.__main__` and `app.wsgi` hand the environment to `app.settings` and read nothing from it.
ENVIRONMENT_READERS = {"app.__main__", "app.wsgi", "app.notebook", "pipeline.cli"}


@dataclass(frozen=True)
class Import:
    importer: str
    imported: str
    is_type: bool  # all names that it brings are used in annotations only


@dataclass(frozen=True)
class Project:
    trees: dict[str, ast.Module]
    imports: list[Import]

    @property
    def graph(self) -> dict[str, set[str]]:
        """Module -> what it imports."""
        graph: dict[str, set[str]] = {name: set() for name in self.trees}
        for one in self.imports:
            graph[one.importer].add(one.imported)
        return graph


def project_of(sources: dict[str, str]) -> Project:
    trees = {name: ast.parse(source) for name, source in sources.items()}
    return Project(trees, list(find_imports(trees)))


@pytest.fixture(scope="module")
def project() -> Project:
    files = [path for half in ("app", "pipeline") for path in (ROOT / half).rglob("*.py")]
    assert len(files) > 10
    return project_of({module_name(path): path.read_text(encoding="utf-8") for path in files})


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def room(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def find_imports(trees: dict[str, ast.Module]) -> Iterator[Import]:
    """Yield every import, those inside functions too; `from app import ids` is of `app.ids`."""
    for importer, tree in trees.items():
        used = set(names_outside_annotations(tree))
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield Import(importer, alias.name, False)
            elif isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    source = "." * node.level + (node.module or "")
                    whole = f"{source}.{alias.name}"
                    is_type = (alias.asname or alias.name) not in used
                    yield Import(importer, whole if whole in trees else source, is_type)


def names_outside_annotations(node: ast.AST) -> Iterator[str]:
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.Name):
                yield child.id
            if isinstance(child, ast.AST):
                yield from names_outside_annotations(child)


def reached(graph: dict[str, set[str]], start: str, *, stop_at: Callable[[str], bool]) -> set[str]:
    """Return what a module imports, and what that imports, up to modules where it stops."""
    found: set[str] = set()
    waiting = [start]
    while waiting:
        for name in graph.get(waiting.pop(), set()) - found:
            found.add(name)
            if not stop_at(name):
                waiting.append(name)
    return found


def pipeline_knows_no_screen(project: Project) -> list[str]:
    return [
        f"{one.importer} imports {one.imported}"
        for one in project.imports
        if one.importer.startswith("pipeline") and one.imported.split(".")[0] in SCREEN_LIBRARIES
    ]


def app_takes_only_types_from_the_machinery(project: Project) -> list[str]:
    return [
        f"{one.importer} uses {one.imported}"
        for one in project.imports
        if one.importer.startswith("app")
        and one.importer not in BUILDERS
        and one.imported.startswith("pipeline")
        and room(one.imported) not in SHARED_ROOMS
        and not one.is_type
    ]


def rooms_of_app_keep_to_their_neighbours(project: Project) -> list[str]:
    return [
        f"{one.importer} imports {one.imported}"
        for one in project.imports
        if one.importer.startswith("app.")
        and one.imported.startswith("app")
        and room(one.importer) in APP_ROOMS
        and room(one.imported) not in APP_ROOMS[room(one.importer)]
    ]


def figures_know_arrays_and_plotly_only(project: Project) -> list[str]:
    known = sys.stdlib_module_names | {"numpy", "plotly", "app", "pipeline"}
    return [
        f"{one.importer} imports {one.imported}"
        for one in project.imports
        if room(one.importer) == "figures"
        and (
            one.imported.split(".")[0] not in known
            or (one.imported.startswith("pipeline") and one.imported != "pipeline.records")
        )
    ]


def pipeline_imports_point_downwards(project: Project) -> list[str]:
    level = {name: i for i, rooms in enumerate(PIPELINE_LEVELS) for name in rooms}
    graph, upwards = project.graph, []
    for importer in project.trees:
        if not importer.startswith("pipeline") or room(importer) not in level:
            continue
        for imported in reached(graph, importer, stop_at=lambda name: room(name) in level):
            is_ours = imported.startswith("pipeline") and room(imported) in level
            if is_ours and level[room(imported)] > level[room(importer)]:
                upwards.append(f"{importer} imports {imported}")
    return upwards


def nothing_goes_in_circles(project: Project) -> list[str]:
    try:
        graphlib.TopologicalSorter(project.graph).prepare()
    except graphlib.CycleError as error:
        return [" -> ".join(error.args[1])]
    return []


def web_process_never_meets_torch(project: Project) -> list[str]:
    graph, found = project.graph, []
    for module in graph:
        if module.startswith("app") and module != NOTEBOOK:
            names = reached(graph, module, stop_at=lambda name: name not in graph)
            heavy = {name.split(".")[0] for name in names} & {"torch", "transformers"}
            found += [f"{module} reaches {name}" for name in sorted(heavy)]
            found += [f"{module} reaches {NOTEBOOK}"] if NOTEBOOK in names else []
    return found


def libraries_stay_in_their_rooms(project: Project) -> list[str]:
    found = []
    for one in project.imports:
        library = one.imported.split(".")[0]
        rooms = LIBRARY_ROOMS.get(library)
        if (rooms is not None and room(one.importer) not in rooms) or (
            library == "torch" and room(one.importer) in TORCH_FREE_ROOMS
        ):
            found.append(f"{one.importer} imports {one.imported}")
    return found


def mains_are_run_and_names_are_whole(project: Project) -> list[str]:
    return [
        f"{one.importer} imports {one.imported}"
        for one in project.imports
        if one.imported.startswith(".") or one.imported.endswith("__main__")
    ]


def few_read_the_environment(project: Project) -> list[str]:
    """Setting a variable for a library or a child process is not reading."""
    found = []
    for module, tree in project.trees.items():
        writes = [
            node.value
            for node in ast.walk(tree)
            if (isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store))
            or (isinstance(node, ast.Attribute) and node.attr in ("update", "setdefault"))
        ]
        reads = [
            node
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute)
            and node.attr in ("environ", "environb", "getenv")
            and node not in writes
        ]
        if reads and module not in ENVIRONMENT_READERS:
            found.append(module)
    return found


Rule = Callable[[Project], list[str]]
# Each rule, with modules that break it.
RULES: list[tuple[Rule, dict[str, str]]] = [
    (pipeline_knows_no_screen, {"pipeline.store": "def f():\n    import dash.html"}),
    (pipeline_knows_no_screen, {"pipeline.store": "from app import ids", "app.ids": ""}),
    (app_takes_only_types_from_the_machinery,
     {"app.api": "from pipeline.service import Service\nService()"}),
    (app_takes_only_types_from_the_machinery, {"app.api": "import pipeline.store"}),
    (rooms_of_app_keep_to_their_neighbours, {"app.pages.head": "from app.api import routes"}),
    (rooms_of_app_keep_to_their_neighbours, {"app.theme": "from app import ids", "app.ids": ""}),
    (figures_know_arrays_and_plotly_only, {"app.figures.scores": "import dash"}),
    (figures_know_arrays_and_plotly_only, {"app.figures.scores": "import pipeline.specs"}),
    (pipeline_imports_point_downwards, {"pipeline.store": "from pipeline.jobs import JobTable"}),
    (pipeline_imports_point_downwards,
     {"pipeline.store": "import pipeline.inner", "pipeline.inner": "import pipeline.jobs"}),
    (nothing_goes_in_circles, {"pipeline.a": "import pipeline.b",
                               "pipeline.b": "def f():\n    from pipeline import a"}),
    (web_process_never_meets_torch,
     {"app.api": "from pipeline.service import S", "pipeline.service": "import pipeline.x",
      "pipeline.x": "def f():\n    import torch.nn"}),
    (web_process_never_meets_torch, {"app.api": "import app.notebook", "app.notebook": ""}),
    (libraries_stay_in_their_rooms, {"pipeline.extract": "from transformers import AutoModel"}),
    (libraries_stay_in_their_rooms, {"pipeline.jobs": "import diskcache"}),
    (libraries_stay_in_their_rooms, {"pipeline.quality": "import torch"}),
    (mains_are_run_and_names_are_whole, {"app.wsgi": "from app.__main__ import main"}),
    (mains_are_run_and_names_are_whole, {"app.wsgi": "from . import main"}),
    (few_read_the_environment, {"pipeline.store": "import os\nos.environ['HOME']"}),
    (few_read_the_environment, {"app.api": "from os import path\nimport os\nos.getenv('HOME')"}),
]  # fmt: skip


@pytest.mark.parametrize("rule", dict.fromkeys(rule for rule, _ in RULES))
def test_the_rule_is_kept(rule: Rule, project: Project) -> None:
    assert rule(project) == []


@pytest.mark.parametrize(("rule", "sources"), RULES)
def test_the_rule_notices_a_breach(rule: Rule, sources: dict[str, str]) -> None:
    assert rule(project_of(sources))


def test_importing_app_in_a_fresh_interpreter_brings_no_torch(project: Project) -> None:
    rooms = [name for name in project.trees if name.startswith("app") and name not in BUILDERS]
    code = f"import sys, {', '.join(rooms)}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
