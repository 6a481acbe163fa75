from __future__ import annotations

import os
import subprocess
import sys

from packed import NAME, read_only, unpacked, write_real_models
from scripts.package import package

# what the zoo's own does
UTILS = """
def check_workflow(workflow, check_properties=False):
    workflow.initialize()
    if check_properties and workflow.check_properties():
        raise ValueError("properties")
    workflow.run()
    workflow.finalize()
"""


def test_the_zoos_tests_of_a_package_pass_in_a_clone_of_it(tmp_path):
    packed = package(str(write_real_models(tmp_path / "run/models")), str(tmp_path), NAME)
    root, tests = unpacked(packed, tmp_path / "models"), tmp_path / "ci/unit_tests"
    tests.mkdir(parents=True)
    (tests / "utils.py").write_text(UTILS)
    packed.with_name(f"test_{NAME}.py").rename(tests / f"test_{NAME}.py")
    environment = {**os.environ, "PYTHONPATH": str(tests), "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/mlruns.db"}
    with read_only(root):
        done = subprocess.run(
            [sys.executable, "-m", "unittest", f"test_{NAME}"], cwd=tmp_path, env=environment, capture_output=True, text=True
        )
    assert done.returncode == 0 and "Ran 3 tests" in done.stderr, done.stderr[-3000:]
