import dataclasses
import json
import re

import keras
import numpy as np
import pytest

import keras_kd
from keras_kd import losses
from keras_kd.data import datasets
from keras_kd.distillation import shortcut_removal, teacher_cache
from keras_kd.models import graph
from keras_kd.training import callbacks, comparison, config, evaluation, inputs, trainer
from keras_kd.training.distributed import strategy
from tests.support.networks import adapted, resnet8, same, shaken, weights_of
from tests.support.networks import one_block as network

FAST = config.Settings(
    epochs=2, batch_size=24, learning_rate=0.1, strategy="none", weight_decay=1e-3, warmup_fraction=0.1
)


@pytest.fixture
def dataset(npz):
    return datasets.load(npz)


def test_training_learns_what_can_be_learnt(dataset, tmp_path):
    model = resnet8()
    settings = dataclasses.replace(FAST, epochs=12)
    trained = trainer.train(model, dataset, settings, folder=tmp_path, label="net")
    assert evaluation.evaluate(model, dataset)["accuracy"] > 0.9
    assert len(trained.history["loss"]) == 12
    assert trained.seconds > 0


def test_the_same_settings_train_the_same_network(dataset):
    models = [network(seed=3) for _ in range(2)]
    for model in models:
        trainer.train(model, dataset, FAST)
    assert same(*map(weights_of, models))
    other = network(seed=3)
    trainer.train(other, dataset, dataclasses.replace(FAST, seed=1))
    assert not same(weights_of(models[0]), weights_of(other))


def test_distilling_leaves_the_teacher_and_borrows_the_student(dataset, tmp_path):
    teacher, student = network(seed=1), network(seed=2, shortcuts=False)
    before = weights_of(teacher)
    trained = trainer.distill(teacher, student, dataset, FAST, alpha=0.5, folder=tmp_path, label="student")
    assert same(before, weights_of(teacher))
    assert all(kernel.regularizer is None for kernel in student.trainable_weights)
    assert trained.history["alpha"] == [0.5, 0.5]
    assert trained.history["temperature"] == [4.0, 4.0]


def test_what_is_likely_wrong_is_watched_however_a_training_is_done(dataset, monkeypatch):
    """On several hosts no `fit` of a Distiller adds the alarms."""

    class Given(Exception):  # noqa: N818
        pass

    def fit(*args, callbacks, **options):
        raise Given(*[type(each).__name__ for each in callbacks])

    monkeypatch.setattr(trainer, "fit", fit)
    with pytest.raises(Given, match="'DistillationAlarms', 'StopOnDivergence'"):
        trainer.distill(network(), network(seed=1), dataset, FAST, trust_teacher=True)
    with pytest.raises(Given, match=r"^\('StopOnDivergence'"):
        trainer.train(network(), dataset, FAST)


@pytest.mark.slow
def test_weights_of_a_losss_own_depend_on_the_seed_alone(dataset):
    histories = []
    for drawn_before in (0, 5):
        keras.utils.set_random_seed(2)
        teacher, student = network(seed=1), keras_kd.cifar_resnet(8, (8, 8, 3), 4, width=3)
        keras.utils.set_random_seed(drawn_before)
        settings = dataclasses.replace(FAST, epochs=1)
        terms = [losses.Hint("stage1_block1_out", "stage2_block1_out")]
        histories.append(
            trainer.distill(teacher, student, dataset, settings, terms=terms).history["hint_loss"]
        )
    assert histories[0] == histories[1]


def test_evaluate_is_the_float64_reference(dataset):
    model, teacher = network(seed=1), network(seed=2)
    measured = evaluation.evaluate(model, dataset, teacher=teacher, batch_size=7)
    x = ((dataset.test.images / 255 - dataset.mean) / dataset.std).astype("float32")
    logits, others = (m.predict(x, verbose=0).astype(np.float64) for m in (model, teacher))
    y = dataset.test.labels
    picked = np.log(np.sum(np.exp(logits), axis=1)) - logits[np.arange(len(y)), y]
    assert measured["loss"] == pytest.approx(picked.mean(), rel=1e-5)
    assert measured["accuracy"] == pytest.approx(np.mean(logits.argmax(1) == y))
    assert measured["agreement"] == pytest.approx(np.mean(logits.argmax(1) == others.argmax(1)))


