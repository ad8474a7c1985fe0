"""The one training loop, the order of its batches, and what decides how it computes."""
