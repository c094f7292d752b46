"""What reading images from files costs a training, against the same images in memory.

    python -m experiments.benchmarks.image_folder --npz=cifar10.npz --folder=cifar10_files

writes the arrays of an .npz as a folder of JPEG files (if it is not there) and distils ResNet-56 into
plain-20 from memory, from files, and from the cache on disk, turn by turn; then it measures, each in a
process of its own, the time to the first batch and the resident memory after an epoch's batches, over
`--counts` files.
"""

import dataclasses
import json
import pathlib
import re
import statistics
import subprocess
import sys
import time

import keras
import numpy as np
from PIL import Image

import keras_kd
from keras_kd.cli import console
from keras_kd.cli.flags import COMMON, Group
from keras_kd.cli.main import call_command
from keras_kd.data import Split, datasets, image_decoding, sampling, tf_pipeline
from keras_kd.data.training_data import TrainingData
from keras_kd.utils import environment, files, folders, limits

WARM_UP = 3  # steps of a turn that are not timed: the pipeline starts

BATCH = 128

COUNTS = ("20000", "100000")


def define_flags(values):
    """Defines the flags on an `absl.flags.FlagValues`."""
    flags = Group(values, COMMON)
    flags.text("npz", None, "Arrays of 32x32 images, as CIFAR-10's.")
    flags.text("folder", None, "Where they are, or are written, as files.")
    flags.integer("steps", 20, "Timed steps of a turn.", limits.ROUNDS)
    flags.integer("rounds", 3, "Turns of each; the medians count.", limits.ROUNDS)
    flags.switch("photographs", False, "Also weigh decoding of photographs against a step at 224x224.")
    flags.texts("counts", list(COUNTS), "Numbers of files, for first batch and memory.")
    flags.text("out", "runs/benchmark_image_folder.json", "Where the numbers go.")


def main(values):
    """Does what the flags ask for."""
    if not all(count.isdecimal() and int(count) for count in values.counts):
        raise ValueError(f"--counts must be whole numbers above 0. Received: {','.join(values.counts)}")
    folder = there(values.folder, values.npz)
    found = {"machine": environment.machine(), "versions": environment.versions("tensorflow", "keras")}
    for name, numbers in measured(folder, values):
        found[name] = numbers
        files.write_json(found, values.out)  # what is measured is not lost with the next part
    print(json.dumps(found, indent=2))
    console.print_paths(result=values.out)


def measured(folder, values):
    """`(name, numbers)` of each part that the flags ask for, as soon as it is measured."""
    if values.rounds:
        yield "training", training(folder, values.steps, values.rounds)
    if values.photographs:
        yield "photographs", photographs()
    yield "reading", {count: reading(folder, count) for count in values.counts}


def there(folder, npz):
    """The path of a folder of images, which is written from an .npz where it is not there."""
    if folder is None:
        raise ValueError("--folder must be where the images are, or are to be written. Received: None")
    folder = pathlib.Path(folder)
    if not folder.exists():
        if npz is None:
            raise ValueError(f"--folder={folder} is not there: give --npz, and it is written")
        write(datasets.load(npz), folder)
    return folder


def write(dataset, folder):
    """The images of a dataset as `FOLDER/SPLIT/CLASS/NUMBER.jpg`."""
    with folders.replacing_folder(folder) as part:
        for name in ("train", "test"):
            split = getattr(dataset, name)
            for label in np.unique(split.labels):
                (part / name / f"class{label}").mkdir(parents=True)
            for number, (image, label) in enumerate(zip(split.images, split.labels, strict=True)):
                path = part / name / f"class{label}" / f"{number:05d}.jpg"
                Image.fromarray(image).save(path, quality=90)


def training(folder, steps, rounds):
    """`{source: {name: number}}`: milliseconds of a step and of reading its batch, shares of memory's speed.

    Of a step the medians of the turns. The processor's time is what counts where other work shares the
    machine: a step keeps all cores busy.
    """
    uncached = datasets.load(folder)
    train = Split(np.asarray(uncached.train.images), uncached.train.labels)
    sources = {
        "memory": dataclasses.replace(uncached, train=train),
        "files": uncached,
        "disk cache": datasets.load(folder, cache="disk", cache_dir=folder.parent / "image_cache"),
    }
    for part in np.array_split(np.arange(len(train.labels)), 100):  # fill the cache
        sources["disk cache"].train.images[part]
    step = distillation_step(uncached)
    turns = {name: [] for name in sources}
    for _ in range(rounds):
        for name, dataset in sources.items():
            turns[name].append(turn(dataset, step, steps))
    walls, cpus = ({name: [each[i] for each in turns[name]] for name in turns} for i in range(2))
    drawn = np.random.default_rng(0).integers(0, len(train.labels), (50, BATCH))
    images = {name: dataset.train.images for name, dataset in sources.items()}
    return {
        name: {
            "reading_cpu_ms": cpu_ms(lambda of=images[name]: [of[index] for index in drawn]) / len(drawn),
            "wall_ms": statistics.median(walls[name]),
            "cpu_ms": statistics.median(cpus[name]),
            "of_memory_wall": ratio(walls["memory"], walls[name]),
            "of_memory_cpu": ratio(cpus["memory"], cpus[name]),
        }
        for name in sources
    }


