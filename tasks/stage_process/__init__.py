"""stage_process."""
