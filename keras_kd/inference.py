"""A network as a compiled function of its inputs, on any backend."""

import keras


def compiled(model):
    """The network in inference mode, compiled, on one device; nothing of it changes.

    Weights that are assigned later are not sure to be seen: ask again.

    Args:
      model: a built `keras.Model` with one input and one output.

    Returns:
      A function from a batch of inputs to the output, a tensor of the backend.
    """
    return _COMPILERS.get(keras.backend.backend(), _as_it_is)(model)


def _with_tensorflow(model):
    import tensorflow as tf

    shape = (None, *model.input_shape[1:])
    return tf.function(lambda inputs: model(inputs, training=False)).get_concrete_function(
        tf.TensorSpec(shape, tf.float32)
    )


def _with_jax(model):
    import jax

    def outputs(trainable, non_trainable, inputs):
        return model.stateless_call(trainable, non_trainable, inputs, training=False)[0]

    run = jax.jit(outputs)
    state = [
        [variable.value for variable in variables]
        for variables in (model.trainable_variables, model.non_trainable_variables)
    ]
    return lambda inputs: run(*state, inputs)


def _as_it_is(model):
    return lambda inputs: model(inputs, training=False)


_COMPILERS = {"tensorflow": _with_tensorflow, "jax": _with_jax}
