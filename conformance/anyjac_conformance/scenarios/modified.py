"""Scenarios: every function of the table, differentiated in every way."""

from __future__ import annotations

from ..scenario import Collection
from .tables.functions import FUNCTIONS
from .tables.modifiers import MODIFIERS

scenario = Collection()

for _function in FUNCTIONS:
    for _modifier in MODIFIERS:
        scenario.add(_modifier.scenario(_function))
