"""Trees: taken apart and put together, in insertion order, with paths, and with containers that a backend opens."""

import gc
from collections import OrderedDict, defaultdict, namedtuple
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from anyjac.trees import flatten

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
    return (list(node.children), lambda children: Box(*children)) if isinstance(node, Box) else None


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
