"""Functions of the namespace that autograd lacks or has otherwise. Reads traced arrays; knows nothing of rows."""
