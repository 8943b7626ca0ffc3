"""Code in a new interpreter, for tests of a module's first import."""

import subprocess
import sys
import textwrap


def printed_by(code: str) -> str:
    """Run code in a new interpreter and return its output; the error of a failed run is shown."""
    command = [sys.executable, "-c", textwrap.dedent(code)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout
