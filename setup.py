"""Packaging of keras_kd."""

import pathlib
import re

import setuptools

README = pathlib.Path(__file__).with_name("README.md")
PACKAGE = pathlib.Path(__file__).parent / "keras_kd" / "__init__.py"  # read, not imported

setuptools.setup(
    name="keras_kd",
    version=re.search(r'^__version__ = "(.+)"$', PACKAGE.read_text(encoding="utf-8"), re.M)[1],
    description="Knowledge distillation seen through residual networks, for Keras 3 and TensorFlow.",
    long_description=README.read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    packages=setuptools.find_packages(include=["keras_kd", "keras_kd.*"]),
    package_data={
        "keras_kd.reporting": ["templates/*", "plotly_js/*"],
        "keras_kd.study": ["studies/*.yaml"],
    },
    entry_points={"console_scripts": ["keras-kd = keras_kd.cli.main:main"]},
    python_requires=">=3.11",
    install_requires=[
        "absl-py>=2.1",
        "filelock>=4.0",
        "importlib_resources>=6.0",  # tensorflow-datasets imports it without declaring it
        "jinja2>=3.1",
        "keras>=3.15",
        "keras-tuner>=1.4.8",
        "matplotlib>=3.9",
        "numpy>=2.1",
        "pillow>=10.1",
        "plotly>=5.24",
        "pyyaml>=6.0",
        "rich>=13.7",
        "scikit-learn>=1.5",
        "scipy>=1.13",
        "tensorboard>=2.20",
        "tensorflow>=2.21",
        "tensorflow-datasets>=4.9.9",
    ],
    extras_require={
        "benchmark": ["torch>=2.6"],
        "cluster": ["ray>=2.40"],
        "docs": ["mkdocs>=1.6,<2", "mkdocs-material>=9.6", "mkdocstrings[python]>=0.27", "ruff>=0.6"],
        "jax": ["jax>=0.5"],
        "litert": ["ai-edge-litert>=2.1"],
        "onnx": ["onnx>=1.20", "onnxruntime>=1.23", "tf2onnx>=1.16"],
        "test": [
            "ai-edge-litert>=2.1",
            "import-linter>=2.1",
            "jax>=0.5",
            "onnx>=1.20",
            "onnxruntime>=1.23",
            "pytest>=8.2",
            "pytest-xdist>=3.6",
            "ray>=2.40",
            "ruff>=0.6",
            "tf2onnx>=1.16",
        ],
    },
)
