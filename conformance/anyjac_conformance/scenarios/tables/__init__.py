"""Functions and modifiers of which scenarios are multiplied. Reads the lab; states no clause itself."""
