"""Files and functions stay small enough to be read in one go."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILE_LINES = 300
FUNCTION_LINES = 60
VENDORED = {"bootstrap.min.css"}
# A function or any other block of code; not a class, an object or the wrapper of a whole script.
SCRIPT_BLOCK = re.compile(r"(?P<indent> *)(?!\(\(\) => \{)\S.*(\)|=>) \{")


def files(*suffixes: str) -> list[Path]:
    found = [
        path
        for folder in ("app", "pipeline", "assets")
        for path in sorted((ROOT / folder).rglob("*"))
        if path.suffix in suffixes and path.name not in VENDORED
    ]
    assert found
    return found


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def python_functions(source: str) -> Iterator[tuple[str, int]]:
    """Yield (name, lines) of every function, decorators left out."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            yield node.name, node.end_lineno - node.lineno + 1


def script_functions(source: str) -> Iterator[tuple[str, int]]:
    """Yield (first line, lines) of every block of code, by its indentation."""
    lines = source.splitlines()
    for start, line in enumerate(lines):
        if match := SCRIPT_BLOCK.fullmatch(line):
            closing = match["indent"] + "}"
            end = next(i for i in range(start + 1, len(lines)) if lines[i].startswith(closing))
            yield line.strip(), end - start + 1


@pytest.mark.parametrize("path", files(".py", ".js", ".css"), ids=name_of)
def test_a_file_has_at_most_300_lines(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= FILE_LINES


@pytest.mark.parametrize("path", files(".py", ".js"), ids=name_of)
def test_a_function_has_at_most_60_lines(path: Path) -> None:
    functions = python_functions if path.suffix == ".py" else script_functions
    source = path.read_text(encoding="utf-8")
    assert [one for one in functions(source) if one[1] > FUNCTION_LINES] == []


def test_the_lines_of_python_functions_are_counted() -> None:
    source = "class A:\n    @property\n    def f(self):\n        x = 1\n\n        return x\n"
    assert list(python_functions(source)) == [("f", 4)]


def test_the_lines_of_script_functions_are_counted() -> None:
    source = "\n".join([
        "(() => {",
        "  class A {",
        "    f(x) {",
        "      if (x) {",
        "        return 1;",
        "      }",
        "    }",
        "  }",
        "  const g = (x) => {",
        "    return x;",
        "  };",
        "})();",
    ])  # fmt: skip
    assert list(script_functions(source)) == [
        ("f(x) {", 5),
        ("if (x) {", 3),
        ("const g = (x) => {", 3),
    ]
