"""Imports go one way: estimator -> pretraining -> prior -> problems -> laws -> validation."""

import ast
from pathlib import Path

import pytest

import sklearn_pttf

PACKAGE = Path(sklearn_pttf.__file__).parent
# a module may import from its own layer's package and from any layer above it in this list
LAYERS = [
    {"_units", "_mixing", "_curves"},
    {
        "_normal_means",
        "_price_units",
        "_count_mixing",
        "_version",
        "_files",
        "_influence",
        "_bands",
        "_device",
        "_optimizer",
        "_validation",
        "_features",
        "_nodes",
        "exceptions",
    },
    {"_real_rows", "_count_units", "_price_features"},
    {"_real_units"},
    {
        "_portfolio",
        "_laws",
        "_odd_counts",
        "_summaries",
        "_heads",
        "_real_features",
        "_count_features",
        "_demand",
        "datasets",
    },
    {
        "_periods",
        "_kinds",
        "_poisson_law",
        "_real_values",
        "_priced_demand",
        "_alarms",
        "_horizon",
        "_demand_curve",
    },
    {"_network"},
    {"problems", "_parametric", "_network_use", "_checkpoint", "_hyperprior", "_loss"},
    {"_means", "_poisson_companion", "_beta_laws"},
    {"_agreement", "_calibration", "_mixin", "_pit", "_binomial"},
    {"_prior_draws"},
    {"_prior", "_real_prior", "_count_prior", "metrics"},
    {"_pricing_prior"},
    {"_pretrain", "baselines"},
    {"finetune", "_own_prior", "_rivals"},
    {"_guard"},
    {"_scratch"},
    {"_estimator", "pretraining", "testing", "pipeline"},
    {"model_selection"},
    {"inspection"},
    {"_command"},
    {"__main__"},
]
RANK = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}
MODULES = sorted(p for p in PACKAGE.rglob("*.py") if p != PACKAGE / "__init__.py")


def _topic(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def _imported(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            yield node.module or "", node.level
        elif isinstance(node, ast.Import):
            yield from ((alias.name, 0) for alias in node.names)


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_down(path):
    own = _topic(path)
    for module, level in _imported(path):
        assert level == 0, f"{path} imports relatively"
        assert module != "sklearn_pttf", f"{path} imports the package root"
        if module.startswith("sklearn_pttf."):
            other = module.split(".")[1]
            assert other == own or RANK[other] < RANK[own], f"{own} imports {other}"


def test_every_module_has_a_layer():
    assert {_topic(path) for path in MODULES} == set(RANK)


NETWORK = (
    "_network",
    "_kinds",
    "_heads",
    "_features",
    "_units",
    "_real_features",
    "_real_units",
    "_real_rows",
    "_count_features",
    "_count_units",
    "_count_mixing",
    "_mixing",
    "_normal_means",
    "_curves",
    "_price_units",
    "_price_features",
)


def test_network_is_torch_only():
    allowed = {"math", "dataclasses", "functools", "types", "typing", "torch", "sklearn_pttf"}
    imported = [m for name in NETWORK for m, _ in _imported(PACKAGE / f"{name}.py")]
    assert {module.split(".")[0] for module in imported} <= allowed
    own = {m.partition(".")[2] for m in imported if m.startswith("sklearn_pttf.")}
    assert own == set(NETWORK) - {"_network"}
