"""Functions that are compiled or mapped. Reads transforms as functions with settings; computes no derivative itself."""
