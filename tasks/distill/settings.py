"""The settings of ``distill``: how a student's loss is made of its labels and its teacher."""

from pydantic import Field

from tasks.contracts import settings as contract


class Settings(contract.Settings):
    """How much the teacher counts, and how even its answers are made."""

    temperature: float = Field(
        2.0, gt=0, description="both models' logits are divided by it where they are compared"
    )
    weight: float = Field(
        0.5,
        gt=0,
        le=1,
        description="share of the loss that is the teacher's; the rest, the labels'",
    )

    @property
    def reads_labels(self) -> bool:
        """Tell that the teacher has learnt the labels of its corpus."""
        return True
