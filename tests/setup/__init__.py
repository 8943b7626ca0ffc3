"""The pytest plugins of this repository: settings of the session, lanes and tools, workers and memory, documents."""
