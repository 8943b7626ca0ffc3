"""One call, from arguments to results. Reads Variables through the scope; computes no derivative itself."""
