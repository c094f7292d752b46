"""Distils through `training` on N logical CPUs and writes what came out: one process per strategy.

python tests/replica_training.py N DATA.npz OUT.npz
"""

import sys

import keras
import numpy as np
import tensorflow as tf

import keras_kd
from keras_kd import datasets, training

replicas, data, out = int(sys.argv[1]), sys.argv[2], sys.argv[3]
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * replicas)

dataset = datasets.load(data)
settings = training.Settings(
    epochs=2, batch_size=24, strategy="mirrored" if replicas > 1 else "none", clip_norm=0.5, weight_decay=0.01
)
networks = []
for shortcuts in (True, False):
    with training.scope(settings):
        keras.utils.set_random_seed(0)
        networks.append(keras_kd.cifar_resnet(8, dataset.image_shape, 4, width=4, shortcuts=shortcuts))
teacher, student = networks
assert student.distribute_strategy.num_replicas_in_sync == replicas
trained = training.distill(teacher, student, dataset, settings)
measured = training.evaluate(student, dataset, teacher=teacher, batch_size=10)
np.savez(out, *student.get_weights(), **trained.history, **{f"test_{k}": v for k, v in measured.items()})
