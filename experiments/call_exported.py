"""Asks an exported network about images, with TensorFlow and NumPy alone.

    python experiments/call_exported.py runs/distill-digits/saved_model images.npy

where the file holds uint8 `[n, height, width, channels]`.
"""

import json
import pathlib
import sys

import numpy as np
import tensorflow as tf

folder, images = pathlib.Path(sys.argv[1]), np.load(sys.argv[2])
serve = tf.saved_model.load(str(folder)).signatures["serving_default"]
answers = serve(image=tf.constant(images))
names = json.loads((folder / "metadata.json").read_text(encoding="utf-8"))["class_names"]
for probabilities in answers["probabilities"].numpy():
    print(names[probabilities.argmax()], f"{probabilities.max():.1%}")