def ratio(of_memory, others):
    return statistics.median(a / b for a, b in zip(of_memory, others, strict=True))


def distillation_step(dataset):
    """A compiled training step, ResNet-56 to plain-20, of a batch."""
    import tensorflow as tf

    shape, classes = dataset.image_shape, dataset.num_classes
    teacher = keras_kd.cifar_resnet(56, shape, classes)
    distiller = keras_kd.Distiller(teacher, keras_kd.cifar_resnet(20, shape, classes, shortcuts=False))
    distiller.compile(
        optimizer=keras.optimizers.SGD(0.01, momentum=0.9),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    images, labels = next(iter(batches(dataset)))
    distiller.fit(images, labels, batch_size=BATCH, verbose=0)  # builds what a first step builds
    return tf.function(distiller.train_step, reduce_retracing=True)


def photographs():
    """Processor milliseconds an image at 224x224: of decoding photographs, and of a student's step."""
    import sklearn.datasets

    shipped = pathlib.Path(sklearn.datasets.__file__).parent / "images"
    paths = [shipped / name for name in ("china.jpg", "flower.jpg")] * 50
    student = keras.applications.MobileNetV3Small(weights=None, classes=10, classifier_activation=None)
    student.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    images, labels = np.zeros((32, 224, 224, 3), np.float32), np.zeros(32, np.int64)
    student.train_on_batch(images, labels)
    decoding = cpu_ms(lambda: [image_decoding.read(path, 224) for path in paths]) / len(paths)
    step = cpu_ms(lambda: [student.train_on_batch(images, labels) for _ in range(5)]) / (5 * 32)
    return {"size": "640x427", "decoding_ms": decoding, "student_step_ms": step}


def cpu_ms(function):
    """Milliseconds of the processor that a call takes."""
    start = time.process_time()
    function()
    return 1000 * (time.process_time() - start)


def batches(dataset):
    schedule = sampling.batch_schedule(dataset, BATCH, augmentation="crop_flip")
    return tf_pipeline.batches(TrainingData(dataset, schedule), epochs=10)


def turn(dataset, step, steps):
    """`(wall, processor)` milliseconds of a step."""
    for number, batch in enumerate(batches(dataset).take(WARM_UP + steps)):
        if number == WARM_UP:
            wall, cpu = time.perf_counter(), time.process_time()
        step(batch)
    return tuple(1000 * t / steps for t in (time.perf_counter() - wall, time.process_time() - cpu))


def reading(folder, count):
    """What `read_files` finds, in a process of its own."""
    code = f"from experiments.benchmarks import image_folder as it; it.read_files({str(folder)!r}, {count})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def read_files(folder, count):
    """Prints seconds to the first batch, and the most resident memory over an epoch, in megabytes."""
    folder = many(pathlib.Path(folder), int(count))
    start, cpu = time.perf_counter(), time.process_time()
    dataset = datasets.load(folder)
    print(f"fingerprint {dataset.fingerprint}", file=sys.stderr)  # which a training asks for
    stream = iter(batches(dataset))
    next(stream)
    first, first_cpu = time.perf_counter() - start, time.process_time() - cpu
    steps = len(dataset.train.labels) // BATCH
    for _ in range(steps - 1):
        next(stream)
    status = pathlib.Path("/proc/self/status").read_text()  # getrusage's maximum is also the parent's
    most = int(re.search(r"VmHWM:\s+(\d+) kB", status).group(1)) / 1024
    print(json.dumps({"first_batch_s": first, "first_batch_cpu_s": first_cpu, "resident_mb": most}))


def many(folder, count):
    """A folder with so many training files, links to those of another."""
    made = folder.parent / f"{folder.name}-{count}"
    if made.exists():
        return made
    names = sorted(path.relative_to(folder) for path in folder.glob("train/*/*"))
    with folders.replacing_folder(made) as part:
        for number in range(count):
            name = names[number % len(names)]
            path = part / name.with_name(f"{number:06d}.jpg")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.hardlink_to(folder / name)
    return made


if __name__ == "__main__":
    name = "python -m experiments.benchmarks.image_folder"
    sys.exit(call_command(sys.modules[__name__], name, sys.argv[1:]))
