"""What every test shares."""

import os
import signal

from hypothesis import settings

# Timings say nothing on a busy machine, and CI repeats what it found.
settings.register_profile("repeatable", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("repeatable")

# The libraries' telemetry is off, and nothing looks for a hub.
os.environ.update(
    OMP_WAIT_POLICY="passive",  # two workers on two cores: a thread that waits must not spin
    DO_NOT_TRACK="1",
    GX_ANALYTICS_ENABLED="false",
    PREFECT_SERVER_ANALYTICS_ENABLED="false",
    MLFLOW_DISABLE_TELEMETRY="true",
    HF_HUB_OFFLINE="1",
    HF_HUB_DISABLE_TELEMETRY="1",
)

# A job in the background ignores Ctrl-C, and so would every process that a test starts.
signal.signal(signal.SIGINT, signal.default_int_handler)