def test_a_network_that_ends_in_softmax_is_trained_and_measured_by_its_logits(dataset):
    scores, other = network(seed=1), network(seed=1)
    ended = keras.Model(other.inputs[0], keras.layers.Softmax()(other.outputs[0]))
    expected, found = (trainer.train(each, dataset, FAST).history for each in (scores, ended))
    assert found == expected
    assert same(weights_of(scores), weights_of(other))
    x = ((dataset.test.images / 255 - dataset.mean) / dataset.std).astype("float32")
    own = keras.losses.SparseCategoricalCrossentropy()(dataset.test.labels, ended(x, training=False))
    assert evaluation.evaluate(ended, dataset)["loss"] == pytest.approx(float(own), rel=1e-5)


@pytest.mark.parametrize(
    "change",
    [
        {"decay": "decoupled"},
        {"schedule": "step", "clip_norm": 0.0},
        {"precision": "mixed_bfloat16", "augmentation": "crop"},
        {"warmup_fraction": 0.0, "momentum": 0.0},
    ],
    ids=str,
)
def test_every_recipe_trains(dataset, change):
    settings = dataclasses.replace(FAST, **change)
    with strategy.scope(settings):
        model = network()
    assert keras.config.dtype_policy().name == "float32"
    history = trainer.train(model, dataset, settings).history
    assert history["loss"][-1] < history["loss"][0]


def test_decoupled_decay_spares_batch_norm_and_biases(dataset):
    """The rate is so low that nothing moves but what decays."""
    settings = dataclasses.replace(FAST, decay="decoupled", weight_decay=1e5, learning_rate=1e-6)
    model = network()
    before = {weight.path: weight.numpy() for weight in model.trainable_weights}
    trainer.train(model, dataset, settings)
    for weight in model.trainable_weights:
        change = np.linalg.norm(weight.numpy() - before[weight.path])
        if weight.path.endswith("/kernel"):
            assert change > 0.1 * np.linalg.norm(before[weight.path]), weight.path
        else:
            assert change < 1e-4, weight.path


