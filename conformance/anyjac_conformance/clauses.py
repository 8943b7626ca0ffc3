"""The clauses of the contract, as one table: an anchor and the sentence that it stands for.

Every clause has at least one scenario, and every scenario names one clause; a test holds the two lists together.
"""

from __future__ import annotations

from typing import Final

CLAUSES: Final[dict[str, str]] = {
    # ---- the transform ---------------------------------------------------------------------------------------------
    "transform/signature": "The first seven parameters keep their order and defaults; the rest are keywords.",
    "transform/decorator": "Without `func` the result is a decorator.",
    "transform/object": "The transform has `__wrapped__`, `__name__` and a readable `repr`.",
    "transform/method": "A decorated method is differentiated with `self` bound.",
    "transform/copies": "A transform can be copied, deep-copied and pickled when its function can.",
    # ---- packing ---------------------------------------------------------------------------------------------------
    "packing/returns": "`has_aux` and `return_value` say what stands beside the derivative, in the order of the table.",
    "packing/kinds": "`g` is `arg_grads`, `var_grads`, or the pair of both with Variables first.",
    "packing/argnums-default": "`argnums=None` means 0 without Variables, and no argument with them.",
    "packing/arg-grads": "An int gives the Jacobian itself, a sequence of any length a tuple in the order given.",
    "packing/var-grads": "`var_grads` mirrors the structure of `grad_vars`, nested ones too.",
    "packing/same-variable-twice": "A Variable that stands twice in `grad_vars` appears twice.",
    "packing/unread-variable": "A Variable that the function never reads gives zeros.",
    "packing/block": "A block has shape `y.shape + x.shape`, the dtype of `x` and the device of `x`.",
    "packing/nesting": "The output's tree is outside, the input's inside, and the pair of both kinds outermost.",
    "packing/containers": "Containers keep type and order; None stays in place; keys of mixed types work.",
    "packing/grad-vars-frozen": "A list given as `grad_vars` and changed later changes nothing.",
    "packing/pair": "The pair for both kinds equals the two single results.",
    "packing/aux-pair": "With `has_aux` the function returns a tuple or list of two; anything else is a TypeError.",
    "packing/aux-untouched": "Aux data comes back untraced and otherwise untouched.",
    "packing/loss-value": "`loss_value` is the primal output, with its own tree, untraced.",
    # ---- arguments -------------------------------------------------------------------------------------------------
    "arguments/pytrees": "Differentiated arguments are pytrees of arrays, numbers, NumPy arrays, lists or Variables.",
    "arguments/untouched": "All other arguments, and every keyword, go through untouched and concrete.",
    "arguments/argnums": "`argnums` is an int or a sequence of ints, NumPy's too; negative counts from the end.",
    "arguments/argnums-refused": "bool, float, str, out of range, duplicates and empty sequences are refused by name.",
    "arguments/border": "Foreign arrays are converted where the backend was named, and refused where it was inferred.",
    # ---- dtypes ----------------------------------------------------------------------------------------------------
    "dtypes/real": "Real floating inputs mix freely; a block has its input's dtype.",
    "dtypes/integers": "An integer or bool input is a TypeError that names dtype and path.",
    "dtypes/allow-int": "With `allow_int=True` integers give zeros of `float0`, shape `y.shape + x.shape`.",
    "dtypes/integer-output": "An integer output is a TypeError.",
    "dtypes/no-output": "No output at all is a TypeError.",
    "dtypes/number-output": "A Python number among the outputs is a constant: zeros.",
    "dtypes/holomorphic": "`holomorphic=True` gives the complex derivative; inputs and outputs must be complex.",
    "dtypes/holomorphic-leaves": "One real leaf among holomorphic inputs is a TypeError that names it.",
    "dtypes/complex-input": "A complex input of a real function gives `df/dx - i df/dy`.",
    "dtypes/complex-output": "A complex output without `holomorphic` is a TypeError that mentions it.",
    "dtypes/empty": "Inputs and outputs of size zero give blocks of size zero.",
    "dtypes/scalars": "Scalars give blocks of shape `()`.",
    # ---- Variables -------------------------------------------------------------------------------------------------
    "variables/pytree": "A Variable holds one array or a pytree of arrays.",
    "variables/as-array": "A Variable forwards arithmetic, comparison, indexing and the attributes of its array.",
    "variables/protocols": "The functions of the framework and of the namespace take a Variable.",
    "variables/in-place": "`v[i] = y` and `v += y` write through.",
    "variables/train-var": "A TrainVar is a Variable marked trainable.",
    "variables/collect": "`variables` and `train_vars` collect a functor's Variables, each once, by path.",
    "variables/any-callable": "Functions, lambdas, partials, bound methods and instances with `__call__` work.",
    "variables/fixed": "A write of another shape or dtype is an error naming both; dicts are written by their keys.",
    "variables/allow-reshape": "`allow_reshape=True` lifts the fixed shape and dtype.",
    "variables/write-visible": "A write is visible to later reads in the same call.",
    "variables/committed-once": "Writes are committed once, when everything has succeeded.",
    "variables/no-tracer": "No Variable ever holds a tracer after a call.",
    "variables/entry": "The Jacobian is with respect to the value at entry, and goes through writes.",
    "variables/restored": "If the function, a check or the packing raises, every Variable is as it was.",
    "variables/concurrent": "Calls that share a Variable lose no write; none sees another's tracers.",
    "variables/nothing-stale": "A closed-over number, array, attribute or Variable that changed is seen next time.",
    "variables/shown": "Value and aux show what the function computed, writes included.",
    "variables/created-inside": "A Variable created inside the function lives there and holds no tracer afterwards.",
    # ---- composition -----------------------------------------------------------------------------------------------
    "composition/once": "The function runs exactly once per call.",
    "composition/chunks": "`chunk_size` changes nothing but memory; what is no positive int or None is refused.",
    "composition/nested": "Transforms within transforms give what the mathematics says, Variables at each level.",
    "composition/native-grad": "Inside and around the framework's own grad the derivative is right.",
    "composition/native-jit": "Inside and around the framework's own compiler the derivative is right.",
    "composition/native-vmap": "Inside and around the framework's own vectorising map the derivative is right.",
    # ---- the family ------------------------------------------------------------------------------------------------
    "grad/packing": "`grad` packs the gradient of a scalar as `jacrev` packs a Jacobian.",
    "grad/scalar": "What is no scalar is refused by `grad`, naming its shape.",
    "vector-grad/sum": "`vector_grad` is the pullback of ones: the gradient of the sum of all outputs.",
    "value-and-grad/order": "`value_and_grad` returns the value first, then the gradient.",
    "derivative/scalar": "`derivative` is with respect to one number, and has the tree of the output.",
    "jacfwd/packing": "`jacfwd` packs as `jacrev` does.",
    "jacfwd/blocks": "Columns make the blocks that rows make, for every dtype, tree and chunk.",
    "jacfwd/nested": "Columns of rows, rows of columns and columns of columns are the second derivatives.",
    "jacobian/mode": "`jacobian` takes the mode that it is given, or picks one and says which.",
    "hessian/blocks": "`hessian` gives all blocks of each output, by arguments and Variables, cross blocks included.",
    "hessian/packing": "`hessian` returns the function's value and aux data, from one run.",
    "hvp/product": "`hvp` multiplies the Hessian by a vector that is packed as the gradient is.",
    "vjp/product": "`vjp` runs the function once; its pullback takes cotangents in the output's tree, by their keys.",
    "jvp/product": "`jvp` pushes tangents forward that are packed, and keyed, as the gradient is.",
    "jvp/nested": "Products with a Jacobian are differentiated in turn.",
    "linearize/product": "`linearize` runs the function once and returns its pushforward.",
    # ---- compiled --------------------------------------------------------------------------------------------------
    "jit/results": "`jit` gives what the transform or function gives, packed alike; flags and text are kept.",
    "jit/outputs": "Trees, None, text and numbers come out of `jit` as they are.",
    "jit/variables": "`jit` reads and writes Variables once in every call.",
    "jit/errors": "After an error in `jit` every Variable is as it was, and the next call is right.",
    "jit/nested": "`jit` inside and around transforms gives the derivative.",
    "jit/method": "A method under `jit` has `self` bound, and each object its own Variables.",
    # ---- mapped ----------------------------------------------------------------------------------------------------
    "vmap/results": "`vmap` gives what the function gives for each example, with one more axis; transforms alike.",
    "vmap/axes": "`in_axes` and `out_axes` are ints or trees of them, by keys; what does not fit is named.",
    "vmap/variables": "Under `vmap` all examples read a Variable's one value, and differentiate with respect to it.",
    "vmap/writes": "A Variable written under `vmap` is an error naming it, and every Variable is as it was.",
    # ---- rows and products -----------------------------------------------------------------------------------------
    "rows/blocks": "`rows` gives the Jacobian in blocks of rows, leaf by leaf, in the trees of the contract.",
    "rows/run": "`rows` runs the function once and stores its writes; the iterator owns no Variable.",
    "rows/into": "`into` writes all rows into an array that is there.",
    "rows/transpose": "The transpose of a pullback takes tangents to products with the Jacobian.",
    # ---- trust -----------------------------------------------------------------------------------------------------
    "trust/finite-differences": "`check_derivative` finds derivatives equal to differences, and Variables as before.",
    "trust/wrong-derivative": "`check_derivative` names the elements of output and input where a derivative is wrong.",
    "trust/debug-nan": "With `debug_nan=True` the input, output or block that is not finite is named.",
    # ---- functions of arrays ---------------------------------------------------------------------------------------
    "arrays/namespace": "`array_namespace` takes traced arrays, Variables, NumPy arrays and numbers together.",
    "arrays/device": "`device`, `size` and `to_device` take traced arrays, Variables and numbers.",
    "arrays/at": "`at(x)[i]` makes new arrays with changed elements, differentiable in both; repeats accumulate.",
    "arrays/stop-gradient": "`stop_gradient` makes constants, at every level of nested derivatives.",
    # ---- selection and devices -------------------------------------------------------------------------------------
    "selection/argument": "`backend=` names the backend and goes before everything else.",
    "selection/context": "`use_backend` names it for a block of code, before the environment.",
    "selection/environment": "`ANYJAC_BACKEND` names it, before the arrays.",
    "selection/inferred": "Otherwise the arrays of the call tell, arguments first and then Variables.",
    "selection/default": "Otherwise the configured default is used.",
    "selection/unknown": "An unknown name is an error that lists what is installed.",
    "selection/listed": "`backends()` lists the backend with name, version, state and capabilities.",
    "devices/argument": "`device=` places the inputs, the work and the Jacobian.",
    "devices/variable": "`Variable(device=)` places the value.",
    "devices/environment": "`ANYJAC_DEVICE` places what no argument places.",
    "devices/unknown": "An unknown device is an error that lists the devices that are present.",
}
"""Anchors and sentences."""

SUBJECTS: Final = tuple(dict.fromkeys(clause.partition("/")[0] for clause in CLAUSES))
"""What the clauses are about, in their order: the first part of each name."""
