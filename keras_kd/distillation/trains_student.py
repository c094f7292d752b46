"""What a `keras.Model` around a student hands on to it: training, predictions, weights."""

import inspect

import keras

from keras_kd.distillation import preparation
from keras_kd.distillation.alarms import DistillationAlarms, FirstBatch
from keras_kd.distillation.arrays import are_arrays, check_arrays

KERAS_BATCH = 32  # of `fit`, where none is given

_FIT = inspect.signature(keras.Model.fit)


class TrainsStudent(keras.Model):
    """Trains its `student`, on labels with `_label_loss`; all other weights in it stay as they are."""

    @property
    def is_prepared(self):
        """Whether all that the terms need before training was computed; see `prepare`."""
        return all(term.is_prepared for term in self.terms.values())

    def prepare(self, x, y=None, batch_size=preparation.TEACHER_BATCH):
        """Lets the terms compute what they need before training, such as the centres of classes.

        The teacher is asked once for each such term, in inference mode. `fit` does it by itself where it was
        not done and is given arrays, a finite `tf.data.Dataset` or a `PyDataset`.

        Examples whose label is no class are left out of centres of classes: those of the `ignore_class` of
        the loss that this was compiled with, or of -1 where there is none of Keras yet. Other labels that are
        no class are refused.

        Args:
          x: training examples as the networks take them, not augmented; or, without `y`, an iterable of
            batches `(x, y)`.
          y: their labels, integers `[n]` or one-hot `[n, classes]`.
          batch_size: examples at a time, of arrays.

        Raises:
          ValueError: for examples that the teacher does not take, labels that are missing, too few or no
            classes, and features of the teacher that are not finite.
        """
        preparation.prepare(
            self.terms.values(),
            self._ask_teacher,
            preparation.batches_of(x, y, batch_size),
            self._label_loss if self.compiled else None,
        )

    def check_batch(self, size):
        """Raises a ValueError where a term compares the examples of a batch, and there is but one.

        Args:
          size: of a batch, of which each replica has its share.
        """
        comparing = [
            name.removesuffix("_loss") for name, term in self.terms.items() if term.compares_examples
        ]
        on_tensorflow = keras.backend.backend() == "tensorflow"
        replicas = self.distribute_strategy.num_replicas_in_sync if on_tensorflow else 1
        if size <= replicas and comparing:
            at_least = "two or more" if replicas == 1 else f"{2 * replicas} or more for {replicas} replicas"
            raise ValueError(
                f"{comparing[0]} compares the examples of a batch: take batches of {at_least}. "
                f"Received: batches of {size:g}"
            )

    def _check_batches(self, x, batch_size):
        """As `check_batch`, of what `fit` is given, as far as that says how large batches are."""
        if are_arrays(x):
            self.check_batch(min(len(keras.tree.flatten(x)[0]), batch_size or KERAS_BATCH))
        for spec in keras.tree.flatten(getattr(x, "element_spec", ())):
            shape = getattr(spec, "shape", None)
            if shape and len(shape) and shape[0] is not None:  # of a known rank, and no scalar
                self.check_batch(shape[0])

    def get_compile_config(self):
        config = super().get_compile_config()
        return config and config | {"loss": keras.saving.serialize_keras_object(self.loss)}

    def compile_from_config(self, config):
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.built:
            self.optimizer.build(self.trainable_variables)

    def make_train_function(self, force=False):
        """As Keras's; refuses to train what is not prepared, and lets terms begin before the first step.

        The optimizer is built before: TensorFlow traces a step that does it twice.
        """
        preparation.check(self)
        if not int(keras.ops.convert_to_numpy(self.step)):
            for term in self.terms.values():
                term.begin(self.teacher, self.student)
        if self.built and not self.optimizer.built:
            self.optimizer.build(self.trainable_variables)
        return super().make_train_function(force)

    def make_test_function(self, force=False):
        """As Keras's; refuses to measure what is not prepared."""
        preparation.check(self)
        return super().make_test_function(force)

    def fit(self, x=None, y=None, *args, **kwargs):
        """Trains the student: see `keras.Model.fit`."""
        given = _FIT.bind(self, x, y, *args, **kwargs).arguments
        del given["self"]
        for data in ((x, y), given.get("validation_data")):
            if isinstance(data, (tuple, list)) and self.compiled:
                check_arrays(self.student, self._label_loss, *data[:2])
        self._check_batches(x, given.get("batch_size"))
        if not self.is_prepared:
            size, split = given.get("steps_per_epoch"), given.get("validation_split")
            self.prepare(preparation.finite_batches(x, y, size, validation_split=split))
        callbacks = given.get("callbacks") or []
        if not isinstance(callbacks, keras.callbacks.CallbackList):
            callbacks = callbacks if isinstance(callbacks, (list, tuple)) else [callbacks]
            own = [each for each in self._own_callbacks() if type(each) not in map(type, callbacks)]
            given["callbacks"] = [*callbacks, *own]
        try:
            return super().fit(**given)
        except ValueError as error:
            if "`class_weight` is only supported" not in str(error):
                raise
            raise ValueError(
                "class_weight cannot be used where the labels bring the teacher's logits along: give "
                "sample_weight instead, for each example the weight of its class"
            ) from error

    def train_on_batch(self, x, y=None, *args, **kwargs):
        """One step: see `keras.Model.train_on_batch`."""
        self._check_batches(x, None)
        return super().train_on_batch(x, y, *args, **kwargs)

    def evaluate(self, x=None, y=None, *args, **kwargs):
        """Measures the student: see `keras.Model.evaluate`."""
        if self.compiled:
            check_arrays(self.student, self._label_loss, x, y)
        return super().evaluate(x, y, *args, **kwargs)

    def predict(self, x, *args, **kwargs):
        """What the student itself returns: see `keras.Model.predict`."""
        return self.student.predict(x, *args, **kwargs)

    def predict_on_batch(self, x):
        """What the student itself returns for one batch: see `keras.Model.predict_on_batch`."""
        return self.student.predict_on_batch(x)

    def export(self, filepath, *args, **kwargs):
        """Exports the student alone: see `keras.Model.export`."""
        return self.student.export(filepath, *args, **kwargs)

    def _own_callbacks(self):
        """Callbacks of every `fit` that is not given one of the kind."""
        compares = any(term.compares_examples for term in self.terms.values())
        return [DistillationAlarms(), FirstBatch()] if compares else [DistillationAlarms()]

    @property
    def trained_parts(self):
        """The layers that are trained: the student, and the terms' own. The teacher is a part, and is not."""
        return [self.student, *self.adaptors.values()]

    @property
    def trainable_variables(self):
        return [v for part in self.trained_parts for v in part.trainable_variables] if self.trainable else []

    @property
    def non_trainable_variables(self):
        trained = {id(variable) for variable in self.trainable_variables}
        return [variable for variable in self.variables if id(variable) not in trained]

    @property
    def trainable_weights(self):
        return [w for part in self.trained_parts for w in part.trainable_weights] if self.trainable else []

    @property
    def non_trainable_weights(self):
        trained = {id(weight) for weight in self.trainable_weights}
        return [weight for weight in self.weights if id(weight) not in trained]