def test_a_loss_that_explodes_stops_the_run_and_keeps_what_was_saved(dataset, tmp_path):
    class Spoil(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                self.model.get_layer("logits").bias.assign(np.full(4, np.nan))

    settings = dataclasses.replace(FAST, epochs=5)
    with pytest.raises(
        callbacks.TrainingDivergedError, match=r"loss of 'net' is nan in epoch 2 .*lower learning rate"
    ):
        trainer.train(network(), dataset, settings, folder=tmp_path, label="net", callbacks=[Spoil()])
    with np.load(tmp_path / "checkpoints" / "net.1.npz") as saved:
        variables = [saved[name] for name in saved.files if name.startswith("variable")]
    assert len(variables) > len(network().weights)
    assert np.isfinite(np.concatenate([value.ravel() for value in variables])).all()
    assert len((tmp_path / "log.txt").read_text().splitlines()) == 1


def test_weights_that_explode_in_the_last_step_are_not_saved(dataset, tmp_path):
    class Spoil(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 2:
                self.model.get_layer("logits").bias.assign(np.full(4, np.nan))

    with pytest.raises(callbacks.TrainingDivergedError, match=r"nan in epoch 1 \(validation\)"):
        trainer.train(network(), dataset, FAST, folder=tmp_path, label="net", callbacks=[Spoil()])
    assert not (tmp_path / "checkpoints").exists()


def test_a_batch_that_replicas_cannot_share_is_refused(monkeypatch):
    class Strategy:
        num_replicas_in_sync = 3

    monkeypatch.setattr(strategy, "prepare", lambda settings: Strategy())
    with pytest.raises(
        ValueError, match="batch_size must be a multiple of the 3 replicas. Received: batch_size=64"
    ):
        strategy.scope(config.Settings()).__enter__()


def test_the_log_has_one_line_per_epoch(dataset, tmp_path):
    trainer.train(network(), dataset, FAST, folder=tmp_path, label="net")
    lines = (tmp_path / "log.txt").read_text().splitlines()
    assert len(lines) == 2
    assert re.match(
        r"net epoch 1/2 [\d.]+s accuracy=.* learning_rate=.* loss=.* val_accuracy=.* val_loss=", lines[0]
    )


def test_nothing_is_written_without_a_folder(dataset, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    npz_only = set(tmp_path.iterdir())
    trainer.train(network(), dataset, FAST)
    assert set(tmp_path.iterdir()) == npz_only


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": 2.5}, "epochs must be a whole number from 1 to 1000000. Received: epochs=2.5"),
        ({"schedule": "step", "warmup_fraction": 0.5}, "warm-up must end before"),
        ({"weight_decay": float("inf")}, "weight_decay must lie in"),
        ({"epochs": "1"}, "epochs must be a whole .* Received: epochs='1'"),
        ({"learning_rate": None}, "learning_rate must lie in"),
        ({"epochs": 0}, "epochs must be a whole number from 1 to 1000000. Received: epochs=0"),
        ({"learning_rate": 0.0}, "learning_rate must lie in"),
        ({"learning_rate": float("nan")}, "learning_rate must lie in"),
        ({"momentum": 1.5}, "momentum must lie in"),
        ({"weight_decay": float("nan")}, "weight_decay must lie in"),
        ({"clip_norm": -1.0}, "clip_norm must lie in"),
        ({"schedule": "linear"}, "schedule must be one of"),
        ({"precision": "float8"}, "precision must be one of"),
        ({"strategy": "tpu"}, "strategy must be one of"),
        ({"augmentation": "cutout"}, "unknown augmentation 'cutout'"),
        ({"optimizer": "adam"}, "optimizer must be one of sgd, adamw"),
        ({"ema": 1.0}, r"ema must lie in \[0, 1\)"),
        ({"label_smoothing": 1.0}, r"label_smoothing must lie in \[0, 1\)"),
        ({"accumulation_steps": 0}, "accumulation_steps must be a whole number from 1"),
        ({"early_stopping": 1.5}, "early_stopping must be a whole number from 0"),
        ({"seed": -1}, "seed must be a whole number"),
        ({"replicas": -1}, "replicas must be a whole number"),
        ({"replicas": 1.5}, "replicas must be a whole number"),
    ],
    ids=str,
)
def test_settings_name_what_is_wrong(change, message):
    with pytest.raises(ValueError, match=message):
        config.Settings(**change)


def test_settings_take_numbers_of_any_type():
    change = {"epochs": 3, "batch_size": 16, "learning_rate": 0.5, "momentum": 0.25, "seed": 2}
    types = (np.int64, np.int8, np.float32, np.float16, np.uint32)
    given = {name: kind(value) for (name, value), kind in zip(change.items(), types, strict=True)}
    settings = config.Settings(**given)
    assert json.dumps(dataclasses.asdict(settings)) == json.dumps(
        dataclasses.asdict(config.Settings(**change))
    )


def test_settings_that_earlier_versions_lack_are_written_where_they_say_something():
    assert FAST.as_dict().keys() & set(config.LATER) == set()
    assert dataclasses.replace(FAST, ema=0.9).as_dict() == {**FAST.as_dict(), "ema": 0.9}


def test_settings_can_be_written_down():
    assert config.Settings(**json.loads(json.dumps(dataclasses.asdict(FAST)))) == FAST


@pytest.fixture
def keep(dataset, tmp_path):
    def kept(teacher, settings=FAST, views=2, **options):
        plan = inputs.batch_schedule(dataset, settings, views)
        return teacher_cache.cache_logits(teacher, dataset, plan, tmp_path / "logits", **options)

    return kept


@pytest.mark.slow
@pytest.mark.parametrize("way", ["none", "fade+blockwise", "tails"])
def test_with_a_view_for_each_epoch_kept_logits_are_the_live_teacher(dataset, keep, way):
    build = resnet8 if way == "tails" else network
    teacher, removal = build(seed=1), shortcut_removal.parse_spec(way)
    settings = dataclasses.replace(FAST, epochs=3, augmentation="resized_crop+color_jitter+cutmix")
    students = [build(seed=2, shortcuts=False) for _ in range(2)]
    live, kept = (
        trainer.distill(
            teacher, student, dataset, settings, teacher_logits=logits, shortcut_removal=removal
        ).history
        for student, logits in zip(
            students, (None, keep(teacher, settings, views=3, dtype="float32")), strict=True
        )
    )
    assert live.keys() == kept.keys()
    for name, values in live.items():
        np.testing.assert_allclose(kept[name], values, rtol=1e-4, atol=1e-5, err_msg=name)
    for weight, other in zip(*map(weights_of, students), strict=True):
        np.testing.assert_allclose(weight, other, rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_several_teachers_are_cached_each_by_itself(dataset, keep):
    teachers = [network(seed=seed) for seed in (1, 5)]
    kept = [keep(each, dtype="float32") for each in teachers]
    students = [network(seed=2, shortcuts=False) for _ in range(2)]
    live, cached = (
        trainer.distill(
            teachers, student, dataset, FAST, teacher_weights=[3, 1], teacher_logits=logits
        ).history
        for student, logits in zip(students, (None, kept), strict=True)
    )
    assert live.keys() == cached.keys()
    for name, values in live.items():
        np.testing.assert_allclose(cached[name], values, rtol=1e-4, atol=1e-5, err_msg=name)
    with pytest.raises(ValueError, match="teacher 1: these are the logits of something else"):
        trainer.distill(teachers[::-1], network(), dataset, FAST, teacher_logits=kept)
    with pytest.raises(ValueError, match="logits of 2 teachers need a list of these"):
        trainer.distill(teachers[0], network(), dataset, FAST, teacher_logits=kept)


def test_kept_logits_teach_without_the_teacher(dataset, keep, monkeypatch):
    teacher = network(seed=1)
    kept = keep(teacher)

    as_it_is, asked = teacher.call, []

    def counting(inputs, **options):
        asked.append(len(inputs))
        return as_it_is(inputs, **options)

    monkeypatch.setattr(teacher, "call", counting)
    histories = [
        trainer.distill(teacher, network(seed=seed), dataset, FAST, teacher_logits=kept).history
        for seed in range(2)
    ]
    assert all(len(history["val_soft_loss"]) == 2 for history in histories)
    assert sum(asked) <= 2 * (1 + teacher_cache.PROBES)  # to know it again


def test_logits_of_another_teacher_or_training_are_refused(dataset, keep):
    kept = keep(network(seed=1))
    with pytest.raises(ValueError, match=r"logits of something else: teacher was '\w+' and is '\w+'"):
        trainer.distill(network(seed=2), network(), dataset, FAST, teacher_logits=kept)
    settings = dataclasses.replace(FAST, seed=1)
    with pytest.raises(ValueError, match="seed was 0 and is 1"):
        trainer.distill(network(seed=1), network(), dataset, settings, teacher_logits=kept)


@pytest.mark.slow
@pytest.mark.parametrize(
    "change", [{"images": "device"}, {"steps_per_execution": 3}, {"jit_compile": "on"}], ids=str
)
def test_what_makes_it_faster_does_not_change_it(dataset, change):
    teacher = network(seed=1)
    students = [network(seed=2, shortcuts=False) for _ in range(2)]
    histories = [
        trainer.distill(teacher, student, dataset, dataclasses.replace(FAST, **options)).history
        for student, options in zip(students, ({}, change), strict=True)
    ]
    for name, values in histories[0].items():
        np.testing.assert_allclose(histories[1][name], values, rtol=1e-4, atol=1e-5, err_msg=name)
    for weight, other in zip(*map(weights_of, students), strict=True):
        np.testing.assert_allclose(weight, other, rtol=1e-3, atol=1e-4)


def test_an_execution_does_not_reach_into_the_next_epoch(dataset):
    settings = dataclasses.replace(FAST, steps_per_execution=2)
    with pytest.raises(ValueError, match="must divide the 3 steps of an epoch. Received: 2"):
        trainer.train(network(), dataset, settings)


def test_terms_on_layers_see_images_wherever_they_lie(dataset):
    terms = [keras.distillation.FeatureDistillation("mse", "stage1_block1_out", "stage1_block1_out")]
    found = [
        trainer.distill(
            network(seed=1),
            network(seed=2),
            dataset,
            dataclasses.replace(FAST, images=images),
            terms=terms,
        ).history
        for images in ("host", "device")
    ]
    for name in ("loss", "feature_distillation_loss", "val_feature_distillation_loss"):
        np.testing.assert_allclose(found[1][name], found[0][name], rtol=1e-4, err_msg=name)


def distilled(teacher, dataset, term):
    """The Distiller of a training, as its callbacks see it."""
    seen = []

    class Watch(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            seen.append(self.model)

    settings = dataclasses.replace(FAST, epochs=1)
    watch = {"trust_teacher": True, "callbacks": [Watch()]}
    trainer.distill(teacher, resnet8(2), dataset, settings, terms=[term], **watch)
    return seen[0]


def check_folded_teacher(rng, teacher, distiller, left):
    """It computes the same at the layers that are asked, and but for some BatchNorms all are folded."""
    (term,) = distiller.terms.values()
    kinds = [each.name for each in distiller.teacher.layers if type(each) is keras.layers.BatchNormalization]
    assert kinds == left
    images = rng.normal(5, 3, (6, 8, 8, 3)).astype("float32")
    found, expected = (
        graph.feature_extractor(each, term.teacher_layers)(images, training=False)
        for each in (distiller.teacher, teacher)
    )
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, atol=1e-5 * np.abs(value).max(), err_msg=name)


@pytest.mark.parametrize(
    ("term", "left"),
    [
        (losses.AttentionTransfer(), []),
        pytest.param(losses.RelationalKnowledge(), [], marks=pytest.mark.slow),
        pytest.param(
            losses.Hint("stage2_block1_conv1", "stage2_block1_conv1"),
            ["stage2_block1_bn1"],
            marks=pytest.mark.slow,
        ),
        (keras.distillation.FeatureDistillation("mse", *2 * ["stem_conv"]), ["stem_bn"]),
    ],
    ids=["ends of stages", "the penultimate layer", "a convolution", "Keras's own"],
)
def test_a_teacher_is_folded_but_for_the_layers_that_are_asked(rng, dataset, term, left):
    teacher = shaken(resnet8(1))
    check_folded_teacher(rng, teacher, distilled(teacher, dataset, term), left)


def test_so_is_one_that_normalises_by_itself_and_ends_in_softmax(rng, dataset):
    scores = adapted()
    teacher = keras.Model(scores.input, keras.layers.Softmax(name="probabilities")(scores.output))
    term = losses.Hint("stage1_block1_out", "stage2_block1_out")
    check_folded_teacher(rng, teacher, distilled(teacher, dataset, term), [])


def test_terms_that_are_no_list_of_losses_are_refused_before_anything_is_trained(dataset, monkeypatch):
    def asked(*args, **options):
        raise AssertionError("something was measured or trained")

    for module, name in ((trainer.teacher_check, "check_teacher"), (trainer, "in_place_of")):
        monkeypatch.setattr(module, name, asked)
    for terms, message in (
        (losses.Dist(), r"^terms must be a list, of losses or pairs \(weight, loss\). Received: terms=<"),
        ([(1.0, "dist")], r"^each of the terms must be a keras.distillation.DistillationLoss or a pair "),
    ):
        with pytest.raises(ValueError, match=message):
            trainer.distill(network(seed=1), network(seed=2), dataset, FAST, terms=terms)
        with pytest.raises(ValueError, match=message):
            keras_kd.Distiller(network(seed=1), network(seed=2), terms=terms)
        networks = [network(seed=1), network(seed=2), network(seed=2)]
        with pytest.raises(ValueError, match=message):
            comparison.compare(*networks, dataset, FAST, terms=terms)


class OfScales(losses.FeatureTerm):
    """Looks at what is no output of a layer: the scales of the teacher's BatchNorm."""

    looks_at = "penultimate"

    def begin(self, teacher, student):
        self.scales = teacher.get_layer("stem_bn").gamma

    def compare(self, teacher, student):
        return keras.ops.mean(keras.ops.square(teacher - student), axis=-1)


class KerasOfScales(keras.distillation.LogitsDistillation):
    def validate_model_compatibility(self, teacher, student):
        self.scales = teacher.get_layer("stem_bn").gamma


@pytest.mark.parametrize("make", [OfScales, pytest.param(KerasOfScales, marks=pytest.mark.slow)])
def test_a_loss_of_ones_own_sees_the_teacher_itself(dataset, make, monkeypatch):
    monkeypatch.setitem(losses.NAMES, "of_scales", make)
    teacher, term = shaken(resnet8(1)), make()
    distilled(teacher, dataset, term)
    assert term.scales is teacher.get_layer("stem_bn").gamma


def test_images_stay_on_the_host_where_they_are_asked_to(dataset):
    assert not inputs.images_on_device(dataset, config.Settings(images="host"))
    assert inputs.images_on_device(dataset, config.Settings(images="device"))


def test_bytes_are_not_shared_between_hosts(dataset):
    settings = config.Settings(images="device", strategy="multiworker")
    with pytest.raises(ValueError, match="on several hosts images='device' is not possible"):
        inputs.images_on_device(dataset, settings)
    assert not inputs.images_on_device(dataset, dataclasses.replace(settings, images="auto"))
