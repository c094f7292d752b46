"""SimKD: a student that ends in the teacher's classifier."""

import keras
import numpy as np
import pytest
from keras import layers

import keras_kd
from keras_kd import Distiller, losses
from keras_kd.models import graph, serialization
from tests.support.distillers import compiled, evaluated, image_classifier
from tests.support.networks import one_block, resnet8, same, shaken, weights_of

MAPS = "stage1_block1_out"


@pytest.fixture(scope="module")
def pair():
    teacher, student = shaken(one_block(seed=1)), one_block(seed=2, shortcuts=False)
    return teacher, losses.with_teacher_classifier(teacher, student), student


@pytest.fixture
def colour(rng):
    return rng.normal(size=(16, 8, 8, 3)).astype("float32"), rng.integers(0, 4, 16)


def test_its_end_is_the_teachers_classifier_and_its_beginning_the_student(pair, colour):
    teacher, student, given = pair
    x, _ = colour
    projected = graph.feature_extractor(student, ["projector_out"]).predict(x, verbose=0)
    kernel, bias = map(np.array, teacher.get_layer("logits").get_weights())
    expected = projected["projector_out"].mean(axis=(1, 2)) @ kernel + bias
    np.testing.assert_allclose(projected["logits"], expected, rtol=1e-5, atol=1e-5)
    assert student.get_layer(MAPS) is given.get_layer(MAPS)
    assert not student.get_layer("teacher_classifier").trainable
    channels = [student.get_layer(f"projector_conv{i}").filters for i in (1, 2, 3)]
    assert channels == [2, 2, 4]


def test_the_term_is_the_mean_squared_error_and_only_the_projector_and_the_student_learn(pair, colour):
    teacher, student, _ = pair
    x, y = colour
    distiller = compiled(teacher, student, alpha=0.0, label_weight=0.0, terms=[losses.SimpleKD()])
    maps = graph.feature_extractor(teacher, [MAPS]).predict(x, verbose=0)[MAPS].astype(np.float64)
    own = graph.feature_extractor(student, ["projector_out"]).predict(x, verbose=0)["projector_out"]
    measured = evaluated(distiller, x, y)
    assert measured["simple_kd_loss"] == pytest.approx(np.mean((maps - own) ** 2), rel=1e-5)
    assert measured["loss"] == pytest.approx(measured["simple_kd_loss"], rel=1e-6)
    before = {each.path: np.array(each) for each in student.weights}
    distiller.train_on_batch(x, y)
    frozen = [each.path for each in student.weights if np.array_equal(before[each.path], each)]
    assert frozen == ["teacher_classifier/kernel", "teacher_classifier/bias"]
    assert same(weights_of(student.get_layer("teacher_classifier")), weights_of(teacher.get_layer("logits")))


@pytest.mark.parametrize(
    "layers", [(MAPS, MAPS), ("stem_relu", "projector_out"), (2 * [MAPS], 2 * ["projector_out"])]
)
def test_layers_that_would_not_train_the_projector_are_refused(pair, layers):
    with pytest.raises(ValueError, match=rf"'{MAPS}'.* 'projector_out'.*leave out the layers") as said:
        Distiller(*pair[:2], terms=[losses.SimpleKD(*layers)])
    assert "\n" not in str(said.value)


def test_layers_that_it_compares_anyway_may_be_named(pair):
    (term,) = Distiller(*pair[:2], terms=[losses.SimpleKD(MAPS, "projector_out")]).terms.values()
    assert (term.teacher_layers, term.student_layers) == ([MAPS], ["projector_out"])


def test_it_is_saved_like_any_student(pair, colour, tmp_path):
    _, student, _ = pair
    serialization.save_model(student, tmp_path / "student.keras")
    again = serialization.load_model(tmp_path / "student.keras")
    np.testing.assert_array_equal(*(each.predict(colour[0], verbose=0) for each in (student, again)))
    assert not again.get_layer("teacher_classifier").trainable


def test_it_is_exported_like_any_student(pair, tmp_path):
    if keras.backend.backend() == "tensorflow":
        keras_kd.export.export_saved_model(pair[1], tmp_path / "exported")
        assert (tmp_path / "exported" / "saved_model.pb").exists()


