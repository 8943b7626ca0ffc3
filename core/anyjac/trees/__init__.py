"""Pytrees, taken apart and put together. Reads registries of containers; knows no Variable."""

from .structure import TreeDef as TreeDef  # where pickles look for it that were made when this was a module
