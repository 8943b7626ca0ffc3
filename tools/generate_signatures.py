"""Writes `core/anyjac/derivatives/signatures.py`: what type checkers know of the family of derivatives.

``python tools/generate_signatures.py`` makes the overloads of the tables below: a new member is a row in `MEMBERS`.
Type checkers decide in which order the overloads come, and how they are written:

- A partial that names no option gets the first overload, so the fewer flags an overload needs, the earlier it comes.
- Overloads for the same function use the same type for it, `Y` or ``tuple[Y, A]``. Otherwise mypy calls them ambiguous
  where the function is not annotated.
- Type checkers look at the first overload of an overloaded function alone, which NumPy's ufuncs have for numbers. So
  the overload for ufuncs comes before all others.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

OUTPUT: Final = Path(__file__).parents[1] / "core" / "anyjac" / "derivatives" / "signatures.py"

# ---- flags: whether a flag is False, True or any bool that is not known when types are checked -----------------------

NO, YES, UNKNOWN = "no", "yes", "unknown"

HAS_AUX: Final = {
    NO: "has_aux: Literal[False] | None = None",
    YES: "has_aux: Literal[True]",
    UNKNOWN: "has_aux: bool | None",
}
RETURN_VALUE: Final = {
    NO: "return_value: Literal[False] = False",
    YES: "return_value: Literal[True]",
    UNKNOWN: "return_value: bool = False",
}


class Case(NamedTuple):
    """A packing: what comes back for a kind of function and a choice of flags.

    Attributes
    ----------
    output
        What the function returns: `Y`, or a pair of `Y` and aux data `A`. Some type checkers infer a list for a pair.
    has_aux, return_value
        The flags.
    returned
        What the transform returns, where ``g`` stands for the derivative.
    value_first
        The same of `value_and_grad`, which has no ``return_value``; empty where that would be one case twice.
    """

    output: str
    has_aux: str
    return_value: str
    returned: str
    value_first: str = ""


CASES: Final = (
    #    output         has_aux  return_value  returned           value first
    Case("Y",           NO,      NO,           "{g}",             "tuple[Y, {g}]"),
    Case("tuple[Y, A]", YES,     NO,           "tuple[{g}, A]",   "tuple[tuple[Y, A], {g}]"),
    Case("Y",           NO,      YES,          "tuple[{g}, Y]"),
    Case("tuple[Y, A]", YES,     YES,          "tuple[{g}, Y, A]"),
    Case("Y",           NO,      UNKNOWN,      "Any"),
    Case("tuple[Y, A]", UNKNOWN, UNKNOWN,      "Any",             "Any"),
    Case("list[Any]",   UNKNOWN, UNKNOWN,      "Any",             "Any"),
)  # fmt: skip


# ---- forms: the Protocols, of which each member has one --------------------------------------------------------------


class Form(NamedTuple):
    """A Protocol with an overload for each case, for calls and for decorators.

    Attributes
    ----------
    name, bases, doc
        Of the Protocol.
    options
        The options besides the flags.
    transform
        The class that is returned.
    derivative
        The derivative in what this returns.
    value_first
        Whether the value comes first, as in `value_and_grad`.
    by_place
        The options that stay names where the flags may be given by place too; empty where they may not.
    """

    name: str
    bases: str
    doc: str
    options: str = "Options[bool, Never, Never]"
    transform: str = "GradientTransform"
    derivative: str = "Any"
    value_first: bool = False
    by_place: str = ""


POSITIONAL: Final = Form(
    "Positional",
    "Named, Protocol",
    "`jacrev`, whose flags have places of their own too.",
    options="Options[bool, int | None, Never]",
    by_place="Placement[int | None]",
)
PACKED: Final = Form(
    "Packed",
    "Named, Protocol[G, Flag, Chunk, Mode]",
    "The members that pack their results as `jacrev` does.",
    options="Options[Flag, Chunk, Mode]",
    derivative="G",
)
VALUE_FIRST: Final = Form(
    "ValueFirst",
    "Named, Protocol",
    "`value_and_grad`, which returns the value before the gradient.",
    value_first=True,
)
ALONG: Final = Form(
    "Along",
    "Named, Protocol",
    "`jvp` and `hvp`, whose transforms take a direction and then the arguments.",
    transform="Directional",
)
FORMS: Final = (POSITIONAL, PACKED, VALUE_FIRST, ALONG)


# ---- members ---------------------------------------------------------------------------------------------------------


class Member(NamedTuple):
    """A function of the family.

    Attributes
    ----------
    name, form
        The name, and the Protocol.
    derivative, allow_int, chunk_size, mode
        The type of the derivative and of options, for `PACKED`; ``Never`` for an option that the member lacks.
    """

    name: str
    form: Form
    derivative: str = "Any"
    allow_int: str = "bool"
    chunk_size: str = "Never"
    mode: str = "Never"

    @property
    def type(self) -> str:
        """The Protocol with its parameters."""
        if self.form is not PACKED:
            return self.form.name
        return f"Packed[{self.derivative}, {self.allow_int}, {self.chunk_size}, {self.mode}]"


MEMBERS: Final = (
    #      name              form         derivative     allow_int  chunk_size    mode
    Member("jacrev",         POSITIONAL),
    Member("jacfwd",         PACKED,      "Any",         "bool",    "int | None"),
    Member("jacobian",       PACKED,      "Any",         "bool",    "int | None", "Literal['rev', 'fwd', 'auto']"),
    Member("grad",           PACKED),
    Member("vector_grad",    PACKED),
    Member("value_and_grad", VALUE_FIRST),
    Member("derivative",     PACKED,      "Any",         "Never"),
    Member("hessian",        PACKED,      "Any",         "bool",    "int | None"),
    Member("hvp",            ALONG),
    Member("jvp",            ALONG),
    Member("vjp",            PACKED,      "Pullback"),
    Member("linearize",      PACKED,      "Pushforward"),
)  # fmt: skip


# ---- text ------------------------------------------------------------------------------------------------------------

HEAD: Final = '''\
"""What type checkers know of the family; generated anew by ``python tools/generate_signatures.py``, not by hand.

