"""The demonstration behind ``anyjac demo``: the resting state of a nerve membrane and its derivatives.

`hodgkin_huxley` is the model, `rest` the numbers, `report` their printing. They use anyjac as any user would.
"""
