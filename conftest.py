"""What holds for every test is in these plugins; `documents` collects the examples of pages and docstrings."""

PLUGINS = ("session", "lanes", "greeting", "workers", "compilers", "documents")

pytest_plugins = [f"tests.setup.{name}" for name in PLUGINS]
