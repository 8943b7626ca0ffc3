"""Modules of PyTorch. Reads their parameters, buffers and code; knows nothing of how the core keeps Variables."""
