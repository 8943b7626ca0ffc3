"""NumPy's own functions for boxes: rules by function, and the protocols. Reads functions/; touches no pass backwards.

`dispatch` gives boxes NumPy's protocols; `table` says which function goes where; `moves`, `reductions`,
`computations` and `ufuncs` have the rules. `objects` and `in_place` stand where NumPy asks nobody.
"""
