"""Distillers of small networks, and networks that tell how they are used."""

import keras
import numpy as np
from keras import layers

from keras_kd import Distiller
from tests.support.networks import sparse_ce
from tests.support.reference import log_softmax


def softmax(x):
    return np.exp(log_softmax(np.asarray(x, np.float64)))


def hard_losses(logits, y):
    return -log_softmax(logits.astype(np.float64))[np.arange(len(y)), y]


def compiled(teacher, student, loss=None, optimizer=None, **kwargs):
    compile_arguments = {
        key: kwargs.pop(key)
        for key in ("metrics", "jit_compile", "run_eagerly", "steps_per_execution")
        if key in kwargs
    }
    distiller = Distiller(teacher, student, **kwargs)
    distiller.compile(optimizer or keras.optimizers.SGD(0.1), loss or sparse_ce(), **compile_arguments)
    return distiller


def evaluated(distiller, x, y, **kwargs):
    arguments = {"batch_size": len(x), "verbose": 0, "return_dict": True} | kwargs
    return distiller.evaluate(x, y, **arguments)


def fitted(model, x, y=None, **kwargs):
    arguments = {"batch_size": 16, "epochs": 1, "shuffle": False, "verbose": 0} | kwargs
    return model.fit(x, y, **arguments).history


class Spy(layers.Layer):
    """Counts its calls and notes in which mode they were made."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.modes = []

    def call(self, inputs, training=None):
        self.modes.append(training)
        return inputs


def spied(seed):
    spy = Spy()
    keras.utils.set_random_seed(seed)
    image = keras.Input((8, 8, 1))
    x = layers.Dense(8, name="hidden")(spy(layers.Flatten()(image)))
    x = layers.BatchNormalization(name="norm")(x)
    return keras.Model(image, layers.Dense(4)(layers.Dropout(0.5)(x))), spy


@keras.saving.register_keras_serializable(package="tests")
class Subclassed(keras.Model):
    def __init__(self, classes=4, activation=None, **kwargs):
        super().__init__(**kwargs)
        self.classes = classes
        self.flatten = layers.Flatten()
        self.dense = layers.Dense(classes)
        self.activation = activation

    def call(self, inputs):
        logits = self.dense(self.flatten(inputs))
        return keras.ops.softmax(logits) if self.activation == "softmax" else logits

    def get_config(self):
        return {**super().get_config(), "classes": self.classes}


def image_classifier(classes=4, shape=(8, 8, 1), activation=None):
    return keras.Sequential([keras.Input(shape), layers.Flatten(), layers.Dense(classes, activation)])
