"""Scenarios: where arrays are put and where the work is done."""

from __future__ import annotations

from typing import Any

import numpy as np

import anyjac
from anyjac import DeviceError, Variable, jacrev

from ..answers import Array, Raises
from ..lab import Lab
from ..scenario import Collection

scenario = Collection()


def _on_last_device(values: Any) -> Any:
    return lambda lab: Array(np.asarray(values), "float64", lab.last_device_name)


@scenario("devices/argument", answer=_on_last_device(np.diag([2.0, 4.0])))
def by_name(lab: Lab) -> Any:
    return jacrev(lambda x: x * x, device=lab.last_device_name)(lab.array([1.0, 2.0]))


@scenario("devices/argument", answer=_on_last_device(np.diag([2.0, 4.0])))
def by_the_framework_s_object(lab: Lab) -> Any:
    return jacrev(lambda x: x * x, device=lab.last_device)(lab.array([1.0, 2.0]))


@scenario("devices/argument", answer=lambda lab: {"made there": True, "w": _on_last_device(np.array([2.0]))(lab)})
def the_work_runs_there(lab: Lab) -> Any:
    w = Variable(lab.array(3.0))
    places = []

    def f(x: Any) -> Any:
        made = lab.xp.ones(1, dtype=lab.xp.float64)
        places.append(
            lab.backend.is_traced(x) or lab.backend.device_name(lab.backend.device_of(made)) == lab.last_device_name
        )
        return w * x * made

    jacobian = jacrev(f, {"w": w}, device=lab.last_device_name)(lab.array(2.0))
    return {"made there": all(places), **jacobian}


@scenario(
    "devices/argument",
    answer=lambda lab: Array(np.array(6.0), "float64", lab.first_device_name),
)
def a_platform_alone_means_its_first_device(lab: Lab) -> Any:
    platform = lab.first_device_name.partition(":")[0]
    return jacrev(lambda x: x * x, device=platform)(lab.array(3.0))


@scenario("devices/variable", answer=_on_last_device(np.array([1.0, 2.0])))
def the_value_is_placed(lab: Lab) -> Any:
    return Variable(lab.array([1.0, 2.0]), device=lab.last_device_name).value


@scenario("devices/variable", answer=_on_last_device(np.diag([2.0, 4.0])))
def its_block_is_where_it_is(lab: Lab) -> Any:
    v = Variable(lab.array([1.0, 2.0]), device=lab.last_device_name)
    return jacrev(lambda: v * v, v)()


@scenario(
    "devices/variable",
    answer=lambda lab: Array(np.array(6.0), "float64", lab.first_device_name),
)
def a_call_on_another_device_writes_back_to_its_own(lab: Lab) -> Any:
    v = Variable(lab.array(2.0), device=lab.backend.devices()[0])

    def f(x: Any) -> Any:
        v.value = v * x
        return v.value

    jacrev(f, device=lab.last_device_name)(lab.array(3.0))
    return v.value


@scenario(
    "devices/environment", answer=lambda lab: (_on_last_device(np.array(6.0))(lab), _on_last_device(np.array(1.0))(lab))
)
def of_calls_and_variables(lab: Lab) -> Any:
    with lab.environment(ANYJAC_DEVICE=lab.last_device_name):
        return jacrev(lambda x: x * x)(lab.array(3.0)), Variable(lab.array(1.0)).value


@scenario(
    "devices/unknown",
    answer=lambda lab: Raises(DeviceError, "'tpu:77'", lab.backend.name, *anyjac.devices(lab.backend)),
)
def in_a_call(lab: Lab) -> Any:
    return jacrev(lambda x: x, device="tpu:77")(lab.array(3.0))


@scenario("devices/unknown", answer=lambda lab: Raises(DeviceError, "'tpu:77'", *anyjac.devices(lab.backend)))
def of_a_variable(lab: Lab) -> Any:
    return Variable(lab.array(3.0), device="tpu:77")


@scenario("devices/unknown", answer=lambda lab: Raises(DeviceError, "'tpu:77'", *anyjac.devices(lab.backend)))
def in_the_environment(lab: Lab) -> Any:
    with lab.environment(ANYJAC_DEVICE="tpu:77"):
        return jacrev(lambda x: x)(lab.array(3.0))
