"""Scenarios: the transform as an object."""

from __future__ import annotations

import copy
import functools
import inspect
import pickle
from typing import Any

import numpy as np

import anyjac
from anyjac import InputTypeError, Variable, jacrev

from ..answers import Raises
from ..lab import Lab
from ..scenario import Collection

scenario = Collection()

SQUARES = np.diag([2.0, 4.0])


def square(x: Any) -> Any:
    """Square; a function of a module, so that it can be pickled."""
    return x**2


class Spring:
    """A model with a differentiated method; of a module, so that it can be pickled."""

    def __init__(self, stiffness: Any) -> None:
        self.stiffness = stiffness

    @jacrev(argnums=-1)
    def force(self, stretch: Any) -> Any:
        """Energy of the spring, differentiated with respect to its stretch."""
        return self.stiffness * stretch**2 / 2

    def plain(self, stretch: Any) -> Any:
        """Energy of the spring, undifferentiated."""
        return self.stiffness * stretch**2 / 2


@scenario(
    "transform/signature",
    answer=(
        ["func", "grad_vars", "argnums", "has_aux", "return_value", "holomorphic", "allow_int"],
        [None, None, None, None, False, False, False],
        {"backend": None, "device": None, "debug_nan": False, "strict": False, "chunk_size": None},
    ),
)
def names_order_and_defaults(lab: Lab) -> Any:
    parameters = inspect.signature(jacrev).parameters.values()
    positional = [p for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    keywords = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
    return [p.name for p in positional], [p.default for p in positional], keywords


@scenario("transform/signature", answer=((np.diag([2.0, 4.0]), np.array([1.0, 4.0])), "aux"))
def the_first_seven_by_position(lab: Lab) -> Any:
    (g, value, aux) = jacrev(lambda x: (x**2, "aux"), None, 0, True, True, False, False)(lab.array([1.0, 2.0]))
    return (g, value), aux


@scenario("transform/decorator", answer=SQUARES)
def without_a_function_it_is_a_decorator(lab: Lab) -> Any:
    @jacrev(argnums=1)
    def f(exponent: int, x: Any) -> Any:
        return x**exponent

    return f(2, lab.array([1.0, 2.0]))


@scenario("transform/decorator", answer=SQUARES)
def bare_it_decorates_too(lab: Lab) -> Any:
    @jacrev
    def f(x: Any) -> Any:
        return x**2

    return f(lab.array([1.0, 2.0]))


@scenario(
    "transform/object",
    answer={
        "wraps it": True,
        "__name__": "square",
        "__doc__": "Square; a function of a module, so that it can be pickled.",
    },
)
def it_looks_like_its_function(lab: Lab) -> Any:
    transform = jacrev(square)
    wraps = transform.__wrapped__ is square
    return {"wraps it": wraps, "__name__": transform.__name__, "__doc__": transform.__doc__}


@scenario(
    "transform/object", answer="jacrev(square, grad_vars={'k': <stiffness>}, argnums=(0,), has_aux=True, chunk_size=2)"
)
def its_repr_is_how_it_was_made(lab: Lab) -> Any:
    k = Variable(1.0, name="stiffness")
    return repr(jacrev(square, {"k": k}, argnums=[0], has_aux=True, chunk_size=2))


@scenario("transform/object", answer=Raises(InputTypeError, "jacrev needs a callable", "3"))
def what_cannot_be_called_is_refused(lab: Lab) -> Any:
    return jacrev(3)  # type: ignore[call-overload]


@scenario("transform/method", answer=np.array(12.0))
def a_decorated_method_binds_self(lab: Lab) -> Any:
    class Model:
        def __init__(self) -> None:
            self.k = Variable(lab.array(4.0))

        @jacrev
        def energy(self, stretch: Any) -> Any:
            return self.k * stretch**2 / 2

    return Model().energy(lab.array(3.0))


@scenario("transform/method", answer=(np.array(12.0), np.array(12.0)))
def class_and_static_methods_work(lab: Lab) -> Any:
    class Model:
        k = 4.0

        @jacrev
        @classmethod
        def of_class(cls, stretch: Any) -> Any:
            return cls.k * stretch**2 / 2

        @jacrev
        @staticmethod
        def static(stretch: Any) -> Any:
            return 4.0 * stretch**2 / 2

    return Model().of_class(lab.array(3.0)), Model.static(lab.array(3.0))


@scenario("transform/method", answer=np.array(12.0))
def through_the_class_self_is_an_argument(lab: Lab) -> Any:
    return Spring.force(Spring(lab.array(4.0)), lab.array(3.0))


@scenario("transform/copies", answer=[SQUARES] * 3)
def copied_deep_copied_and_pickled(lab: Lab) -> Any:
    transform = jacrev(square)
    copies = copy.copy(transform), copy.deepcopy(transform), pickle.loads(pickle.dumps(transform))
    return [each(lab.array([1.0, 2.0])) for each in copies]


@scenario("transform/copies", answer=(np.array(12.0), np.array(12.0), np.array(4.0)))
def a_deep_copy_and_a_pickle_take_their_variables_along(lab: Lab) -> Any:
    spring = Spring(Variable(lab.array(4.0)))
    transform = jacrev(functools.partial(Spring.plain, spring))
    twins = copy.deepcopy(transform), pickle.loads(pickle.dumps(transform))
    before = [twin(lab.array(3.0)) for twin in twins]
    spring.stiffness.value = lab.array(5.0)
    return *before, twins[0](lab.array(1.0))


@scenario("transform/copies", answer=Raises(Exception, "lambda"))
def a_lambda_cannot_be_pickled_and_says_so(lab: Lab) -> Any:
    return pickle.dumps(jacrev(lambda x: x))


@scenario("transform/copies", answer=True)
def a_decorated_function_is_pickled_by_its_name(lab: Lab) -> Any:
    return pickle.loads(pickle.dumps(decorated)) is decorated


@anyjac.jacrev
def decorated(x: Any) -> Any:
    """Square, differentiated."""
    return x**2
