"""The version, in one place: the build and ``obskit.__version__`` read it."""

__version__ = "0.1.0"
