"""What holds for every test is in these plugins; the last collects the examples of pages and docstrings."""

pytest_plugins = ["tests.setup.session", "tests.setup.lanes", "tests.setup.workers", "tests.setup.documents"]
