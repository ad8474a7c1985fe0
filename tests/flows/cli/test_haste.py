"""Libraries that are loaded on use."""

import gc
import subprocess
import sys

from flows.cli.haste import in_haste, load_on_use


def run(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_an_import_costs_nothing_until_something_is_used() -> None:
    assert run(
        "import sys\n"
        "from flows.cli.haste import in_haste\n"
        "with in_haste():\n"
        "    import numpy as np\n"
        "    import pyarrow as pa\n"
        "    import pyarrow.parquet as pq\n"
        "    print('numpy._core' in sys.modules, 'pyarrow.lib' in sys.modules)\n"
        "print(np.arange(3).sum(), pa.array([1]).type, callable(pq.read_table))\n"
        "print('numpy._core' in sys.modules, 'pyarrow.lib' in sys.modules)\n"
        "import pyarrow.parquet\n"
        "print(pyarrow.parquet.read_table is pq.read_table, pa.Table is pyarrow.Table)\n"
        "from numpy import float32\n"
        "import numpy.linalg as linalg\n"
        "print(float32 is np.float32, linalg.norm([3, 4]))\n"
    ).splitlines() == ["False False", "3 int64 True", "True True", "True True", "True 5.0"]


def test_what_is_loaded_already_stays() -> None:
    before = sys.modules["subprocess"]
    load_on_use("subprocess")
    assert sys.modules["subprocess"] is before


def test_memory_is_looked_after_again_afterwards() -> None:
    assert run(
        "import gc\n"
        "from flows.cli.haste import in_haste\n"
        "with in_haste():\n"
        "    print(gc.isenabled())\n"
        "print(gc.isenabled())\n"
    ).split() == ["False", "True"]
    assert gc.isenabled()
    assert callable(in_haste)
