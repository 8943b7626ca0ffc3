"""Trees: taken apart and put together, in insertion order, with paths, and with containers that a backend opens."""

import gc
import random
from collections import OrderedDict, defaultdict, namedtuple
from dataclasses import replace
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import example, given

from anyjac.trees.partition import hold_back
from anyjac.trees.structure import flatten
from anyjac_plugins import OpenedNode

Pair = namedtuple("Pair", ["first", "second"])

KEYS = st.one_of(st.integers(-3, 3), st.text("ab", max_size=2), st.tuples(st.integers(0, 1)))
TREES = st.recursive(
    st.one_of(st.floats(allow_nan=False), st.none(), st.text("xy", max_size=1)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(KEYS, inner, max_size=3),
        st.dictionaries(KEYS, inner, max_size=3).map(OrderedDict),
        st.tuples(inner, inner).map(lambda items: Pair(*items)),
    ),
    max_leaves=8,
)


def _same(one: Any, other: Any) -> bool:
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return list(one) == list(other) and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    return one == other


@given(TREES)
def test_a_tree_comes_back_as_it_was_with_types_and_order(tree: Any) -> None:
    leaves, treedef = flatten(tree)
    assert _same(treedef.unflatten(leaves), tree)
    assert None not in leaves


@given(TREES)
def test_every_leaf_has_a_path_by_which_python_reaches_it(tree: Any) -> None:
    leaves, treedef = flatten(tree)
    paths = treedef.paths()
    assert len(paths) == len(leaves) == treedef.num_leaves
    assert [eval(f"tree{path}", {"tree": tree}) for path in paths] == leaves


def test_leaves_come_in_the_order_of_insertion_also_after_garbage_was_collected() -> None:
    gc.collect()
    assert flatten({"b": 1.0, "a": {2: 2.0, "x": 3.0, 1: 4.0}})[0] == [1.0, 2.0, 3.0, 4.0]


def test_a_bare_leaf_has_the_empty_path() -> None:
    leaves, treedef = flatten(3.0)
    assert (leaves, treedef.paths(), treedef.unflatten(["x"])) == ([3.0], [""], "x")


def test_a_defaultdict_keeps_its_factory() -> None:
    leaves, treedef = flatten(defaultdict(list, {"b": 1, "a": 2}))
    back = treedef.unflatten(leaves)
    assert back.default_factory is list
    assert list(back) == ["b", "a"]


class Box:
    """A container that only an opener knows."""

    def __init__(self, *children: Any) -> None:
        self.children = children


def _open(node: object) -> Any:
    return OpenedNode(list(node.children), lambda children: Box(*children)) if isinstance(node, Box) else None


def _open_with_steps(node: object) -> Any:
    opened = _open(node)
    return opened and replace(opened, steps=lambda: [f".child_{index}" for index in range(len(node.children))])


def test_containers_of_an_opener_nest_with_those_of_the_library() -> None:
    leaves, treedef = flatten({"b": Box(1.0, [Box(2.0), None])}, _open)
    assert leaves == [1.0, 2.0]
    assert treedef.paths() == ["['b'][0]", "['b'][1][0][0]"]
    back = treedef.unflatten(["x", "y"])
    assert isinstance(back["b"], Box)
    assert back["b"].children[0] == "x"
    assert back["b"].children[1][0].children == ("y",)
    assert back["b"].children[1][1] is None


def test_an_empty_container_of_an_opener_stays_in_place() -> None:
    leaves, treedef = flatten([Box(), 1.0], _open)
    assert leaves == [1.0]
    assert isinstance(treedef.unflatten([2.0])[0], Box)


def test_the_steps_that_an_opener_knows_are_in_the_paths() -> None:
    _, treedef = flatten({"b": Box(1.0, [Box(2.0), None])}, _open_with_steps)
    assert treedef.paths() == ["['b'].child_0", "['b'].child_1[0].child_0"]


def test_leaves_that_are_held_back_have_no_path_and_count_for_the_others() -> None:
    def open_numbers(node: object) -> Any:
        opened = _open_with_steps(node)
        return opened and hold_back(opened, lambda leaf: isinstance(leaf, str))

    tree = [Box("text", (1.0, "text", Box("text", 2.0)), 3.0)]
    leaves, treedef = flatten(tree, open_numbers)
    assert (leaves, treedef.paths()) == ([1.0, 2.0, 3.0], ["[0].child_1[0]", "[0].child_1[2].child_1", "[0].child_2"])
    assert treedef.unflatten([4.0, 5.0, 6.0])[0].children[1][:2] == (4.0, None)
    assert treedef.unflatten([4.0, 5.0, 6.0], whole=True)[0].children[1][2].children == ("text", 5.0)


