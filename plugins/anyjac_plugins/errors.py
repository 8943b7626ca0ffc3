"""Every exception that anyjac raises on its own account.

They stand on the ground floor, so that backends can raise them too; `anyjac` and `anyjac_conformance` export them
again. Each one also subclasses the builtin that a user would catch. This module reads nothing else of ours.
"""

from __future__ import annotations

from typing import Self


class AnyjacError(Exception):
    """Base of all exceptions of anyjac."""


class InputTypeError(AnyjacError, TypeError):
    """A setting or an argument has the wrong type."""


class InputValueError(AnyjacError, ValueError):
    """A setting or an argument has the right type and an unusable value."""


class DtypeError(AnyjacError, TypeError):
    """An array's dtype cannot be differentiated in the way that was asked for."""


class OutputError(AnyjacError, TypeError):
    """The differentiated function returned something that has no derivative, or not the pair that was promised."""


class MixedBackendsError(AnyjacError, TypeError):
    """Arrays of several frameworks meet where nobody said which one is meant."""

    def __init__(self, message: str = "", variable: object = None):
        super().__init__(message)
        self.variable = variable
        """The Variable that holds an array of the other framework, where it is one."""


class UnknownBackendError(AnyjacError, ValueError):
    """No backend of that name is installed or registered."""


class BackendUnavailableError(AnyjacError, ImportError):
    """The backend is installed, but the framework it stands for is missing, or it is disabled or broken."""


class PluginError(AnyjacError, RuntimeError):
    """A plugin declares itself wrongly: hook names, arguments, return values or names that are taken."""


class DeviceError(AnyjacError, ValueError):
    """A device is unknown or absent, or an array would have to change device in silence."""


class NotSupportedError(AnyjacError, NotImplementedError):
    """The backend does not declare the capability that this call needs."""


class RandomnessError(AnyjacError, RuntimeError):
    """A function draws random numbers while `vmap` maps it with ``randomness="error"``."""


class ForwardRuleError(NotSupportedError, TypeError):
    """A function within has a rule for its pullback alone, and this call pushes tangents forward."""


class ReverseRuleError(NotSupportedError, ValueError):
    """A function within has no derivative in reverse mode, and this call pulls cotangents back."""


class VariableWriteError(AnyjacError, ValueError, TypeError):
    """A Variable was given a value of another shape, dtype or tree than it was made with."""


class RepetitionError(AnyjacError, RuntimeError):
    """A checkpointed function cannot run again, for its derivative, as it ran at first."""


class TracerLeakError(AnyjacError, RuntimeError):
    """A value that belongs to a trace would have been stored in a Variable, or has outlived the trace."""

    @classmethod
    def of_ended_trace(cls) -> Self:
        """Return the error for an array of a trace that has ended."""
        return cls(
            "a result depends on an array that an earlier call of a transform has left somewhere, in an attribute or a "
            "list perhaps, and that belongs to the trace of that call; keep what is to stay in Variables, and write it "
            "by their value"
        )


class DeletedArrayError(AnyjacError, RuntimeError):
    """A Variable holds an array without memory, which was donated to a compiled function."""


class ConcurrencyError(AnyjacError, RuntimeError):
    """Two calls wait for each other's Variables, and the second was refused so that the first can finish."""


class LostDerivativeError(AnyjacError, TypeError, RuntimeError):
    """The numbers of a differentiated array would go on as constants: of Python, in a strict call, in a gradient."""


class ConformanceError(AnyjacError, AssertionError):
    """A backend failed scenarios of the conformance suite."""


class DerivativeMismatchError(AnyjacError, AssertionError):
    """A derivative is not what finite differences of the function are."""

    def __init__(
        self,
        message: str = "",
        *,
        order: int = 1,
        mode: str | None = None,
        output_path: str | None = None,
        output_index: tuple[int, ...] | None = None,
        input_path: str | None = None,
        input_index: tuple[int, ...] | None = None,
        found: float | complex | None = None,
        expected: float | complex | None = None,
    ):
        super().__init__(message)
        self.order = order
        """Which derivative it is; 0 where the value itself changes when the function is differentiated."""
        self.mode = mode
        """How it was computed: ``"rev"``, ``"fwd"``, or ``"fwd over rev"`` and so on for higher orders."""
        self.output_path = output_path
        """Where the worst element of the output stands, as the message writes it; None where there is none."""
        self.output_index = output_index
        """Its indices there."""
        self.input_path = input_path
        """Where the element of the input stands; None where there is none."""
        self.input_index = input_index
        """Its indices there."""
        self.found = found
        """The derivative."""
        self.expected = expected
        """The finite difference."""


class InconclusiveCheckError(AnyjacError, ValueError):
    """Finite differences of a function tell nothing: it is random, not finite, or too rough for them."""


class NonFiniteError(AnyjacError, FloatingPointError):
    """A number that is NaN or infinite, found with ``debug_nan=True``."""

    def __init__(self, message: str = "", *, place: str = "", value: str = "", operator: str | None = None):
        super().__init__(message)
        self.place = place
        """Where it was found, as the message writes it."""
        self.value = value
        """The number: ``"nan"``, ``"inf"``, ``"-inf"``."""
        self.operator = operator
        """Where it first appears, as the backend says it; None where that is not known."""


class StepLimitError(AnyjacError, RuntimeError):
    """A loop has taken as many steps as it may, and the condition for which it goes on still holds."""


class MissingExtraError(AnyjacError, ModuleNotFoundError):
    """What was asked for needs a package that comes with an extra of anyjac's, which is not installed."""


class UncompiledWarning(RuntimeWarning):
    """A function runs uncompiled, with the same results: a compiler is missing, or fails."""


class UnmappedWarning(RuntimeWarning):
    """A function is mapped by a loop over the examples, with the same results: the framework cannot map it at once."""


class LostDerivativeWarning(UserWarning):
    """The numbers of a differentiated array go on as constants, as ``float(x)`` does, and their derivative is lost."""


class PluginWarning(UserWarning):
    """An installed plugin is not used, since anyjac brings one of the same name."""


class UnknownEnvironmentVariableWarning(UserWarning):
    """A variable of the environment begins with ``ANYJAC_`` and means nothing."""
