"""Helpers of tests in several folders, each in a file named for its subject."""
