"""How fast steps, surfaces and their parts are, beside other ways to compute them."""

from keras_kd.utils import quiet

quiet.install()
