"""What takes seconds to import; `tests.support.processes` has it imported once, and nothing computed."""

import keras_tuner  # noqa: F401
import scipy.stats  # noqa: F401
import tensorflow as tf  # noqa: F401

import keras_kd.registered  # noqa: F401
from keras_kd.analysis import landscape, reuse  # noqa: F401
from keras_kd.cli import console, runs, terminal  # noqa: F401
from keras_kd.export import saved_model  # noqa: F401
from keras_kd.search import tuner  # noqa: F401
from keras_kd.study import session, worker  # noqa: F401