Each member has a decorator that tells type checkers its type, and that leaves the function as it is. A flag whose value
is not known gives Any.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Literal, Never, Protocol, Unpack, overload

    import numpy as np

    from .linear_maps import Pullback, Pushforward
    from .signature_types import (
        A,
        Argnums,
        Chunk,
        Directional,
        Flag,
        G,
        Mode,
        Named,
        Options,
        P,
        Placement,
        Typed,
        Y,
    )
    from .transform import GradientTransform
'''

TAIL: Final = '''

def unchanged(func: Any) -> Any:
    """Return the function itself; type checkers are told another type for it."""
    return func


'''

POINT: Final = ("grad_vars: Any = None", "argnums: Argnums = None")


def text() -> str:
    """Return what the generated module consists of."""
    protocols = "".join(f"\n{_protocol(form)}" for form in FORMS)
    members = "".join(f'like_{member.name}: Final = cast("Typed[{member.type}]", unchanged)\n' for member in MEMBERS)
    return f"{HEAD}{protocols}{TAIL}{members}"


def _protocol(form: Form) -> str:
    lines = [f"class {form.name}({form.bases}):", f'    """{form.doc}"""', ""]
    for parameters, returned in _overloads(form):
        lines += ["    @overload", "    def __call__(", *(f"        {parameter}," for parameter in parameters)]
        lines += [f"    ) -> {returned}: ..."]
    return "".join(f"    {line}".rstrip() + "\n" for line in lines)


def _overloads(form: Form) -> Iterator[tuple[list[str], str]]:
    """Yield the parameters and the return of each overload: for ufuncs, for functions, and for decorators."""
    ufunc = "tuple[Any, Any]" if form.value_first else "Any"
    yield ["self", "func: np.ufunc", *POINT, "*flags: bool", "**options: Any"], f"{form.transform}[..., {ufunc}]"
    cases = [case for case in CASES if case.value_first or not form.value_first]
    for case in cases:
        for parameters in _parameters(form, case, f"func: Callable[P, {case.output}]"):
            yield parameters, _transform(form, case)
    for case in cases:
        if case.output != "list[Any]":
            for parameters in _parameters(form, case, "func: None = None"):
                yield parameters, f"Callable[[Callable[P, {case.output}]], {_transform(form, case)}]"


def _transform(form: Form, case: Case) -> str:
    returned = case.value_first if form.value_first else case.returned
    return f"{form.transform}[P, {returned.format(g=form.derivative)}]"


def _parameters(form: Form, case: Case, func: str) -> Iterator[list[str]]:
    """Yield the parameters with flags by name, and those with flags by place, where there are both."""
    flags = [HAS_AUX[case.has_aux]] + ([] if form.value_first else [RETURN_VALUE[case.return_value]])
    required = [index for index, flag in enumerate(flags) if " = " not in flag]
    options = f"**options: Unpack[{form.options}]"
    if not form.by_place:
        yield ["self", func, *POINT, "*", *flags, options]
        return
    if required:
        first = required[0]
        yield ["self", func, *POINT, *flags[:first], "*", *flags[first:], options]
    leading = [func, *POINT, *flags]
    given = len(leading) - len(flags) + required[-1] + 1 if required else 0  # all before a flag without a default
    by_place = [parameter.partition(" = ")[0] for parameter in leading[:given]] + leading[given:]
    rest = ("holomorphic: bool = False", "allow_int: bool = False", f"**options: Unpack[{form.by_place}]")
    yield ["self", *by_place, *rest]


if __name__ == "__main__":
    OUTPUT.write_text(text())
