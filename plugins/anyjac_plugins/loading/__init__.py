"""Plugins, found and loaded one at a time. Reads entry points and the environment; touches no array."""
