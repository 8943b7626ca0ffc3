"""Forty models as users write them: one body each, in the array API, that has to run on every backend.

Each function takes one array and asks for its namespace; constants are NumPy's and go through ``xp.asarray`` with a
dtype, as the page on writing such functions says.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import anyjac

Array = Any

_random = np.random.default_rng(7)
POINT = _random.uniform(0.2, 0.9, 6)
POSITIONS = np.linspace(0.0, 1.0, 5)
DATA = _random.normal(size=(5, 3))
WEIGHTS = _random.normal(size=(6, 6)) / 3
LABELS = np.array([0, 2, 1, 2, 0])

BODIES: dict[str, tuple[Callable[[Any, Array], Array], np.ndarray]] = {}
"""By name: a function of namespace and array, and the point at which it is differentiated."""


def body(point: np.ndarray = POINT) -> Callable[[Any], Any]:
    """Enter a function under its name."""

    def enter(function: Callable[[Any, Array], Array]) -> Callable[[Any, Array], Array]:
        BODIES[function.__name__.replace("_", " ")] = (function, point)
        return function

    return enter


def constant(xp: Any, values: Any, like: Array) -> Array:
    """Return values in the dtype and on the device of an array."""
    return xp.asarray(values, dtype=like.dtype, device=anyjac.device(like))


def places(xp: Any, values: Any, like: Array) -> Array:
    """Return indices on the device of an array."""
    return xp.asarray(values, dtype=xp.int64, device=anyjac.device(like))


# ---- learning ------------------------------------------------------------------------------------------------------


@body(_random.normal(size=3 * 4 + 4 + 4 * 2 + 2))
def multilayer_perceptron(xp: Any, x: Array) -> Array:
    hidden = xp.tanh(constant(xp, DATA, x) @ xp.reshape(x[:12], (3, 4)) + x[12:16])
    return hidden @ xp.reshape(x[16:24], (4, 2)) + x[24:]


@body(_random.normal(size=(5, 3)))
def cross_entropy_of_a_softmax(xp: Any, x: Array) -> Array:
    shifted = x - xp.max(x, axis=1, keepdims=True)
    logs = shifted - xp.log(xp.sum(xp.exp(shifted), axis=1, keepdims=True))
    return -xp.take_along_axis(logs, places(xp, LABELS[:, None], x), axis=1)[:, 0]


@body(_random.normal(size=(4, 3)))
def attention(xp: Any, x: Array) -> Array:
    scores = x @ x.mT / 3**0.5
    weights = xp.exp(scores - xp.max(scores, axis=-1, keepdims=True))
    return (weights / xp.sum(weights, axis=-1, keepdims=True)) @ x


@body(_random.normal(size=(2, 3, 4)))
def layer_normalisation(xp: Any, x: Array) -> Array:
    centred = x - xp.mean(x, axis=-1, keepdims=True)
    return centred / xp.sqrt(xp.var(x, axis=-1, keepdims=True) + 1e-5)


@body(_random.normal(size=(1, 6, 6)))
def convolution_and_pooling(xp: Any, x: Array) -> Array:
    kernel = np.array([[1.0, -2.0], [0.5, 1.5]])
    parts = [kernel[i, j] * x[:, i : i + 5, j : j + 5] for i in range(2) for j in range(2)]
    convolved = xp.maximum(sum(parts[1:], parts[0]), xp.zeros_like(parts[0]))[:, :4, :4]
    return xp.max(xp.reshape(convolved, (1, 2, 2, 2, 2)), axis=(2, 4))


@body(_random.normal(size=9))
def lstm_cell(xp: Any, x: Array) -> Array:
    gates = constant(xp, WEIGHTS[:, :3], x)[:4, :] @ x[:3]
    forget, take, give = (1 / (1 + xp.exp(-gates[k])) for k in range(3))
    cell = forget * x[3:6] + take * xp.tanh(x[6:9] + gates[3])
    return xp.concat([cell, give * xp.tanh(cell)])


@body(_random.normal(size=3))
def logistic_regression(xp: Any, x: Array) -> Array:
    logits = constant(xp, DATA, x) @ x
    return xp.logaddexp(xp.zeros_like(logits), -logits * constant(xp, np.sign(LABELS - 0.5), x))


@body()
def ridge_regression_by_normal_equations(xp: Any, x: Array) -> Array:
    design = constant(xp, DATA, x) * x[:3]
    normal = design.mT @ design + x[3] * xp.eye(3, dtype=x.dtype, device=anyjac.device(x))
    return xp.linalg.solve(normal, design.mT @ constant(xp, POSITIONS, x))


@body(np.array([-1.0, 0.1, 1.2, 0.5, 0.4, 0.7, 0.3, 0.2, 0.5]))
def gaussian_mixture(xp: Any, x: Array) -> Array:
    means, scales, logits = x[:3], x[3:6], x[6:]
    weights = xp.exp(logits) / xp.sum(xp.exp(logits))
    deviations = (constant(xp, POSITIONS, x)[:, None] - means) / scales
    return xp.log(xp.sum(weights / scales * xp.exp(-0.5 * deviations**2), axis=1))


@body(_random.normal(size=(4, 2)))
def embedding_by_distances(xp: Any, x: Array) -> Array:
    apart = x[:, None, :] - x[None, :, :]
    likeness = 1 / (1 + xp.sum(apart**2, axis=-1))
    likeness = likeness * (1 - xp.eye(4, dtype=x.dtype, device=anyjac.device(x)))
    return likeness / xp.sum(likeness)


# ---- statistics and probability ------------------------------------------------------------------------------------


@body(np.array([0.4, 1.3, 0.2]))
def gaussian_process_likelihood(xp: Any, x: Array) -> Array:
    at = constant(xp, POSITIONS, x)
    kernel = x[1] ** 2 * xp.exp(-0.5 * ((at[:, None] - at[None, :]) / x[0]) ** 2)
    factor = xp.linalg.cholesky(kernel + x[2] ** 2 * xp.eye(5, dtype=x.dtype, device=anyjac.device(x)))
    white = xp.linalg.solve(factor, constant(xp, DATA[:, 0], x))
    return -0.5 * xp.sum(white**2) - xp.sum(xp.log(xp.linalg.diagonal(factor)))


@body(_random.uniform(0.5, 1.5, 4))
def multivariate_normal_by_determinant(xp: Any, x: Array) -> Array:
    covariance = xp.linalg.outer(x, x) * 0.1 + xp.eye(4, dtype=x.dtype, device=anyjac.device(x)) * x
    centred = constant(xp, [0.3, -0.2, 0.5, 0.1], x)
    return xp.linalg.slogdet(covariance).logabsdet + xp.vecdot(centred, xp.linalg.inv(covariance) @ centred)


@body(_random.normal(size=(6, 2)))
def covariance_and_correlation(xp: Any, x: Array) -> Array:
    centred = x - xp.mean(x, axis=0)
    covariance = centred.mT @ centred / (x.shape[0] - 1)
    scale = xp.std(x, axis=0, correction=1)
    return covariance / (scale[:, None] * scale[None, :])


@body(_random.normal(size=(5, 3)))
def principal_components(xp: Any, x: Array) -> Array:
    centred = x - xp.mean(x, axis=0)
    return xp.linalg.svdvals(centred) ** 2 / 4


@body()
def median_and_trimmed_mean(xp: Any, x: Array) -> Array:
    ordered = xp.sort(x)
    return xp.stack([(ordered[2] + ordered[3]) / 2, xp.mean(ordered[1:-1])])


@body()
def huber_loss(xp: Any, x: Array) -> Array:
    residual = x - 0.5
    return xp.where(xp.abs(residual) < 0.2, residual**2 / 2, 0.2 * (xp.abs(residual) - 0.1))


@body()
def empirical_cumulative_distribution(xp: Any, x: Array) -> Array:
    weights = xp.cumulative_sum(x) / xp.sum(x)
    return xp.diff(weights, prepend=xp.zeros(1, dtype=x.dtype, device=anyjac.device(x))) ** 2


@body(np.array([0.3, 0.5, 0.4, 0.6]))
def forward_algorithm_of_a_hidden_markov_model(xp: Any, x: Array) -> Array:
    moves = xp.stack([xp.stack([x[0], 1 - x[0]]), xp.stack([1 - x[1], x[1]])])
    emits = xp.stack([xp.stack([x[2], 1 - x[2]]), xp.stack([1 - x[3], x[3]])])
    alpha = emits[:, 0] / 2
    for symbol in (1, 0, 0, 1):
        alpha = emits[:, symbol] * (alpha @ moves)
    return xp.log(xp.sum(alpha))


# ---- dynamics and control ------------------------------------------------------------------------------------------


@body()
def kalman_step(xp: Any, x: Array) -> Array:
    unit = xp.eye(2, dtype=x.dtype, device=anyjac.device(x))
    move = xp.stack([xp.stack([x[0], x[1]]), xp.stack([-x[1], x[0]])])
    state, spread = move @ x[2:4], move @ (unit * x[4]) @ move.mT + 0.1 * unit
    gain = spread[:, :1] / (spread[0, 0] + x[5])
    state = state + gain[:, 0] * (0.7 - state[0])
    return xp.concat([state, xp.reshape((unit - gain @ unit[:1, :]) @ spread, (-1,))])


@body(8.0 + _random.normal(size=6))
def lorenz_96(xp: Any, x: Array) -> Array:
    return (xp.roll(x, -1) - xp.roll(x, 2)) * xp.roll(x, 1) - x + 8.0


@body(np.array([0.9, 0.1, 1.5]))
def van_der_pol_by_runge_kutta(xp: Any, x: Array) -> Array:
    def slope(y: Array) -> Array:
        return xp.stack([y[1], x[2] * (1 - y[0] ** 2) * y[1] - y[0]])

    y, step = x[:2], 0.1
    for _ in range(5):
        first = slope(y)
        second = slope(y + step / 2 * first)
        third = slope(y + step / 2 * second)
        y = y + step / 6 * (first + 2 * second + 2 * third + slope(y + step * third))
    return y


@body(np.array([0.5, 0.1, 0.02]))
def implicit_euler_by_newton(xp: Any, x: Array) -> Array:
    y = x[0]
    for _ in range(6):
        residual = y - x[0] + 0.1 * (y**3 + x[1] * y - x[2])
        y = y - residual / (1 + 0.1 * (3 * y**2 + x[1]))
    return y


@body(_random.uniform(0.2, 0.9, 8))
def heat_equation_step(xp: Any, x: Array) -> Array:
    inner = x[1:-1] + 0.2 * (x[2:] - 2 * x[1:-1] + x[:-2])
    return xp.concat([x[:1], inner, x[-1:]])


@body(_random.uniform(0.2, 0.9, (4, 4)))
def reaction_and_diffusion(xp: Any, x: Array) -> Array:
    spread = sum((xp.roll(x, shift, axis=axis) for shift in (-1, 1) for axis in (0, 1)), -4 * x)
    return x + 0.1 * spread + x * (1 - x) * (x - 0.3)


@body(np.array([0.0, 0.1, 1.0, 0.2, 0.4, 0.9, 0.1, -0.3, 0.2, 0.3, -0.1, 0.2]))
def gravity_of_three_bodies(xp: Any, x: Array) -> Array:
    places_, speeds = xp.reshape(x[:6], (3, 2)), x[6:]
    apart = places_[None, :, :] - places_[:, None, :]
    unit = xp.eye(3, dtype=x.dtype, device=anyjac.device(x))
    cubes = (xp.sum(apart**2, axis=-1) + unit + 1e-3) ** 1.5
    pulls = xp.sum(apart / cubes[:, :, None], axis=1)
    return xp.concat([speeds, xp.reshape(pulls, (-1,))])


@body()
def pendulum_by_leapfrog(xp: Any, x: Array) -> Array:
    angle, speed = x[:3], x[3:]
    for _ in range(4):
        speed = speed - 0.05 * xp.sin(angle)
        angle = angle + 0.1 * speed
        speed = speed - 0.05 * xp.sin(angle)
    return xp.concat([angle, speed])


@body(np.array([0.3, 0.2, 0.5, 0.1]))
def discrete_riccati_step(xp: Any, x: Array) -> Array:
    move = xp.reshape(x, (2, 2))
    unit = xp.eye(2, dtype=x.dtype, device=anyjac.device(x))
    cost = unit
    for _ in range(3):
        cost = unit + move.mT @ (cost - cost @ xp.linalg.solve(unit + cost, cost)) @ move
    return cost


@body()
def matrix_exponential_by_scaling(xp: Any, x: Array) -> Array:
    flow = xp.reshape(xp.concat([x, x[:3]]), (3, 3)) / 16
    term = total = xp.eye(3, dtype=x.dtype, device=anyjac.device(x))
    for order in range(1, 10):
        term = term @ flow / order
        total = total + term
    return xp.linalg.matrix_power(total, 16)


# ---- signals and images --------------------------------------------------------------------------------------------


@body(_random.normal(size=8))
def low_pass_filter_by_fourier_transform(xp: Any, x: Array) -> Array:
    response = constant(xp, 1 / (1 + np.arange(5.0) ** 2), x)
    return xp.fft.irfft(xp.fft.rfft(x) * response, n=8)


@body(_random.normal(size=8))
def power_spectrum(xp: Any, x: Array) -> Array:
    window = constant(xp, np.hanning(8), x)
    return xp.abs(xp.fft.rfft(x * window)) ** 2


@body(_random.normal(size=(3, 4)))
def shifted_image_in_frequency(xp: Any, x: Array) -> Array:
    phases = constant(xp, 2 * np.pi * np.fft.fftfreq(4) * 0.3, x)
    turned = xp.fft.fft(xp.astype(x, xp.complex128), axis=1) * xp.exp(-1j * phases)
    return xp.real(xp.fft.ifft(turned, axis=1))


@body(_random.normal(size=7))
def autocorrelation(xp: Any, x: Array) -> Array:
    return xp.stack([xp.vecdot(x[: 7 - lag], x[lag:]) for lag in range(4)])


@body(np.array([0.11, 0.34, 0.62, 0.87]))
def linear_interpolation(xp: Any, x: Array) -> Array:
    grid, values = constant(xp, np.linspace(0, 1, 6), x), constant(xp, np.cos(np.arange(6.0)), x)
    right = xp.searchsorted(grid, x)
    left, step = xp.take(grid, right - 1), 0.2
    share = (x - left) / step
    return xp.take(values, right - 1) * (1 - share) + xp.take(values, right) * share


# ---- geometry and physics ------------------------------------------------------------------------------------------


@body(np.array([0.3, -0.4, 0.5, 1.0, 2.0, 3.0]))
def rotation_of_a_vector(xp: Any, x: Array) -> Array:
    angle = xp.linalg.vector_norm(x[:3])
    axis, vector = x[:3] / angle, x[3:]
    across = xp.linalg.cross(axis, vector)
    return vector * xp.cos(angle) + across * xp.sin(angle) + axis * xp.vecdot(axis, vector) * (1 - xp.cos(angle))


@body(_random.normal(size=(3, 3)))
def strain_energy_of_a_solid(xp: Any, x: Array) -> Array:
    deformation = xp.eye(3, dtype=x.dtype, device=anyjac.device(x)) + 0.1 * x
    volume = xp.linalg.det(deformation)
    return (xp.linalg.trace(deformation.mT @ deformation) - 3 - 2 * xp.log(volume)) / 2 + xp.log(volume) ** 2


@body(_random.uniform(0.9, 1.1, (4, 3)) + 2 * np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]]))
def lennard_jones_energy(xp: Any, x: Array) -> Array:
    first, second = np.triu_indices(4, 1)
    apart = xp.take(x, places(xp, first, x), axis=0) - xp.take(x, places(xp, second, x), axis=0)
    sixth = xp.sum(apart**2, axis=-1) ** -3
    return 4 * xp.sum(sixth**2 - sixth)


@body(_random.normal(size=(3, 3)))
def vibration_frequencies(xp: Any, x: Array) -> Array:
    stiffness = x @ x.mT + 2 * xp.eye(3, dtype=x.dtype, device=anyjac.device(x))
    return xp.sqrt(xp.linalg.eigvalsh(stiffness))


@body(_random.normal(size=(2, 3, 4)))
def contraction_of_tensors(xp: Any, x: Array) -> Array:
    metric = constant(xp, WEIGHTS[:4, :4], x)
    lowered = xp.tensordot(x, metric, axes=((2,), (0,)))
    return xp.sum(lowered[:, :, None, :] * x[:, None, :, :], axis=(0, 3))


@body()
def norms_and_distances(xp: Any, x: Array) -> Array:
    matrix = xp.reshape(x, (2, 3))
    norms = [xp.linalg.vector_norm(x, ord=order) for order in (1, 2, 3, float("inf"))]
    return xp.stack([*norms, xp.linalg.matrix_norm(matrix), xp.linalg.matrix_norm(matrix, ord="nuc")])


@body()
def charges_put_on_a_grid(xp: Any, x: Array) -> Array:
    cells = places(xp, [0, 2, 2, 1, 0, 2], x)
    grid = anyjac.at(xp.zeros(3, dtype=x.dtype, device=anyjac.device(x)))[cells].add(x**2)
    return anyjac.at(grid)[grid > 0.5].multiply(2.0)
