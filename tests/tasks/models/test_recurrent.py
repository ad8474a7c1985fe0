"""LSTMs."""

import torch

from tasks.models.recurrent import LstmReader, new_lstm


def test_forget_gates_begin_open() -> None:
    lstm = new_lstm(4, 6, 2, 0.0)
    for layer in range(2):
        bias = getattr(lstm, f"bias_hh_l{layer}").detach()
        assert bias[6:12].tolist() == [1.0] * 6
        assert float(bias[:6].abs().max()) < 0.5


def test_a_reader_reads_from_left_to_right() -> None:
    reader = LstmReader(4, 6)
    states = torch.rand(2, 5, 4)
    other = torch.cat([states[:, :3], torch.rand(2, 2, 4)], dim=1)
    first, second = (reader(one).last_hidden_state for one in (states, other))
    assert torch.allclose(first[:, :3], second[:, :3], atol=1e-6)
    assert not torch.allclose(first[:, 3:], second[:, 3:], atol=1e-3)
