"""Every behaviour that plugins rely on has its test: `catalogue.txt` says which, this sees that each is there."""

import ast
from pathlib import Path

HERE = Path(__file__).resolve().parent


def lines() -> list[tuple[str, str]]:
    """Behaviour and the test that holds it."""
    told = (HERE / "catalogue.txt").read_text().splitlines()
    return [(what, where) for what, bar, where in (line.partition(" | ") for line in told) if bar]


def functions_in(file: str) -> set[str]:
    """The names of the functions of a file."""
    tree = ast.parse((HERE / file).read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_every_behaviour_in_the_catalogue_has_a_test_that_exists() -> None:
    assert len(lines()) > 130
    files = {where.partition("::")[0] for _, where in lines()}
    known = {f"{file}::{name}" for file in files for name in functions_in(file)}
    assert [what for what, where in lines() if where not in known] == []
