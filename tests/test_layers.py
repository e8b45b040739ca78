"""Imports go one way: utilities -> tables and laws -> kinds -> network -> training -> estimator."""

import ast
from pathlib import Path

import pytest

import sklearn_pttf

PACKAGE = Path(sklearn_pttf.__file__).parent
# a folder, or a module of the root, may import from itself and from any layer above it
LAYERS = [
    {"_version", "exceptions", "_utils"},
    {"_tables", "_laws", "datasets"},
    {"_series"},
    {"problems", "_priors"},
    {"_mixin"},
    {"baselines", "metrics", "testing"},
    {"_kinds"},
    {"_network"},
    {"_training"},
    {"finetune"},
    {"_estimator", "pretraining", "pipeline"},
    {"model_selection"},
    {"inspection"},
    {"_command"},
    {"__main__"},
]
# within kinds: what they share, then each, then where they are registered
KINDS = [
    {"alarms", "drift", "features", "head", "mixing"},
    {"base"},
    {"normal_means"},
    {"counts", "values"},
    {"demand"},
    {"prices", "series"},
    {"stocked"},
    {"registry"},
]
MODULES = sorted(p for p in PACKAGE.rglob("*.py") if p != PACKAGE / "__init__.py")
MOST_AT_THE_ROOT = 12
TESTS = Path(__file__).parent
LONGEST_TEST_FILE = 600  # lines


def _rank(layers):
    return {name: rank for rank, layer in enumerate(layers) for name in layer}


def _place(path, depth=0):
    return path.relative_to(PACKAGE).parts[depth].removesuffix(".py")


def _imported(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            yield node.module or "", node.level
        elif isinstance(node, ast.Import):
            yield from ((alias.name, 0) for alias in node.names)


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_down(path):
    own, rank = _place(path), _rank(LAYERS)
    for module, level in _imported(path):
        assert level == 0, f"{path} imports relatively"
        assert module != "sklearn_pttf", f"{path} imports the package root"
        if module.startswith("sklearn_pttf."):
            other = module.split(".")[1]
            assert other == own or rank[other] < rank[own], f"{own} imports {other}"


@pytest.mark.parametrize(
    "path",
    [path for path in MODULES if _place(path) == "_kinds" and path.name != "__init__.py"],
    ids=lambda p: str(p.relative_to(PACKAGE)),
)
def test_kinds_know_of_no_later_kind(path):
    own, rank = _place(path, 1), _rank(KINDS)
    for module, _ in _imported(path):
        if module.startswith("sklearn_pttf._kinds"):
            assert module != "sklearn_pttf._kinds", f"{path} does not say of which module"
            other = module.split(".")[2]
            assert other == own or rank[other] < rank[own], f"{own} imports {other}"


def test_every_folder_has_a_layer():
    assert {_place(path) for path in MODULES} == set().union(*LAYERS)
    kinds = {_place(path, 1) for path in MODULES if _place(path) == "_kinds"}
    assert kinds - {"__init__"} == set().union(*KINDS)


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_private_names_of_sklearn_have_one_place(path):
    if path.name == "sklearn_private.py":
        return
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "sklearn":
            names = [*node.module.split("."), *(alias.name for alias in node.names)]
            assert not [name for name in names if name.startswith("_")]


def test_few_modules_lie_at_the_root():
    assert len(list(PACKAGE.glob("*.py"))) <= MOST_AT_THE_ROOT


def test_test_files_are_short():
    lengths = {
        str(path.relative_to(TESTS)): len(path.read_text(encoding="utf-8").splitlines())
        for path in TESTS.rglob("*.py")
    }
    assert not {name: n for name, n in lengths.items() if n > LONGEST_TEST_FILE}


# what runs while a network is trained, on any device
NETWORK = [
    PACKAGE / "_network" / "network.py",
    PACKAGE / "_utils" / "mixtures.py",
    PACKAGE / "_utils" / "rounding.py",
    *(PACKAGE / "_kinds" / f"{name}.py" for name in ("features", "head", "mixing", "normal_means")),
    *(
        path
        for kind in ("demand", "values", "counts", "prices")
        for path in (PACKAGE / "_kinds" / kind).glob("*.py")
        if path.stem in ("units", "capped", "features", "head", "rows", "mixing", "curves")
    ),
]

# constants that are made once and then taken to the device, and what holds arrays or tensors
TABLES = [PACKAGE / "_utils" / "splines.py", PACKAGE / "_tables" / "evidence.py"]


@pytest.mark.parametrize("path", NETWORK, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_network_is_torch_only(path):
    allowed = {"math", "dataclasses", "functools", "types", "typing", "torch", "sklearn_pttf"}
    assert {module.split(".")[0] for module, _ in _imported(path)} <= allowed
    own = {PACKAGE.parent / f"{module.replace('.', '/')}.py" for module, _ in _imported(path)}
    known = {*NETWORK, *TABLES, PACKAGE / "_kinds" / "registry.py"}
    assert {each for each in own if PACKAGE in each.parents} <= known
