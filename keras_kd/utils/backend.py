"""Gradients and Hessian-vector products of a function of weights, on TensorFlow and JAX.

Keras has no differentiation of its own; these few lines are all that differs between backends.
"""

import contextlib
import importlib.util

import keras


def value_and_gradient(function):
    """The value of a function and its gradient with respect to its first argument, compiled.

    Args:
      function: `function(weights, *data)`, from a list of tensors and whatever else to a scalar tensor.

    Returns:
      A function of the same arguments that returns `(value, [gradient per weight])`.

    Raises:
      ValueError: on a backend that is neither TensorFlow nor JAX.
    """
    return _of_backend(_VALUE_AND_GRADIENT)(function)


def hessian_vector_product(function):
    """The product of a function's Hessian with a vector, without the Hessian, compiled.

    Args:
      function: as for `value_and_gradient`.

    Returns:
      A function `(weights, vector, *data)` that returns `[product per weight]`; `vector` has a tensor per
      weight.

    Raises:
      ValueError: on a backend that is neither TensorFlow nor JAX.

    Source: Pearlmutter 1994, Fast exact multiplication by the Hessian.
    """
    return _of_backend(_HESSIAN_VECTOR_PRODUCT)(function)


def _of_backend(implementations):
    backend = keras.backend.backend()
    if backend not in implementations:
        raise ValueError(
            f"derivatives need the TensorFlow or the JAX backend: set KERAS_BACKEND. Received: {backend!r}"
        )
    return implementations[backend]


def _gradient_with_tensorflow(function):
    import tensorflow as tf

    @tf.function(reduce_retracing=True)
    def run(weights, *data):
        with tf.GradientTape() as tape:
            tape.watch(weights)
            value = function(weights, *data)
        return value, tape.gradient(value, weights, unconnected_gradients="zero")

    return run


def _product_with_tensorflow(function):
    import tensorflow as tf

    @tf.function(reduce_retracing=True)
    def run(weights, vector, *data):
        with tf.GradientTape() as outer:
            outer.watch(weights)
            with tf.GradientTape() as inner:
                inner.watch(weights)
                value = function(weights, *data)
            gradient = inner.gradient(value, weights, unconnected_gradients="zero")
            along = tf.add_n([tf.reduce_sum(g * v) for g, v in zip(gradient, vector, strict=True)])
        return outer.gradient(along, weights, unconnected_gradients="zero")

    return run


def _gradient_with_jax(function):
    import jax

    return jax.jit(jax.value_and_grad(function))


def _product_with_jax(function):
    import jax

    @jax.jit
    def run(weights, vector, *data):
        return jax.jvp(lambda at: jax.grad(function)(at, *data), (weights,), (vector,))[1]

    return run


_VALUE_AND_GRADIENT = {"tensorflow": _gradient_with_tensorflow, "jax": _gradient_with_jax}

_HESSIAN_VECTOR_PRODUCT = {"tensorflow": _product_with_tensorflow, "jax": _product_with_jax}


def compile_function(function):
    """A function of tensors, compiled; it must be pure, and keep its structure from call to call.

    Args:
      function: takes and returns nested structures of tensors of the backend.

    Returns:
      The same function, under `tf.function` or `jax.jit`; as it is on other backends.
    """
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        return tf.function(function, reduce_retracing=True)
    if backend == "jax":
        import jax

        return jax.jit(function)
    return function


def check_backend():
    """Raises a ValueError for a backend of Keras that nothing here trains on."""
    backend = keras.backend.backend()
    if backend not in _TRAINED_ON:
        raise ValueError(f"training needs KERAS_BACKEND=tensorflow or jax. Received: {backend!r}")


_TRAINED_ON = ("tensorflow", "jax")


def check_configuration():
    """Raises a ValueError where Keras's own settings are others than images and losses are made for."""
    for name, needed in (("image_data_format", "channels_last"), ("floatx", "float32")):
        value = getattr(keras.config, name)()
        if value != needed:
            raise ValueError(
                f"Keras must be set to {name}={needed!r}, in its keras.json or by keras.config.set_{name}: "
                f"images are [height, width, channels] of float32 here. Received: {value!r}"
            )


def on_tensorflow():
    """Whether TensorFlow computes."""
    return keras.backend.backend() == "tensorflow"


def has_tensorflow():
    """Whether TensorFlow is there, if only to write its files."""
    return importlib.util.find_spec("tensorflow") is not None


def has_accelerator():
    """Whether the backend computes on something else than the CPU."""
    if on_tensorflow():
        import tensorflow as tf

        return bool(tf.config.list_physical_devices("GPU"))
    return any(not name.startswith("cpu") for name in keras.distribution.list_devices())


def full_float32():
    """A context in which GPUs do not round float32 to TF32, of what is not compiled."""
    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        return jax.default_matmul_precision("highest")
    return _without_tf32() if backend == "tensorflow" else contextlib.nullcontext()


@contextlib.contextmanager
def _without_tf32():
    from tensorflow.config import experimental

    before = experimental.tensor_float_32_execution_enabled()
    experimental.enable_tensor_float_32_execution(False)
    try:
        yield
    finally:
        experimental.enable_tensor_float_32_execution(before)


def hide_gpus():
    """Makes TensorFlow compute on the CPU: a GPU's float32 may be TF32, and other runtimes have no GPU."""
    if not has_tensorflow():
        return
    import tensorflow as tf

    tf.config.set_visible_devices([], "GPU")
