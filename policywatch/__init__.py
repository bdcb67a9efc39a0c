"""PolicyWatch: the shared floor of desk and daemon."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("policywatch")
except PackageNotFoundError:  # a checkout that was never installed
    __version__ = "0"
