"""The family of derivatives. Reads calls and a backend's products; touches Variables through the scope alone."""
