"""Random programs with state, on every backend, against derivatives computed by hand-written rules.

``python -m tests.fuzz --seconds 3600`` goes on for an hour; `test_fuzz` runs a small fixed share of the same.
"""
