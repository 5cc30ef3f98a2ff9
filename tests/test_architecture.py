"""Claims about the shape of the code: the arrows of docs/design.md, names, and heavy imports."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("classifier", "training", "service")
CLASSIFIER_MAY = {"classifier", "numpy", "jieba", "rjieba"}
SERVING_NEVER = {"sklearn", "scipy", "pickle", "joblib", "marshal"}


def _imports(path: Path) -> Iterator[tuple[str, bool]]:
    """Modules a file imports, and whether inside a function or for the type checker alone."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inside = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.FunctionDef | ast.AsyncFunctionDef) or _is_for_types(block)
        for node in ast.walk(block)
    }
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        for name in names:
            yield name, id(node) in inside


def _is_for_types(block: ast.AST) -> bool:
    return (
        isinstance(block, ast.If)
        and isinstance(block.test, ast.Name)
        and block.test.id == "TYPE_CHECKING"
    )


def _files(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


@pytest.mark.parametrize("path", _files("classifier"), ids=str)
def test_classifier_imports_the_standard_library_numpy_and_jieba_only(path: Path) -> None:
    """No scikit-learn, no Flask, no database, nothing of training or service."""
    for name, _ in _imports(path):
        top = name.split(".")[0]
        assert top in CLASSIFIER_MAY or top in sys.stdlib_module_names, name
        assert top not in {"pickle", "marshal", "shelve"}, name


@pytest.mark.parametrize("path", _files("training"), ids=str)
def test_training_knows_nothing_of_the_service(path: Path) -> None:
    """The arrows form a fork."""
    assert not [name for name, _ in _imports(path) if name.split(".")[0] == "service"]


@pytest.mark.parametrize("path", _files("service"), ids=str)
def test_service_takes_training_only_inside_a_function(path: Path) -> None:
    """And never unpickles anything."""
    for name, inside in _imports(path):
        top = name.split(".")[0]
        assert top not in SERVING_NEVER, name
        assert top != "training" or inside, name


def test_no_circle_of_imports() -> None:
    """Module-level imports among our own modules have an order."""
    modules = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for package in PACKAGES
        for path in _files(package)
    }
    arrows = {
        name: {other for other, inside in _imports(path) if not inside and other in modules}
        for name, path in modules.items()
    }
    done: set[str] = set()

    def visit(name: str, above: tuple[str, ...]) -> None:
        assert name not in above, " -> ".join((*above, name))
        if name not in done:
            for other in arrows[name] - {name}:
                visit(other, (*above, name))
            done.add(name)

    for name in arrows:
        visit(name, ())


def test_no_room_without_a_name_and_no_hall_without_end() -> None:
    """No utils or helpers, and no module over 500 lines."""
    for package in PACKAGES:
        for path in _files(package):
            assert path.stem not in {"utils", "util", "helpers", "helper", "common", "manager"}
            assert len(path.read_text(encoding="utf-8").splitlines()) <= 500, path


def test_tagging_and_serving_never_load_scikit_learn() -> None:
    """In a process that imports the app and all commands, sklearn and scipy are not loaded."""
    program = (
        "import sys, importlib, service.app, service.cli\n"
        "for module in set(service.cli.COMMANDS.values()): importlib.import_module(module)\n"
        "print(sorted(name for name in ('sklearn', 'scipy', 'pandas') if name in sys.modules))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert answer.stdout.strip() == "[]"


def test_help_loads_nothing_heavy() -> None:
    """`gaoqian --help` imports neither numpy nor Flask nor a database."""
    program = (
        "import sys\nsys.argv = ['gaoqian', '--help']\nfrom service.cli import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "heavy = ('numpy', 'flask', 'sqlalchemy', 'jieba', 'sklearn', 'pydantic', 'lxml')\n"
        "print([name for name in heavy if name in sys.modules], file=sys.stderr)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert answer.stderr.strip() == "[]"
    assert "稿签" in answer.stdout
