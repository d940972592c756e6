"""Markers and the mutations of what they stand above."""

import ast
from pathlib import Path

import pytest

from tests.support.mutations import (
    Marker,
    MarkerProblem,
    Mutation,
    MutationProblem,
    always,
    becomes,
    deleted,
    followed_by,
    markers,
    mutated,
    never,
    node_ids,
    places,
    preceded_by,
    replaced,
)

MODULE = """\
def answer(question, most=3):
    try:
        if not question:
            return None
        # guarantee: it is asked
        # Twice would be rude.
        elif question.isspace() or question == "?":
            told = ask(
                question,
                # guarantee: no more than told
                at_most=most,
            )
        # guarantee: an error is caught
    except OSError as error:
        # guarantee: it is closed
        close()
        raise
    # guarantee: the answer is returned
    return told
"""


def tree(root: Path, module: str = MODULE, tests: str = "") -> Path:
    (root / "pyproject.toml").write_text('[tool.importlinter]\nroot_packages = ["shop"]\n')
    (root / "shop" / "room").mkdir(parents=True)
    (root / "shop" / "room" / "ask.py").write_text(module)
    (root / "tests").mkdir()
    (root / "tests" / "test_shop.py").write_text(tests)
    return root


@pytest.mark.parametrize(
    ("name", "mutation", "before", "after"),
    [
        ("it is asked", always, 'elif question.isspace() or question == "?":', "elif True:"),
        ("it is asked", never, 'elif question.isspace() or question == "?":', "elif False:"),
        ("it is asked", replaced(" or question == '?'", ""), ' or question == "?"', ""),
        ("no more than told", deleted, "at_most=most,", ""),
        ("no more than told", becomes("None"), "at_most=most", "at_most=None"),
        ("an error is caught", becomes("KeyError"), "OSError", "KeyError"),
        ("it is closed", deleted, "close()", "pass"),
        ("it is closed", preceded_by("log(error)"), "close()", "log(error); close()"),
        ("it is closed", followed_by("log(error)"), "close()", "close(); log(error)"),
        ("the answer is returned", becomes("[told]"), "return told", "return [told]"),
    ],
)
def test_a_mutation_changes_what_is_marked_and_nothing_else(
    name: str, mutation: Mutation, before: str, after: str, tmp_path: Path
) -> None:
    marker = next(one for one in markers(tree(tmp_path)) if one.name == name)
    assert ast.unparse(mutated(MODULE, marker, mutation)) == ast.unparse(ast.parse(MODULE.replace(before, after)))


@pytest.mark.parametrize(
    ("name", "mutation", "problem"),
    [
        ("it is closed", replaced("open()", "pass"), r"`open\(\)` stands 0 times, and not once, in:\nclose\(\)"),
        ("it is asked", replaced("question", "q"), "`question` stands 3 times"),
        ("it is closed", replaced("close", "close"), "the mutation changes nothing"),
    ],
)
def test_a_mutation_that_does_not_fit_says_where(name: str, mutation: Mutation, problem: str, tmp_path: Path) -> None:
    marker = next(one for one in markers(tree(tmp_path)) if one.name == name)
    with pytest.raises(MutationProblem, match=rf"^shop/room/ask\.py:{marker.line}: {problem}"):
        mutated(MODULE, marker, mutation)


def test_a_raise_has_no_expression_to_replace() -> None:
    with pytest.raises(MutationProblem, match="`raise` has no expression to replace"):
        mutated(
            "try:\n    ask()\nexcept OSError:\n    # guarantee: x\n    raise\n", Marker("x", Path("ask.py"), 4), always
        )


def test_a_marker_above_nothing_is_refused() -> None:
    with pytest.raises(MarkerProblem, match=r"ask\.py:2: no statement, handler or argument begins .* 'x'"):
        mutated("ask()\n# guarantee: x\n", Marker("x", Path("ask.py"), 2), deleted)


def test_each_guarantee_finds_its_marker(tmp_path: Path) -> None:
    found = markers(tree(tmp_path))
    assert places([marker.name for marker in found], found)["it is closed"] == Marker(
        "it is closed", Path("shop/room/ask.py"), 15
    )


def test_missing_doubled_and_unknown_markers_are_all_named(tmp_path: Path) -> None:
    module = "# guarantee: one\nask()\n# guarantee: one\nask()\n# guarantee: three\nask()\n"
    with pytest.raises(MarkerProblem) as raised:
        places(["one", "two"], markers(tree(tmp_path, module)))
    assert str(raised.value).splitlines() == [
        "shop/room/ask.py:5: no guarantee is named 'three'. fix: name it as the table does, or add it",
        "'one' is marked 2 times: shop/room/ask.py:1, shop/room/ask.py:3. fix: leave the one that keeps it",
        "no marker for 'two'. fix: put `# guarantee: two` right above the code that keeps it",
    ]


def test_tests_are_found_by_name_and_must_stand_once(tmp_path: Path) -> None:
    root = tree(tmp_path, tests="def test_one() -> None: ...\ndef test_two() -> None: ...\n")
    assert node_ids(["test_two"], root) == ["tests/test_shop.py::test_two"]
    (root / "tests" / "test_more.py").write_text("def test_two() -> None: ...\n")
    with pytest.raises(MarkerProblem) as raised:
        node_ids(["test_two", "test_three"], root)
    twice, nowhere = str(raised.value).splitlines()
    assert twice.startswith(
        "test_two stands 2 times in tests/, and not once: tests/test_more.py::test_two, tests/test_shop"
    )
    assert nowhere == "test_three stands 0 times in tests/, and not once: nowhere. fix: name one test"
