"""What a start loads, and what it leaves alone."""

import subprocess
import sys


def test_kopf_does_not_bring_the_client_library() -> None:
    code = (
        "import sys, tiphys.handlers.watching, kopf\n"
        "assert 'kubernetes' not in sys.modules, 'it is loaded'\n"
        "import kubernetes.aio.config\n"  # whoever needs it has it
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
