"""What a study costs, before anything is submitted: GPU hours, wall time, memory, disk.

`Costs` answers for one training, one prediction or one base model with an `Estimate` that says what it rests on.
Light to import (no torch, no pandas): it runs whenever a workflow is loaded, and reads a file only when it
is asked about it. Formulas and constants: `formulas`; docs/planning.md says where they come from.
"""

from growthpace.planning.costs import Costs
from growthpace.planning.estimate import Estimate

__all__ = ["Costs", "Estimate"]
