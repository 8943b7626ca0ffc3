"""Libraries of models on JAX, one a file. Reads their objects; knows nothing of how JAX differentiates."""
