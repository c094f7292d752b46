"""What a Distiller gives its networks and gets from them."""

from keras_kd.models import graph, outputs


class Forward:
    """Asks a model for its logits and the outputs of some layers in one pass.

    Not a Keras object, so that the model's layers are not tracked twice.

    Args:
      model: a `keras.Model`.
      names: of its layers, or "logits".

    Attributes:
      model: the `keras.Model` that computes them.
    """

    def __init__(self, model, names):
        layer_names = sorted(set(names) - {"logits"})
        self.model = outputs.with_logits(model, independent=True)
        if layer_names:
            self.model = graph.feature_extractor(model, layer_names, answers=self.model)

    def __call__(self, inputs, training):
        return self.model(inputs, training=training)


def as_outputs(output):
    """`{"logits": ...}`, and the outputs of layers if there are any."""
    return output if isinstance(output, dict) else {"logits": output}


def split_labels(y):
    """The labels, and the teacher's logits where they come along, else None."""
    if isinstance(y, dict) and "teacher_logits" in y:
        return y.get("labels"), y["teacher_logits"]
    return y, None


def weights_of_examples(sample_weight):
    """`[batch]` or None: Keras gives the labels and the logits beside them the same ones."""
    if isinstance(sample_weight, dict):
        return sample_weight.get("labels", sample_weight.get("teacher_logits"))
    return sample_weight


def training_policy(student):
    """float16 needs the loss scaled, also where only the layers know, as after loading."""
    if any(layer.compute_dtype == "float16" for layer in graph.all_layers(student)):
        return "mixed_float16"
    return student.dtype_policy
