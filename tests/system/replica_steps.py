"""Trains on N logical CPUs and writes the weights and logs: one process per strategy.

python -m tests.system.replica_steps N OUT.npz [batch_norm] [uneven] [fade] [merge] [hint] [dkd]
    [dist] [parts=M] [review] [ignored]

parts=M: one device that does with `dist` what M replicas are said to do.
"""

import contextlib
import itertools
import sys

import keras
import numpy as np
import tensorflow as tf

import keras_kd
from keras_kd import losses
from keras_kd.models import branches, fading
from keras_kd.models.batch_norm import synchronized_batch_norm
from keras_kd.training import optimizers
from tests.support.networks import one_block

replicas, out, batch_norm = int(sys.argv[1]), sys.argv[2], "batch_norm" in sys.argv
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * replicas)
strategy = tf.distribute.MirroredStrategy([f"CPU:{i}" for i in range(replicas)])

rng = np.random.default_rng(0)
x, y = rng.normal(size=(64, 8, 8, 1)).astype("float32"), rng.integers(0, 4, 64)
ignored = -1 if "ignored" in sys.argv else None
if ignored:  # of the first replica's examples in each batch more than of the others'
    y[::16] = y[1::16] = y[2::16] = y[9::16] = ignored
weight = rng.uniform(0.5, 1.5, 64).astype("float32")


def network(seed, name):
    keras.utils.set_random_seed(seed)
    image = keras.Input((8, 8, 1))
    z = keras.layers.Conv2D(
        8,
        3,
        strides=2,
        use_bias=not batch_norm,  # before BatchNorm its gradient is nothing but rounding
        kernel_regularizer=keras.regularizers.L2(0.01),
        # Keras counts activity losses once per replica beside synchronised BatchNorm.
        activity_regularizer=None if batch_norm else "l2",
    )(image)
    if batch_norm:
        z = keras.layers.BatchNormalization()(z)
    z = keras.layers.Flatten(name="features")(keras.layers.ReLU()(z))
    return keras.Model(image, keras.layers.Dense(4)(z), name=name)


class DistOfParts(losses.Dist):
    """The mean of `dist` over consecutive parts of a batch, weighted by their numbers of examples."""

    def call(self, teacher, student):
        batch, parts = tf.shape(teacher)[0], int(sys.argv[-1].removeprefix("parts="))
        starts = [i * (batch // parts) + tf.minimum(i, batch % parts) for i in range(parts + 1)]
        total = 0.0
        for start, end in itertools.pairwise(starts):
            value = losses.Dist.call(self, teacher[start:end], student[start:end])
            total += tf.cast(end - start, "float32") / tf.cast(batch, "float32") * value
        return total


def further_terms():
    if "dkd" in sys.argv:
        return [(0.5, losses.DecoupledTargets())]
    if "dist" in sys.argv:
        return [DistOfParts() if sys.argv[-1].startswith("parts=") else losses.Dist()]
    if "review" in sys.argv:  # its own layers have BatchNorm
        ends = ["stem_relu", "stage1_block1_out"]
        return [(0.5, losses.KnowledgeReview(ends, ends))]
    return []


def teacher_and_student():
    if "review" in sys.argv:
        return one_block(1, channels=1), one_block(2, channels=1)
    twins = one_block(1, channels=1), one_block(2, shortcuts=False, channels=1)
    if "fade" in sys.argv:
        return twins[0], fading.with_fading_shortcuts(twins[1], [(0, 3)])
    if "merge" in sys.argv:
        return twins[0], branches.with_branches(twins[1], pointwise=True)
    return network(1, "teacher"), network(2, "student")


with strategy.scope():
    teacher, student = teacher_and_student()
    terms = [
        (
            0.5,
            keras.distillation.FeatureDistillation(
                keras.losses.MeanSquaredError(), teacher.layers[-2].name, student.layers[-2].name
            ),
        )
    ]
    if "hint" in sys.argv:  # of two layers whose channels differ, so that it has weights of its own
        terms.append((0.5, losses.Hint([teacher.layers[-2].name], [student.layers[-1].name])))
    terms += further_terms()
    distiller = keras_kd.Distiller(
        teacher,
        student,
        alpha=keras.optimizers.schedules.PolynomialDecay(0.9, 4, 0.2),
        temperature=3.0,
        terms=terms,
    )
    distiller.compile(
        optimizers.GlobalClipSGD(0.1, momentum=0.9, nesterov=True, weight_decay=0.01, clip_norm=0.5),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=ignored),
        metrics=["accuracy"],
    )
with contextlib.ExitStack() as stack:
    for part in distiller.trained_parts:
        stack.enter_context(synchronized_batch_norm(part, replicas))
    batches = tf.data.Dataset.from_tensor_slices((x, y, weight)).batch(16, drop_remainder=True)
    history = distiller.fit(batches, epochs=1, shuffle=False, verbose=0).history
    if "uneven" in sys.argv:  # the last batch has 9: 5 and 4
        batches = tf.data.Dataset.from_tensor_slices((x[:41], y[:41], weight[:41])).batch(16)
        history = distiller.fit(batches, epochs=2, shuffle=False, verbose=0).history
evaluated = distiller.evaluate(
    tf.data.Dataset.from_tensor_slices((x[:63], y[:63])).batch(28), verbose=0, return_dict=True
)
np.savez(
    out,
    *distiller.student.get_weights(),
    *[each for adaptor in distiller.adaptors.values() for each in adaptor.get_weights()],
    step=keras.ops.convert_to_numpy(distiller.step),
    **{f"train_{name}": values[0] for name, values in history.items()},
    **{f"test_{name}": value for name, value in evaluated.items()},
)
