"""Variables, and the scope that keeps their values in a call. Reads backends and trees; knows no derivative."""
