"""The version of this distribution, read by the build backend."""

__version__ = "1.0.0"
