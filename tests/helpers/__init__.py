"""What tests of several folders need: each helper stands once, in a file that is named for its subject."""
