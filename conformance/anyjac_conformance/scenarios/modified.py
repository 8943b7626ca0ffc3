"""Scenarios: every function of the table, differentiated in every way."""

from __future__ import annotations

from ..functions import FUNCTIONS
from ..modifiers import MODIFIERS
from ..scenario import Collection

scenario = Collection()

for _function in FUNCTIONS:
    for _modifier in MODIFIERS:
        scenario.add(_modifier.scenario(_function))
