"""Code in an interpreter of its own, for what is decided when a module is imported first."""

import subprocess
import sys
import textwrap


def printed_by(code: str) -> str:
    """Run code in a new interpreter and return what it prints; the error of a run that fails is shown."""
    command = [sys.executable, "-c", textwrap.dedent(code)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout
