import contextlib
import dataclasses

import keras
import numpy as np
import pytest

import keras_kd
from keras_kd.data import datasets
from keras_kd.distillation import several_teachers, shortcut_removal
from keras_kd.losses import tails
from keras_kd.models import branches, fading, graph, serialization, weights
from keras_kd.training import Settings, evaluation, inputs, trainer, without_shortcuts
from keras_kd.utils import backend
from tests.support.networks import one_block, same, shaken, weights_of
from tests.support.reference import log_softmax, reference_kl

SETTINGS = Settings(epochs=3, batch_size=24, warmup_fraction=0.0, precision="float32")


@pytest.fixture
def dataset(npz):
    return datasets.load(npz)


def network(seed, shortcuts):
    keras.utils.set_random_seed(seed)
    return keras_kd.cifar_resnet(8, (8, 8, 3), 4, width=4, shortcuts=shortcuts)


REMOVALS = [
    "fade:fade_end=0.7",
    "layerwise",
    "merge:merge_pointwise=True",
    "tails",
    "fade+merge:fade_end=0.7",
    "fade+blockwise:fade_end=0.7",
]


@pytest.mark.parametrize(
    "spec",
    [pytest.param(spec, marks=[] if spec.startswith("fade:") else pytest.mark.slow) for spec in REMOVALS],
)
def test_the_student_is_what_is_left(dataset, spec):
    """Blocks that change the shape fade with the first spec of that kind; `tails` needs two stages."""
    build = network if spec in ("fade:fade_end=0.7", "tails") else one_block
    teacher, student = build(1, shortcuts=True), build(2, shortcuts=False)
    before, structure = weights_of(teacher), weights.structure(student)
    trained = trainer.distill(
        teacher, student, dataset, SETTINGS, shortcut_removal=shortcut_removal.parse_spec(spec)
    )
    assert same(weights_of(teacher), before)
    assert weights.structure(student) == structure
    found = evaluation.evaluate(student, dataset, "validation")["accuracy"]
    assert found == pytest.approx(trained.history["val_accuracy"][-1])


@pytest.mark.parametrize("spec", ["layerwise", "merge"])
def test_what_would_be_left_is_the_students_from_the_beginning(dataset, spec):
    """Snapshots of its way begin there: by `layerwise` with the teacher's weights."""
    teacher, student, reference = network(1, True), network(2, False), network(2, False)
    removal = shortcut_removal.parse_spec(spec)
    begun = removal.start(student, 9, teacher)
    removal.finish(begun, reference)
    assert not same(weights_of(student), weights_of(reference))
    without_shortcuts.WithoutShortcuts(removal, begun, student, dataset).on_epoch_begin(0)
    assert same(weights_of(student), weights_of(reference))


@pytest.fixture
def policy(request):
    keras.config.set_dtype_policy(request.param)
    yield request.param
    keras.config.set_dtype_policy("float32")


@pytest.mark.parametrize("policy", ["mixed_float16"], indirect=True)
def test_nothing_is_proved_before_training(dataset, policy):
    """Statistics are not measured then, so that the branches of deep networks overflow in float16."""
    student, removal = one_block(2, shortcuts=False), shortcut_removal.make("merge")
    student.get_layer("stem_bn").gamma.assign(np.full(4, 1e6))
    begun = removal.start(student, 9)
    images = np.random.default_rng(0).normal(size=(4, 8, 8, 3)).astype("float32")
    assert not np.isfinite(begun(images)).all()
    without_shortcuts.WithoutShortcuts(removal, begun, student, dataset).on_epoch_begin(0)


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"], indirect=True)
@pytest.mark.parametrize("factor", [1.0, 1.02])
def test_what_is_left_is_proved_at_the_end_in_float32(dataset, policy, factor, monkeypatch):
    """An error of 2 % is more than float32 rounds, and less than bfloat16 does in a deep network."""
    student, removal = one_block(2, shortcuts=False), shortcut_removal.make("merge")
    begun = shaken(removal.start(student, 9))
    watcher = without_shortcuts.WithoutShortcuts(removal, begun, student, dataset)
    merge = branches.merge_branches

    def wrong(network, plain):
        merge(network, plain)
        for weight in plain.layers[-1].weights:
            weight.assign(factor * weight)

    monkeypatch.setattr(branches, "merge_branches", wrong)
    is_wrong = pytest.raises(RuntimeError, match="does not compute what .* differ by 0.0")
    with contextlib.nullcontext() if factor == 1 else is_wrong:
        watcher.on_train_end()


@pytest.mark.parametrize(
    ("spec", "gate"),
    [
        ("fade:fade_start=1:fade_end=1", "1"),
        pytest.param("layerwise:fade_end=1", "0.33", marks=pytest.mark.slow),
    ],
)
def test_so_are_gates_that_close_after_the_last_step(dataset, spec, gate):
    """Then they are 0, and the network that is left is new all the same."""
    student, removal = network(2, shortcuts=False), shortcut_removal.parse_spec(spec)
    teacher = network(1, shortcuts=True)
    *_, note = trainer.distill(teacher, student, dataset, SETTINGS, shortcut_removal=removal).notes
    assert note.startswith(f"the last step had gate {gate}: what is left was never trained without shortcuts")


def test_a_network_that_merges_ends_with_its_best_epoch(dataset):
    """It has no shortcuts to lose: what is left of any epoch is whole."""
    student, merge = one_block(2, shortcuts=False), shortcut_removal.make("merge")
    settings = dataclasses.replace(SETTINGS, epochs=4, early_stopping=1, learning_rate=1e-4)
    history = trainer.train(student, dataset, settings, shortcut_removal=merge).history["val_accuracy"]
    assert len(history) < settings.epochs
    assert evaluation.evaluate(student, dataset, "validation")["accuracy"] == pytest.approx(max(history))


@pytest.mark.slow
def test_a_network_that_fades_goes_on_to_the_end(dataset):
    """Its best epoch may be one with shortcuts, which what is left does not have."""
    student, fade = one_block(2, shortcuts=False), shortcut_removal.make("fade", fade_end=0.5)
    settings = dataclasses.replace(SETTINGS, epochs=4, early_stopping=1, learning_rate=1e-4)
    history = trainer.train(student, dataset, settings, shortcut_removal=fade).history
    assert len(history["val_accuracy"]) == settings.epochs
    assert history["gate"][-1] == 0
    found = evaluation.evaluate(student, dataset, "validation")["accuracy"]
    assert found == pytest.approx(history["val_accuracy"][-1])


def test_what_is_trained_depends_on_the_seed_alone(dataset):
    """Random numbers of its own, as of added branches and dropout, do not hang on what was drawn before."""
    found = []
    for drawn_before in (0, 3):
        keras.utils.set_random_seed(2)
        student = keras_kd.cifar_resnet(8, (8, 8, 3), 4, width=4, shortcuts=False, dropout=0.1)
        for _ in range(drawn_before):
            keras.random.uniform(())
            keras.initializers.GlorotUniform()((2, 2))
        removal = shortcut_removal.parse_spec("fade+merge:merge_pointwise=True")
        begun, _, _ = without_shortcuts.in_place_of(student, removal, dataset, SETTINGS)
        found.append([keras.ops.convert_to_numpy(variable) for variable in begun.variables])
    assert same(*found)


def test_none_is_a_training_without_any(dataset):
    students = [network(2, False), network(2, False)]
    for student, removal in zip(students, (None, shortcut_removal.NoRemoval()), strict=True):
        trainer.train(student, dataset, SETTINGS, shortcut_removal=removal)
    assert same(*map(weights_of, students))


def test_the_logs_tell_the_gate_and_what_would_be_left(dataset):
    student = network(2, False)
    fade = shortcut_removal.make("fade", fade_end=0.7, fade_curve="linear")
    trained = trainer.train(student, dataset, SETTINGS, shortcut_removal=fade)
    history, steps = trained.history, 72 // 24 * 3
    done = np.array([3, 6, 9]) / round(0.7 * steps)
    np.testing.assert_allclose(history["gate"], np.maximum(1 - done, 0), atol=1e-6)
    accuracies = history["val_accuracy_without_shortcuts"]
    assert accuracies[-1] == history["val_accuracy"][-1]
    assert trained.notes == ()


class StopAfterOne(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        self.model.stop_training = True


def test_an_end_before_the_gates_are_closed_is_noted(dataset, capsys):
    """Validation chose the network with shortcuts; what is left was never trained."""
    student, fade = one_block(2, shortcuts=False), shortcut_removal.make("fade", fade_end=0.9)
    options = {"shortcut_removal": fade, "callbacks": [StopAfterOne()]}
    (note,) = trainer.train(student, dataset, SETTINGS, **options).notes
    accuracy = evaluation.evaluate(student, dataset, "validation")["accuracy"]
    assert note.startswith("the last step had gate 0.85: what is left was never trained without shortcuts")
    assert f"its accuracy on validation is {accuracy:.1%};" in note
    assert f"note: {note}\n" in capsys.readouterr().out


class PlainAverage(keras.callbacks.Callback):
    """After the first epoch, a plain network with the moving average of the weights, by hand."""

    average = None

    def on_train_batch_end(self, batch, logs=None):
        now = {weight.path: np.float64(weight.numpy()) for weight in self.model.trainable_weights}
        before = self.average or now
        self.average = {path: 0.9 * before[path] + 0.1 * now[path] for path in now}

    def on_epoch_end(self, epoch, logs=None):
        if epoch == 0:
            self.plain = one_block(shortcuts=False)
            weights.copy_by_layer(self.model, self.plain)
            for weight in self.plain.trainable_weights:
                weight.assign(self.average[weight.path])


def test_what_would_be_left_is_measured_with_the_weights_that_are_validated(dataset):
    dataset, by_hand = dataclasses.replace(dataset, validation=dataset.train), PlainAverage()
    settings = dataclasses.replace(SETTINGS, epochs=2, ema=0.9, learning_rate=0.1)
    student, late = one_block(2, shortcuts=False), shortcut_removal.make("fade", fade_start=1.0, fade_end=1.0)
    options = {"shortcut_removal": late, "callbacks": [by_hand]}
    history = trainer.train(student, dataset, settings, **options).history
    found = evaluation.evaluate(by_hand.plain, dataset, "validation")["accuracy"]
    assert history["val_accuracy_without_shortcuts"][0] == pytest.approx(found)


def test_with_an_open_gate_it_trains_like_the_residual_twin(dataset):
    plain, residual = network(2, False), network(2, True)
    settings = dataclasses.replace(SETTINGS, epochs=1)
    late = shortcut_removal.make("fade", fade_start=1.0, fade_end=1.0)
    trainer.train(plain, dataset, settings, shortcut_removal=late)
    trainer.train(residual, dataset, settings)
    found = weights.weights_of(plain)
    for path, value in weights.weights_of(residual).items():
        np.testing.assert_allclose(found[path], value, rtol=1e-3, atol=1e-5, err_msg=path)


def test_blockwise_terms_pull_each_block_to_the_teachers_and_end():
    teacher, student = network(1, True), network(2, False)
    removal = shortcut_removal.make("blockwise", blockwise_weight=0.6, blockwise_end=0.5)
    terms = removal.terms(student, teacher, 100)
    pairs = [(loss.teacher_layer_name, loss.student_layer_name) for _, loss in terms]
    assert pairs == [(f"stage{i}_block1_out",) * 2 for i in (1, 2, 3)]
    weights_at = [[float(weight(step)) for weight, _ in terms] for step in (0, 25, 50, 99)]
    np.testing.assert_allclose(weights_at, [[0.2] * 3, [0.1] * 3, [0.0] * 3, [0.0] * 3], atol=1e-6)


@pytest.mark.parametrize(
    ("behind", "names"),
    [
        ("stages", ["stage1_block2_out", "stage2_block2_out"]),
        ("blocks", [f"stage{i}_block{j}_out" for i in (1, 2, 3) for j in (1, 2)][:-1]),
    ],
)
def test_tails_stand_behind_stages_or_blocks_and_their_mean_is_weighed_by_a_cosine(behind, names):
    teacher, student = (
        keras_kd.cifar_resnet(14, (8, 8, 3), 4, width=2, shortcuts=each) for each in (True, False)
    )
    removal = shortcut_removal.make("tails", tails_behind=behind, tails_end_weight=0.5)
    terms = removal.terms(student, teacher, 100)
    assert [(loss.tail_layer, loss.student_layer_name) for _, loss in terms] == [
        (each,) * 2 for each in names
    ]
    mean_at = [sum(float(weight(step)) for weight, _ in terms) for step in (0, 50, 100)]
    np.testing.assert_allclose(mean_at, [1.0, 0.75, 0.5], atol=1e-6)


@pytest.mark.parametrize(
    ("spec", "without", "build", "name"),
    [
        ("blockwise", "none", one_block, "feature_distillation_loss"),
        pytest.param("fade+tails", "fade", network, "tail_loss", marks=pytest.mark.slow),
    ],
)
def test_what_a_way_asks_of_the_student_trains_it(dataset, spec, without, build, name):
    teacher, taught, untaught = build(1, True), build(2, False), build(2, False)
    settings = dataclasses.replace(SETTINGS, epochs=1)
    histories = [
        trainer.distill(
            teacher, student, dataset, settings, shortcut_removal=shortcut_removal.parse_spec(each)
        ).history
        for student, each in ((taught, spec), (untaught, without))
    ]
    assert histories[0][name][0] > 0
    assert name not in histories[1]
    assert not any(map(np.allclose, weights_of(taught)[:1], weights_of(untaught)[:1]))


@pytest.mark.slow
def test_a_tail_is_that_of_a_teachers_logits(dataset):
    """Also where the teacher ends in softmax: of probabilities taken for logits nothing would be learnt."""
    teacher, students = network(1, True), [network(2, False) for _ in range(2)]
    ended = keras.Model(teacher.inputs, keras.layers.Softmax()(teacher.outputs[0]))
    for each, student in zip((teacher, ended), students, strict=True):
        removal = shortcut_removal.make("tails")
        trainer.distill(each, student, dataset, SETTINGS, shortcut_removal=removal)
    for found, expected in zip(*map(weights_of, students), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", ["blockwise", "tails", "layerwise"])
def test_several_teachers_are_no_twin(name):
    both = several_teachers.ensemble([network(1, True), network(3, True)])
    with pytest.raises(ValueError, match=f"shortcut_removal='{name}' looks at layers .* needs one teacher"):
        shortcut_removal.make(name).check(network(2, False), both, independent=False)


def test_a_tail_is_the_rest_of_the_teacher(rng):
    """Against the teacher itself: behind its own features the tail gives its own logits."""
    teacher = network(1, True)
    images = rng.normal(size=(6, 8, 8, 3)).astype("float32")
    labels = np.arange(6) % 4
    loss = tails.TailLoss(teacher, "stage2_block1_out", temperature=2.0, alpha=0.25)
    features = graph.feature_extractor(teacher, ["stage2_block1_out"])(images)
    others = rng.normal(size=(6, 4)).astype("float32")
    found = loss.call(others, features["stage2_block1_out"], labels)
    logits = keras.ops.convert_to_numpy(features["logits"])
    hard = -log_softmax(logits.astype(np.float64))[np.arange(6), labels]
    expected = 0.75 * hard + 0.25 * reference_kl(others, logits, 2.0)
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    found = loss.call(others, features["stage2_block1_out"], np.eye(4, dtype="float32")[labels])
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_the_gradient_of_a_tail_reaches_the_students_features(rng):
    """Behind the last block the tail is the mean over places and a dense layer, whose gradient is known."""
    teacher = one_block(1)
    loss = tails.TailLoss(teacher, "stage1_block1_out", temperature=2.0, alpha=0.25)
    features = rng.normal(size=(5, *teacher.get_layer("stage1_block1_out").output.shape[1:]))
    others, labels = rng.normal(size=(5, 4)), np.arange(5) % 4

    def total(tensors):
        return keras.ops.sum(loss.call(others.astype("float32"), tensors[0], labels))

    _, (found,) = backend.value_and_gradient(total)([features.astype("float32")])
    kernel, bias = (weight.astype(np.float64) for weight in teacher.layers[-1].get_weights())
    logits = features.mean(axis=(1, 2)) @ kernel + bias
    hard = np.exp(log_softmax(logits)) - np.eye(4)[labels]
    soft = 2.0 * (np.exp(log_softmax(logits / 2)) - np.exp(log_softmax(others / 2)))
    expected = (0.75 * hard + 0.25 * soft) @ kernel.T / np.prod(features.shape[1:3])
    expected = np.broadcast_to(expected[:, None, None], features.shape)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(found), expected, rtol=1e-3, atol=1e-6)


def test_a_distiller_with_a_tail_is_not_saved_whole(tmp_path):
    """It could not be read again: the rest of the teacher is in no configuration."""
    teacher, student = network(1, True), network(2, False)
    loss = tails.TailLoss(teacher, "stage2_block1_out")
    distiller = keras_kd.Distiller(teacher, student, terms=[loss])
    with pytest.raises(ValueError, match="with a TailLoss, which holds a network, is not saved whole"):
        distiller.save(tmp_path / "distiller.keras")
    assert not list(tmp_path.iterdir())


def test_a_tail_says_nothing_of_a_label_that_is_no_class(rng):
    teacher = network(1, True)
    loss = tails.TailLoss(teacher, "stage2_block1_out", temperature=2.0, alpha=0.25)
    images = rng.normal(size=(6, 8, 8, 3)).astype("float32")
    known = graph.feature_extractor(teacher, ["stage2_block1_out"])(images)
    others = rng.normal(size=(6, 4)).astype("float32")
    found = np.array(loss.call(others, known["stage2_block1_out"], np.array([0, -1, 2, 255, 3, 1])))
    logits = keras.ops.convert_to_numpy(known["logits"])
    soft = 0.25 * reference_kl(others, logits, 2.0)
    np.testing.assert_allclose(found[[1, 3]], soft[[1, 3]], rtol=1e-4)
    assert np.all(found[[0, 2, 4, 5]] > soft[[0, 2, 4, 5]])


def test_layerwise_begins_with_the_teachers_weights(dataset):
    teacher, student = network(1, True), network(2, False)
    removal = shortcut_removal.make("layerwise")
    started = removal.start(student, 9, teacher)
    found, given = weights.weights_of(started), weights.weights_of(teacher)
    assert all(np.array_equal(found[path], value) for path, value in given.items())
    images = np.random.default_rng(0).normal(size=(4, 8, 8, 3)).astype("float32")
    fading.fading_shortcuts(started)[0].step.assign(-1)  # the first shortcut is cut at once
    np.testing.assert_allclose(started(images), teacher(images), atol=1e-4)


@pytest.mark.parametrize("as_file", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_layerwise_begins_with_any_twin(dataset, tmp_path, as_file):
    """The teacher may be no twin, or there is none; the last cut comes after the training here."""
    given, student = network(1, True), network(2, False)
    path = tmp_path / "given.keras"
    serialization.save_model(given, path)
    removal = shortcut_removal.make("layerwise", fade_end=1.0, start_from=str(path) if as_file else given)
    assert not removal.needs_teacher
    before = weights.weights_of(given)
    for teacher in (None, keras_kd.cifar_resnet(14, (8, 8, 3), 4, width=8)):
        found = weights.weights_of(removal.start(student, 9, teacher))
        assert all(np.array_equal(found[name], value) for name, value in before.items())
    trainer.train(student, dataset, dataclasses.replace(SETTINGS, epochs=1), shortcut_removal=removal)
    assert not same(weights_of(student), weights_of(network(2, False)))
    assert all(np.array_equal(weights.weights_of(given)[name], value) for name, value in before.items())


def test_a_training_from_another_start_is_not_gone_on_with(dataset, tmp_path):
    """Where the weights lie makes no difference: a file may move."""
    settings, given = dataclasses.replace(SETTINGS, epochs=1), [one_block(1), one_block(3)]
    serialization.save_model(given[0], tmp_path / "moved.keras")

    def trained(**options):
        student, removal = one_block(2, shortcuts=False), shortcut_removal.make("layerwise", **options)
        trainer.train(student, dataset, settings, shortcut_removal=removal, folder=tmp_path, label="net")
        return weights_of(student)

    first = trained(start_from=given[0])
    assert same(trained(start_from=str(tmp_path / "moved.keras")), first)
    with pytest.raises(ValueError, match="was 'layerwise from weights .*' and is 'layerwise from weights"):
        trained(start_from=given[1])
    with pytest.raises(ValueError, match="shortcut_removal was 'layerwise from .*' and is 'layerwise:fade"):
        trained(start_from=given[0], fade_start=0.1)


def test_a_start_is_written_as_its_path():
    spec = "layerwise:start_from=runs/first/teacher.keras"
    assert shortcut_removal.format_spec(shortcut_removal.parse_spec(spec)) == spec
    removal = shortcut_removal.make("layerwise", start_from=network(1, True))
    with pytest.raises(ValueError, match="start_from is the model 'resnet8', .*give the path of its file"):
        shortcut_removal.format_spec(removal)


def test_a_start_that_is_no_twin_is_refused(tmp_path):
    student = network(2, False)
    serialization.save_model(keras_kd.cifar_resnet(8, (8, 8, 3), 4, width=8), tmp_path / "wide.keras")
    removal = shortcut_removal.make("layerwise", start_from=str(tmp_path / "wide.keras"))
    with pytest.raises(
        ValueError, match="needs a network to start from with the student's blocks and widths"
    ):
        removal.check(student, independent=False)
    with pytest.raises(FileNotFoundError, match="there is no file 'none.keras'"):
        shortcut_removal.parse_spec("layerwise:start_from=none.keras").check(student, independent=False)
    removal = shortcut_removal.make("layerwise", start_from=network(1, False))
    with pytest.raises(ValueError, match="needs a network to start from with shortcuts.*'stage1_block1'"):
        removal.check(student, independent=False)


class StopAt(keras.callbacks.Callback):
    """Ends the training before an epoch; None: never."""

    def __init__(self, epoch):
        super().__init__()
        self._epoch = epoch

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self._epoch:
            raise KeyboardInterrupt


@pytest.mark.parametrize("spec", ["blockwise", "tails"])
def test_the_teachers_layers_are_those_behind_its_sums(spec, rng):
    """In pre-activation blocks the convolution at the end of a plain block is within the residual one."""
    teacher, student = (keras_kd.wide_resnet(10, 1, (8, 8, 3), 4, shortcuts=each) for each in (True, False))
    removal = shortcut_removal.make(spec)
    removal.check(student, teacher, independent=False)
    names = [
        getattr(loss, "tail_layer", None) or loss.teacher_layer_name
        for _, loss in removal.terms(student, teacher, 9)
    ]
    assert all(name.endswith("_add") for name in names)


def test_cached_logits_are_taken_where_terms_ask_the_teacher_too(dataset):
    """They may be those of a control: only layers are asked of the teacher itself."""
    teacher, student = network(1, True), network(2, False)
    term = keras.distillation.FeatureDistillation("mse", "stage1_block1_out", "stage1_block1_out")
    distiller = keras_kd.Distiller(teacher, student, terms=[(0.0, term)], alpha=1.0, temperature=2.0)
    distiller.compile("sgd")
    images = np.random.default_rng(0).normal(size=(6, 8, 8, 3)).astype("float32")
    given = np.random.default_rng(1).normal(size=(6, 4)).astype("float32")
    found = distiller.evaluate(
        images, {"labels": np.arange(6) % 4, "teacher_logits": given}, verbose=0, return_dict=True
    )
    logits = keras.ops.convert_to_numpy(student(images, training=False))
    assert found["soft_loss"] == pytest.approx(np.mean(reference_kl(given, logits, 2.0)), rel=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("precision", "name"),
    [
        *(("mixed_bfloat16", name) for name in ("fade", "layerwise", "blockwise", "tails")),
        *(("mixed_float16", name) for name in ("fade", "merge")),
    ],
)
def test_ways_train_in_mixed_precision(dataset, precision, name):
    def trained(precision):
        keras.config.set_dtype_policy(precision)
        try:
            teacher, student = network(1, True), network(2, False)
            settings = dataclasses.replace(SETTINGS, precision=precision, epochs=1)
            removal = shortcut_removal.make(name)
            return trainer.distill(teacher, student, dataset, settings, shortcut_removal=removal).history
        finally:
            keras.config.set_dtype_policy("float32")

    found, exact = trained(precision), trained("float32")
    assert found.keys() == exact.keys()
    assert found["loss"] == pytest.approx(exact["loss"], rel=0.05)
    assert found.get("gate") == exact.get("gate")


@pytest.mark.parametrize(
    ("spec", "build"),
    [
        ("fade", one_block),
        *(
            pytest.param(spec, network if spec == "tails" else one_block, marks=pytest.mark.slow)
            for spec in ("layerwise", "merge", "tails")
        ),
    ],
)
def test_it_goes_on_bit_for_bit_where_it_was_stopped(dataset, tmp_path, spec, build):
    """Stopped after one epoch of three, while gates are open."""

    def trained(folder, stop_at=None):
        student = build(2, shortcuts=False)
        removal = shortcut_removal.parse_spec(spec)
        options = {"shortcut_removal": removal, "folder": folder, "callbacks": [StopAt(stop_at)]}
        trainer.distill(build(1, shortcuts=True), student, dataset, SETTINGS, **options)
        return weights_of(student)

    whole = trained(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "cut", stop_at=1)
    assert same(trained(tmp_path / "cut"), whole)
    assert same(trained(tmp_path / "cut"), whole)  # where nothing is left to train


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("fade:fade_start=0.8:fade_end=0.2", "fade_end must not lie before fade_start"),
        ("fade:fade_end=1.5", r"fade_end must lie in \[0, 1\]"),
        ("fade:fade_curve=sine", "fade_curve must be one of"),
        ("fade:fade_order=last_first", "fade_order must be one of"),
        ("layerwise:fade_curve=linear", "cuts each shortcut at once.* leave fade_curve out"),
        (
            "layerwise+tails:fade_order=input_first",
            "leave fade_order out. Received: fade_order='input_first'",
        ),
        ("blockwise:blockwise_weight=-1", r"blockwise_weight must lie in \[0, 1000000000\]"),
        ("merge:merge_pointwise=0", "merge_pointwise must be True or False"),
        ("fade:merge_pointwise=True", "has no option 'merge_pointwise': it has fade_start"),
        ("fad", "unknown shortcut_removal 'fad': did you mean 'fade'"),
        ("fade:0.5", "NAME:OPTION=VALUE"),
        ("none:fade_end=0.5", "has no option 'fade_end': it has none"),
        ("fade+layerwise", "'fade' and 'layerwise' cannot be combined"),
        ("merge+layerwise", "'layerwise' and 'merge' cannot be combined"),
        ("fade+fade", "'fade' and 'fade' cannot be combined"),
        ("none+fade", "'none' and 'fade' cannot be combined"),
        ("fade+", "unknown shortcut_removal ''"),
        ("fade+merge:tails_alpha=1", "has no option 'tails_alpha': it has fade_start"),
        ("fade:fade_end=0.5:fade_end=0.6", "fade_end is given twice"),
    ],
)
def test_wrong_specs_are_named(spec, message):
    with pytest.raises(ValueError, match=message):
        shortcut_removal.parse_spec(spec)


@pytest.mark.parametrize(
    "spec",
    [
        "none",
        "fade",
        "fade:fade_end=0.6:fade_order=input_first",
        "merge:merge_pointwise=True",
        "fade+merge+blockwise:fade_end=0.6:merge_pointwise=True:blockwise_weight=2.0",
    ],
)
def test_a_spec_round_trips(spec):
    assert shortcut_removal.format_spec(shortcut_removal.parse_spec(spec)) == spec


def test_combined_ways_do_what_each_does():
    """With open gates it is the residual twin with branches, in whatever order the ways are given."""
    plain, residual = network(2, False), network(2, True)
    network_in_training = shortcut_removal.make("merge+fade").start(plain, 9)
    expected = branches.with_branches(fading.with_fading_shortcuts(plain, [(9, 9)] * 3))
    images = np.random.default_rng(0).normal(size=(4, 8, 8, 3)).astype("float32")
    np.testing.assert_allclose(network_in_training(images), expected(images), atol=1e-5)
    for layer in expected.layers:  # without its branches it is the twin
        if layer.name.endswith("_identity_bn"):
            layer.gamma.assign(np.zeros(layer.gamma.shape))
    np.testing.assert_allclose(expected(images), residual(images), atol=1e-4)


def test_terms_look_at_what_the_fading_network_hands_on():
    """In pre-activation blocks that is the faded sum, which the student itself does not have."""
    teacher, student = (keras_kd.wide_resnet(10, 1, (8, 8, 3), 4, shortcuts=each) for each in (True, False))
    removal = shortcut_removal.make("fade+blockwise")
    terms = removal.terms(removal.start(student, 9, teacher), teacher, 9)
    assert [loss.student_layer_name for _, loss in terms] == [f"stage{i}_block1_fade" for i in (1, 2, 3)]


def test_blocks_fade_one_after_the_other_from_the_input():
    removal = shortcut_removal.make("fade", fade_start=0.1, fade_end=0.7, fade_order="input_first")
    assert removal.spans(3, 100) == [(10, 30), (30, 50), (50, 70)]
    assert shortcut_removal.make("layerwise", fade_end=0.8).spans(3, 100) == [(0, 0), (40, 40), (80, 80)]


def rescaled(twin):
    """The same blocks and weights, and another function: its images are scaled in the network."""
    images = keras.Input((8, 8, 3))
    scaled = keras.layers.Rescaling(0.5)(images)

    def call(layer, *args, **kwargs):
        args, kwargs = graph.replaced(images, scaled, (args, kwargs))
        return layer(*args, **kwargs)

    return keras.models.clone_model(twin, input_tensors=images, call_function=call)


@pytest.mark.parametrize(
    ("teacher", "message"),
    [
        (lambda: None, "needs .*, the student's residual twin. Received: teacher=None"),
        (lambda: keras_kd.cifar_resnet(8, (8, 8, 3), 4, width=8), "differ in .*conv"),
        (
            lambda: keras_kd.wide_resnet(10, 1, (8, 8, 3), 4),
            "needs a network to start from with the student's",
        ),
        (lambda: network(1, False), "with shortcuts, the student's residual twin.*'stage1_block1' has none"),
        (lambda: keras_kd.cifar_resnet(14, (8, 8, 3), 4, width=4), "differ in 'stage1_block2' .3 such"),
        (
            lambda: keras_kd.cifar_resnet(8, (8, 8, 3), 4, width=4, projection="conv"),
            "residual twin.*shortcut_bn",
        ),
        (lambda: rescaled(network(1, True)), "does not: its logits differ by .* take fade"),
    ],
)
def test_a_teacher_without_the_students_blocks_is_refused(teacher, message):
    with pytest.raises(ValueError, match=message):
        shortcut_removal.make("layerwise").start(network(2, False), 9, teacher())


