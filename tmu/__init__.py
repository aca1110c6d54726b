"""Twin Machine Unlearning for image classifiers, as a pipeline."""

__version__ = "0.1.0"
