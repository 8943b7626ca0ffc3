"""Scenarios: the examples and promises of the documentation from which this contract comes, with its functions.

The vector function of two vectors, alone and as two outputs; the model of two trained numbers and a product; the
linear readout; the functor of a trained number and two arguments. Each in every form of return that is documented.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from anyjac import TrainVar, Variable, grad, hessian, jacfwd, jacrev, vector_grad

from ..lab import Lab
from ..scenario import Collection, Scenario

scenario = Collection()

X, Y = np.array([1.0, 2.0, 3.0]), np.array([10.0, 5.0])

# d/dx and d/dy of (x0 y0, 5 x2 y1, 4 x1^2 - 2 x2, x2 sin x0) at x = (1, 2, 3), y = (10, 5)
OF_X = np.array([[10.0, 0.0, 0.0], [0.0, 0.0, 25.0], [0.0, 16.0, -2.0], [3 * np.cos(1.0), 0.0, np.sin(1.0)]])
OF_Y = np.array([[1.0, 0.0], [0.0, 15.0], [0.0, 0.0], [0.0, 0.0]])
VALUE = np.array([10.0, 75.0, 10.0, 3 * np.sin(1.0)])


def _entries(xp: Any, x: Any, y: Any) -> list[Any]:
    return [x[0] * y[0], 5 * x[2] * y[1], 4 * x[1] ** 2 - 2 * x[2], x[2] * xp.sin(x[0])]


def _observe(lab: Lab, form: str, **settings: Any) -> Any:
    xp = lab.xp
    forms = {
        "one": lambda x, y: xp.asarray(_entries(xp, x, y)),
        "two": lambda x, y: (xp.asarray(_entries(xp, x, y)[:2]), xp.asarray(_entries(xp, x, y)[2:])),
        "aux": lambda x, y: (xp.asarray(_entries(xp, x, y)), xp.stack([x[0], y[0]])),
    }
    return jacrev(forms[form], **settings)(lab.array(X), lab.array(Y))


PURE: dict[str, tuple[str, dict[str, Any], Any]] = {
    # name                             form, settings, what is documented
    "of the first argument": ("one", {}, OF_X),
    "of both": ("one", {"argnums": (0, 1)}, (OF_X, OF_Y)),
    "two outputs": ("two", {}, (OF_X[:2], OF_X[2:])),
    "two outputs of both": ("two", {"argnums": (0, 1)}, ((OF_X[:2], OF_Y[:2]), (OF_X[2:], OF_Y[2:]))),
    "with value": ("one", {"return_value": True}, (OF_X, VALUE)),
    "with value of both": ("one", {"argnums": (0, 1), "return_value": True}, ((OF_X, OF_Y), VALUE)),
    "two outputs with value": ("two", {"return_value": True}, ((OF_X[:2], OF_X[2:]), (VALUE[:2], VALUE[2:]))),
    "with aux": ("aux", {"has_aux": True}, (OF_X, np.array([1.0, 10.0]))),
    "with aux and value": ("aux", {"has_aux": True, "return_value": True}, (OF_X, VALUE, np.array([1.0, 10.0]))),
    "with aux of both": ("aux", {"argnums": (0, 1), "has_aux": True}, ((OF_X, OF_Y), np.array([1.0, 10.0]))),
}

for _name, (_form, _settings, _answer) in PURE.items():
    scenario.add(
        Scenario(
            f"the vector function {_name}",
            "packing/returns",
            lambda lab, form=_form, settings=_settings: _observe(lab, form, **settings),  # type: ignore[misc]
            _answer,
        )
    )


class Entries:
    """The same function as a functor, with its vectors in trained Variables."""

    def __init__(self, lab: Lab, *, aux: bool = False) -> None:
        self.x, self.y = TrainVar(lab.array(X)), TrainVar(lab.array(Y))
        self.xp, self.aux = lab.xp, aux

    def __call__(self, z: Any = 0.0) -> Any:
        """Return the four entries, shifted by `z`, with the string "aux" beside them if asked for."""
        entries = self.xp.asarray(_entries(self.xp, self.x, self.y)) + z
        return (entries, "aux") if self.aux else entries


OF_Z = np.ones(4)
FORMS: dict[str, tuple[Any, Any]] = {
    # grad_vars                                    var_grads
    "one Variable": (lambda m: m.x, OF_X),
    "a list": (lambda m: [m.x, m.y], [OF_X, OF_Y]),
    "a tuple": (lambda m: (m.y, m.x), (OF_Y, OF_X)),
    "a dict": (lambda m: {"x": m.x, "y": m.y}, {"x": OF_X, "y": OF_Y}),
}


def _observe_functor(lab: Lab, grad_vars: Any, argnums: int | None, has_aux: bool, return_value: bool) -> Any:
    model = Entries(lab, aux=has_aux)
    transform = jacrev(model, grad_vars(model), argnums, has_aux=has_aux, return_value=return_value)
    return transform() if argnums is None else transform(lab.array(0.0))


def _pack(g: Any, has_aux: bool, return_value: bool) -> Any:
    rest = ((VALUE,) if return_value else ()) + (("aux",) if has_aux else ())
    return (g, *rest) if rest else g


for _name, (_grad_vars, _var_grads) in FORMS.items():
    for _argnums, _g in ((None, _var_grads), (0, (_var_grads, OF_Z))):
        for _has_aux in (False, True):
            for _return_value in (False, True):
                scenario.add(
                    Scenario(
                        f"the functor with {_name}, argnums={_argnums}, has_aux={_has_aux}, "
                        f"return_value={_return_value}",
                        "packing/returns",
                        lambda lab, v=_grad_vars, n=_argnums, a=_has_aux, r=_return_value: _observe_functor(  # type: ignore[misc]
                            lab, v, n, a, r
                        ),
                        _pack(_g, _has_aux, _return_value),
                    )
                )


# ---- a model with a product of two trained numbers -----------------------------------------------------------------

# loss(c, d) = mean(2 a b + c d) with a = b = 1, c = 10, d = (1, 2, 3, 4): d/da = d/db = 2, d/dc = mean(d), d/dd = c / 4
MODEL: dict[str, tuple[dict[str, Any], Any]] = {
    "of its Variables": ({}, {"a": np.array([2.0]), "b": np.array([2.0])}),
    "of an argument too": ({"argnums": 0}, ({"a": np.array([2.0]), "b": np.array([2.0])}, np.array(2.5))),
    "of both arguments too": (
        {"argnums": [0, 1]},
        ({"a": np.array([2.0]), "b": np.array([2.0])}, (np.array(2.5), np.full(4, 2.5))),
    ),
    "with its loss": ({"return_value": True}, ({"a": np.array([2.0]), "b": np.array([2.0])}, np.array(27.0))),
}


def _observe_model(lab: Lab, **settings: Any) -> Any:
    a, b = TrainVar(lab.array([1.0])), TrainVar(lab.array([1.0]))
    loss = lambda c, d: lab.xp.mean(2 * (a * b) + c * d)  # noqa: E731
    return jacrev(loss, {"a": a, "b": b}, **settings)(lab.array(10.0), lab.array([1.0, 2.0, 3.0, 4.0]))


for _name, (_settings, _answer) in MODEL.items():
    scenario.add(
        Scenario(
            f"the product model {_name}",
            "packing/returns",
            lambda lab, settings=_settings: _observe_model(lab, **settings),  # type: ignore[misc]
            _answer,
        )
    )


@scenario(
    "packing/returns",
    answer=({"w": np.array([[[1.0, 2.0], [0.0, 0.0]], [[0.0, 0.0], [1.0, 2.0]]])}, np.array([5.0, 11.0])),
)
def the_linear_readout_of_a_state_that_it_keeps(lab: Lab) -> Any:
    w, last = TrainVar(lab.array([[1.0, 2.0], [3.0, 4.0]])), Variable(lab.array([0.0, 0.0]))

    def readout(x: Any) -> Any:
        last.value = lab.xp.matmul(w.value, x)
        return last.value

    grads = jacrev(readout, {"w": w})(lab.array([1.0, 2.0]))
    return grads, last.value


# ---- the functor of a trained number and two arguments, by each member of the family ---------------------------------

Z, V, S = np.array([0.5, -1.0, 2.0]), np.array([1.0, 0.25, -0.5]), 1.5
T = np.tanh(Z * V + 0.2 * S)
D1, D2 = (1 - T**2) / 3, -2 * T * (1 - T**2) / 3
"""First and second derivative of ``mean tanh(z v + S x)`` at x = 0.2 by each of the three sums in it."""

LOSS = np.array(np.mean(T))
BY_X, BY_Z, BY_V = np.array([S * D1.sum()]), V * D1, Z * D1
BY_XX, BY_XZ, BY_XV = np.array([[S**2 * D2.sum()]]), (S * V * D2)[None], (S * Z * D2)[None]
BY_ZZ, BY_ZV, BY_VV = np.diag(V**2 * D2), np.diag(Z * V * D2 + D1), np.diag(Z**2 * D2)

FIRST = {"args": (BY_Z, BY_V), "vars": BY_X, "both": (BY_X, (BY_Z, BY_V))}
SECOND = {
    "args": ((BY_ZZ, BY_ZV), (BY_ZV, BY_VV)),
    "vars": BY_XX,
    # In each of the two, the second derivatives by the Variable and by the arguments, the gradient's pair is outside.
    "both": (
        (BY_XX, (BY_XZ.T, BY_XV.T)),
        ((BY_XZ, BY_XV), ((BY_ZZ, BY_ZV), (BY_ZV, BY_VV))),
    ),
}

FAMILY: dict[str, tuple[Any, str, dict[str, Any], tuple[str, ...]]] = {
    # member        transform, clause, derivative by what is differentiated, capabilities
    "grad": (grad, "grad/packing", FIRST, ()),
    "vector_grad": (vector_grad, "vector-grad/sum", FIRST, ()),
    "jacrev": (jacrev, "packing/returns", FIRST, ()),
    "jacfwd": (jacfwd, "jacfwd/packing", FIRST, ("forward",)),
    "hessian": (hessian, "hessian/packing", SECOND, ("nested",)),
}

RETURNS: dict[tuple[bool, bool], Any] = {
    # has_aux, return_value
    (False, False): lambda g: g,
    (True, False): lambda g: (g, "aux"),
    (False, True): lambda g: (g, LOSS),
    (True, True): lambda g: (g, LOSS, "aux"),
}


class Activity:
    """Keeps the trained number and a constant vector of which the sum is 1.5."""

    def __init__(self, lab: Lab, *, aux: bool) -> None:
        self.xp, self.aux = lab.xp, aux
        self.x, self.y = TrainVar(lab.array([0.2])), lab.array([0.25, 0.5, 0.75])

    def __call__(self, z: Any, v: Any) -> Any:
        """Return the mean activity, with a string beside it if asked for."""
        mean = self.xp.mean(self.xp.tanh(z * v + self.x * self.xp.sum(self.y)))
        return (mean, "aux") if self.aux else mean


def _observe_activity(lab: Lab, member: str, what: str, has_aux: bool, return_value: bool) -> Any:
    functor = Activity(lab, aux=has_aux)
    transform = FAMILY[member][0](
        functor,
        grad_vars=None if what == "args" else functor.x,
        argnums=None if what == "vars" else (0, 1),
        has_aux=has_aux,
        return_value=return_value,
    )
    return transform(lab.array(Z), lab.array(V))


for _member, (_, _clause, _derivatives, _requires) in FAMILY.items():
    for _what, _derivative in _derivatives.items():
        for (_has_aux, _return_value), _returned in RETURNS.items():
            scenario.add(
                Scenario(
                    f"{_member} of the functor by {_what}, has_aux={_has_aux}, return_value={_return_value}",
                    _clause,
                    partial(
                        _observe_activity,
                        member=_member,
                        what=_what,
                        has_aux=_has_aux,
                        return_value=_return_value,
                    ),
                    _returned(_derivative),
                    requires=frozenset(_requires),
                )
            )


@scenario("grad/packing", answer=np.array(1 - np.tanh(0.2) ** 2))
def grad_of_tanh_at_a_number(lab: Lab) -> Any:
    return grad(lab.xp.tanh)(lab.array(0.2))
