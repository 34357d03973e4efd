"""The explorer's shell as a process of its own, as `make shell` starts it."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).parents[3]


def said_by(code, cwd, root=ROOT):
    """What `answer` is, a JSON document, when a shell has run a cell of code. root: of the checkout."""
    cell = f"{textwrap.dedent(code)}\nimport json\nopen('answer.json', 'w').write(json.dumps(answer))"
    env = {**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{ROOT}", "IPYTHONDIR": str(cwd / "ipython"),
           "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
    process = subprocess.run([sys.executable, "-m", "experiments.desk", "-c", cell], cwd=cwd, env=env, text=True,
                             capture_output=True, timeout=400)
    assert (cwd / "answer.json").exists(), process.stdout + process.stderr
    return json.loads((cwd / "answer.json").read_text()), process.stdout + process.stderr