@pytest.mark.parametrize(
    "build",
    [
        lambda **options: keras_kd.wide_resnet(10, 1, (8, 8, 3), 4, **options),
        lambda **options: keras_kd.imagenet_resnet(18, (32, 32, 3), 4, width=4, **options),
    ],
    ids=["wide_resnet", "imagenet_resnet"],
)
def test_layerwise_names_the_twins_that_it_begins_with(build):
    """Shortcuts with weights cannot be cut to the plain network; not every builder has others."""
    message = "have no weights: cifar_resnet or imagenet_resnet with projection='pad'; of a wide_resnet take"
    with pytest.raises(ValueError, match=f"{message} fade.* in 'stage.*shortcut"):
        shortcut_removal.make("layerwise").start(build(shortcuts=False), 9, build())


@pytest.mark.parametrize("name", ["blockwise", "tails", "fade+blockwise"])
@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda twin: keras_kd.cifar_resnet(14, (8, 8, 3), 4, width=4), "differ in 'stage1_block2' .3 such"),
        (
            lambda twin: network(1, False),
            "needs a teacher with shortcuts, .*'stage1_block1' has none",
        ),
        (lambda twin: fading.with_fading_shortcuts(twin, [(0, 9)] * 3), "needs a teacher with shortcuts"),
    ],
)
def test_a_teacher_that_is_no_residual_twin_is_refused(name, build, message):
    student = network(2, False)
    with pytest.raises(ValueError, match=message):
        shortcut_removal.make(name).check(student, build(student), independent=False)