@pytest.mark.parametrize("steps", [list, lambda: 1 / 0])
def test_children_are_counted_where_a_registry_cannot_tell_the_steps(steps: Any) -> None:
    _, treedef = flatten(Box(1.0, 2.0), lambda node: replace(_open(node), steps=steps) if _open(node) else None)
    assert treedef.paths() == ["[0]", "[1]"]


@pytest.mark.parametrize(("one", "other", "alike"), [(1, 1, True), (1, 2, False), (np.ones(2), np.ones(2), False)])
def test_what_a_container_has_besides_its_children_is_part_of_the_structure(one: Any, other: Any, alike: bool) -> None:
    def structure(kept: Any) -> Any:
        return flatten([Box(1.0)], lambda node: replace(_open(node), structure=kept) if _open(node) else None)[1]

    assert (structure(one) == structure(other)) is alike
    assert (structure(one).arrange([2.0], structure(other)) == [2.0]) is alike


def _shuffled(tree: Any, generator: random.Random) -> Any:
    """Return the same tree with its dicts in another order."""
    if isinstance(tree, dict):
        items = [(key, _shuffled(value, generator)) for key, value in tree.items()]
        generator.shuffle(items)
        return type(tree)(items)
    if isinstance(tree, Pair):
        return Pair(*(_shuffled(item, generator) for item in tree))
    return type(tree)(_shuffled(item, generator) for item in tree) if isinstance(tree, list | tuple) else tree


@given(TREES, st.randoms())
@example({0: [], 1: []}, random.Random(1))  # which has no leaves
def test_leaves_of_a_tree_whose_dicts_have_another_order_are_arranged(tree: Any, generator: random.Random) -> None:
    numbered = flatten(tree)[1].unflatten(list(range(flatten(tree)[1].num_leaves)))
    leaves, treedef = flatten(numbered)
    assert treedef.arrange(*flatten(_shuffled(numbered, generator))) == leaves


@pytest.mark.parametrize(
    "other",
    [
        {"b": 1.0, "a": [2.0, {"d": 3.0}]},
        {"b": 1.0, "a": [2.0, {"d": 3.0, "e": 4.0}]},
        {"b": 1.0, "a": (2.0, {"d": 3.0, "c": 4.0})},
        {"b": 1.0, "a": [2.0, OrderedDict(d=3.0, c=4.0)]},
        {"b": None, "a": [2.0, {"d": 3.0, "c": 4.0}]},
        {"b": Box(1.0), "a": [2.0, {"d": 3.0, "c": 4.0}]},
        [1.0],
        1.0,
    ],
)
def test_leaves_of_another_structure_are_not_arranged(other: Any) -> None:
    wanted = flatten({"a": [1.0, {"c": 2.0, "d": 3.0}], "b": 4.0}, _open)[1]
    assert wanted.arrange(*flatten(other, _open)) is None
    assert flatten(other, _open)[1].arrange([1.0] * 4, wanted) is None


def test_dicts_within_containers_of_an_opener_are_arranged_too() -> None:
    wanted = flatten([0.0, Box({"a": 1.0, "b": Box(2.0, 3.0)}), 4.0], _open)[1]
    assert wanted.arrange(*flatten([0, Box({"b": Box(2, 3), "a": 1}), 4], _open)) == [0, 1, 2, 3, 4]


def test_two_structures_are_equal_where_all_but_the_leaves_is() -> None:
    one, other = flatten({"a": [1.0]})[1], flatten({"a": [2.0]})[1]
    assert one == other
    assert hash(one) == hash(other)
    assert one != flatten({"a": (1.0,)})[1]
    assert flatten([Box(1)], _open)[1] == flatten([Box(2)], _open)[1]
    assert flatten([Box(1)], _open)[1] != flatten([Box(1, 2)], _open)[1]


def test_a_structure_shows_a_star_for_each_leaf() -> None:
    treedef = flatten({"a": [1.0, None], "b": Pair(2.0, "text")})[1]
    assert str(treedef) == "{'a': [*, None], 'b': Pair(first=*, second=*)}"
    assert repr(treedef) == f"TreeDef({treedef})"
    assert str(flatten([0.0] * 1000)[1]) == f"[{'*, ' * 39}*,..."


def test_a_wrong_number_of_leaves_is_an_error() -> None:
    with pytest.raises(ValueError, match="leaves"):
        flatten([1.0, 2.0])[1].unflatten([1.0])
