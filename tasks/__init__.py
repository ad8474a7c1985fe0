"""The work: one folder a stage, and the rooms that several stages share."""
