"""Reports of a run: written, read, compared, shown as a page. Reads results; runs no scenario."""
