"""What anyjac asks of an array framework. Reads arrays through its namespace; knows no plugin and no Variable."""

from .backend import Backend as Backend  # where pickles look for it that were made when this was a module