@pytest.mark.parametrize("name", ["fade", "merge", "blockwise", "tails", "layerwise"])
def test_a_student_with_fading_shortcuts_of_its_own_is_refused(dataset, name):
    student = fading.with_fading_shortcuts(network(2, False), [(0, 9)] * 3)
    removal = shortcut_removal.make(name)
    with pytest.raises(ValueError, match="has fading shortcuts already: take .*remove_shortcuts of it"):
        removal.check(student, network(1, True), independent=False)
    with pytest.raises(ValueError, match="has fading shortcuts already"):
        trainer.train(student, dataset, SETTINGS, shortcut_removal=removal)


@pytest.mark.parametrize("removal", [None, shortcut_removal.NoRemoval()])
def test_so_is_one_that_would_be_trained_in_the_middle_of_fading(dataset, removal):
    """Nobody would be told of its gates; closed ones do no more than the plain network."""
    student = fading.with_fading_shortcuts(one_block(2, shortcuts=False), [(0, 9)])
    with pytest.raises(ValueError, match="has fading shortcuts already: .* Received: gates of 1.00"):
        trainer.train(student, dataset, SETTINGS, shortcut_removal=removal)
    with pytest.raises(ValueError, match="has fading shortcuts already"):
        trainer.distill(one_block(1), student, dataset, SETTINGS, shortcut_removal=removal)
    fading.fading_shortcuts(student)[0].step.assign(9)
    inputs.check_given(student, dataset, SETTINGS, removal)
