"""A backend around a real one, for tests that change some of its members."""

from typing import Any

from anyjac import Backend


class WrappedBackend(Backend):
    """Passes each member that a backend must have on to a real one."""

    real: Backend

    namespace = property(lambda self: self.real.namespace)

    def is_array(self, value: object) -> bool:
        return self.real.is_array(value)

    def asarray(self, value: Any, *, dtype: Any = None, device: Any = None) -> Any:
        return self.real.asarray(value, dtype=dtype, device=device)

    def devices(self) -> Any:
        return self.real.devices()

    def device_of(self, array: Any) -> Any:
        return self.real.device_of(array)

    def vjp(self, fun: Any, primals: Any) -> Any:
        return self.real.vjp(fun, primals)
