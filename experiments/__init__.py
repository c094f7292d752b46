"""Scripts, run as `python -m experiments.NAME --flag=value`."""

import os

# TensorFlow tells of every missing GPU library at start; what matters it raises.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
