"""The smallest backend there can be: the required members, here in the terms of JAX."""

import jax
import jax.numpy as jnp

from anyjac_plugins import Backend


class TinyBackend(Backend):
    name = "tiny"
    version = jax.__version__
    capabilities = frozenset({"complex", "float16", "bfloat16"})
    namespace = jnp

    def is_array(self, value):
        return isinstance(value, jax.Array)

    def asarray(self, value, *, dtype=None, device=None):
        return jnp.asarray(value, dtype=dtype)

    def devices(self):
        return jax.devices()[:1]

    def device_of(self, array):
        return self.devices()[0]

    def vjp(self, fun, primals):
        outputs, pull, aux = jax.vjp(lambda *arrays: tuple(map(list, fun(*arrays))), *primals, has_aux=True)

        def pullback(cotangents):
            pairs = zip(cotangents, outputs, strict=True)
            return pull([jnp.zeros_like(output) if c is None else c for c, output in pairs])

        return outputs, pullback, aux
