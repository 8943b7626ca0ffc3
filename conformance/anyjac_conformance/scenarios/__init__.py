"""The scenarios, one module for each subject of the contract. In each, `scenario` is the collection."""
