"""Derivatives held against finite differences. Reads runs of the function; takes no derivative from `derivatives`."""