def test_maps_of_other_sizes_are_averaged(colour):
    x, y = colour
    keras.utils.set_random_seed(0)
    image = keras.Input((8, 8, 3))
    small = layers.Conv2D(6, 3, strides=4, padding="same", name="small")(image)
    small = keras.Model(image, layers.Dense(4, "softmax")(layers.GlobalAveragePooling2D()(small)))
    large = one_block(seed=1)
    student = losses.with_teacher_classifier(small, large)
    assert student.get_layer("projector_out").output.shape == (None, 2, 2, 6)
    other = losses.with_teacher_classifier(large, small)
    assert other.get_layer("projector_out").output.shape == (None, 2, 2, 4)
    for teacher, made in ((small, student), (large, other)):
        distiller = compiled(teacher, made, alpha=0.0, label_weight=0.0, terms=[losses.SimpleKD()])
        assert np.isfinite(evaluated(distiller, x, y)["loss"])


def test_the_classifier_is_the_teachers_as_training_begins(colour):
    teacher = one_block(seed=1)
    student = losses.with_teacher_classifier(teacher, one_block(seed=2, shortcuts=False))
    options = {"alpha": 0.0, "label_weight": 0.0, "run_eagerly": True}
    distiller = compiled(teacher, student, terms=[losses.SimpleKD()], **options)
    shaken(teacher)
    distiller.train_on_batch(*colour)
    classifier = student.get_layer("teacher_classifier")
    assert same(weights_of(classifier), weights_of(teacher.get_layer("logits")))
    thawed = [weight + 1 for weight in weights_of(classifier)]
    classifier.set_weights(thawed)
    distiller.make_train_function(force=True)  # as by each `fit`
    assert same(weights_of(classifier), thawed)


def test_a_pre_activation_network_is_taken_where_its_maps_are_pooled():
    keras.utils.set_random_seed(0)
    teacher = keras_kd.models.wide_resnet(10, 1, (8, 8, 3), 4)
    student = losses.with_teacher_classifier(teacher, resnet8(shortcuts=False))
    (maps,), _ = losses.SimpleKD().layers_of(teacher, student)
    assert teacher.get_layer(maps).output.shape == student.get_layer("projector_out").output.shape


def test_teachers_that_end_otherwise_and_other_students_are_refused():
    student = one_block()
    message = "must end in global average pooling and a dense layer"
    image = keras.Input((8, 8, 3))
    pooled = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3)(image))
    ends_in_relu = keras.Model(image, layers.ReLU()(layers.Dense(4)(pooled)))
    for teacher in (image_classifier(shape=(8, 8, 3)), ends_in_relu):
        with pytest.raises(ValueError, match=message):
            losses.with_teacher_classifier(teacher, student)
    with pytest.raises(ValueError, match=r"with_teacher_classifier\(teacher, student\)\. Received"):
        Distiller(one_block(), student, terms=[losses.SimpleKD()])
    odd = keras.Model(image, layers.Dense(4)(layers.GlobalAveragePooling2D()(layers.Conv2D(4, 4)(image))))
    with pytest.raises(ValueError, match="do not fit: .*a whole multiple"):
        losses.with_teacher_classifier(odd, student)


def test_maps_whose_channels_come_first_are_refused():
    keras.utils.set_random_seed(0)
    image, first = keras.Input((8, 8, 3)), {"data_format": "channels_first"}
    maps = layers.Conv2D(4, 3, **first, name="conv")(layers.Permute((3, 1, 2))(image))
    turned = keras.Model(image, layers.Dense(4)(layers.GlobalAveragePooling2D(**first)(maps)))
    for pair in ((turned, one_block()), (one_block(), turned)):
        with pytest.raises(ValueError, match=r"layer 'conv' .* has .* channels first"):
            losses.with_teacher_classifier(*pair)


def test_maps_of_a_model_inside_another_need_a_layer_behind_it(colour):
    def around(*behind):
        image = keras.Input((8, 8, 3))
        base = keras.Model(image, layers.Conv2D(4, 3)(image), name="base")
        end = [layers.GlobalAveragePooling2D(), layers.Dense(4)]
        return keras.Sequential([keras.Input((8, 8, 3)), base, *behind, *end])

    for pair in ((around(), one_block()), (one_block(), around())):
        with pytest.raises(
            ValueError, match=r"'base' is a model inside .*, such as a keras\.layers\.Id"
        ) as said:
            losses.with_teacher_classifier(*pair)
        assert "\n" not in str(said.value)
    teacher = around(layers.Identity(name="maps"))
    student = losses.with_teacher_classifier(teacher, around(layers.Identity()))
    distiller = compiled(teacher, student, alpha=0.0, label_weight=0.0, terms=[losses.SimpleKD()])
    assert distiller.terms["simple_kd_loss"].teacher_layers == ["maps"]
    assert np.isfinite(evaluated(distiller, *colour)["loss"])
