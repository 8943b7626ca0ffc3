"""The scenarios, a module for each subject of the contract. Reads public names alone; touches no backend by itself.

In each module, `scenario` is the collection.
"""
