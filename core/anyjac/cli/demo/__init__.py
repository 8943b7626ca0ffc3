"""What ``anyjac demo`` shows: a membrane at rest, and its derivatives. Reads public names; touches nothing within.

`hodgkin_huxley` is the model, `rest` the numbers, `report` their printing. They use anyjac as any user would.
"""
