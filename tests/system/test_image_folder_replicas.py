"""Two replicas that read a folder of images train as on the same images in memory."""

import pytest

from tests.support.image_folders import write_folder
from tests.support.processes import ROOT, run_python

SCRIPT = """
import sys
import keras
import numpy as np
import keras_kd
from keras_kd.data import datasets
from keras_kd.training import config, trainer
from keras_kd.training.distributed import strategy
from tests.support.image_folders import in_memory

settings = config.Settings(
    epochs=2, batch_size=24, strategy="mirrored", replicas=2, images="host", augmentation="crop_flip+mixup"
)
strategy.prepare(settings)
streamed = datasets.load(sys.argv[1], cache="memory")
weights = []
for dataset in (streamed, in_memory(streamed)):
    with strategy.scope(settings):
        keras.utils.set_random_seed(0)
        network = keras_kd.cifar_resnet(8, (8, 8, 3), 4, width=4)
    trainer.train(network, dataset, settings)
    weights.append(network.get_weights())
for one, other in zip(*weights):
    np.testing.assert_array_equal(one, other)
"""


@pytest.mark.slow
def test_they_end_with_the_same_weights(tmp_path):
    folder = write_folder(tmp_path / "photos")
    status, _, errors = run_python("-c", SCRIPT, str(folder), cwd=ROOT)
    assert status == 0, errors[-3000:]
