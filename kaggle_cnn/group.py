"""Several processes, on one machine or on several, that train one network: which of them this one is.

What starts them says so in the environment. Nothing here needs Keras; learn.processes joins them.
"""

import os
from dataclasses import dataclass

from kaggle_cnn.errors import KcnnError

ADDRESS = "KERAS_DISTRIBUTION_JOB_ADDRESSES"  # the first process listens there, HOST:PORT
COUNT, RANK = "KERAS_DISTRIBUTION_NUM_PROCESSES", "KERAS_DISTRIBUTION_PROCESS_ID"
# Keras' own variables, those of a step of SLURM (not of a job, whose script runs once), those of Open MPI.
STARTERS = ((COUNT, RANK), ("SLURM_STEP_NUM_TASKS", "SLURM_PROCID"), ("OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"))


@dataclass(frozen=True)
class Group:
    """So many `processes`, of which this one has the number `rank`, from 0. The first alone writes files."""

    processes: int = 1
    rank: int = 0


def find_group() -> Group:
    """Return the group that this process is of; alone it is one of one. Raises KcnnError where the numbers of the
    environment make no sense."""
    for count, rank in STARTERS:
        if count in os.environ:
            values = os.environ[count], os.environ.get(rank, "")
            if not all(value.isdecimal() for value in values) or int(values[1]) >= int(values[0]):
                raise KcnnError(
                    f"{count} and {rank} should be a number of processes and the number of this one, from 0 on, got "
                    f"'{values[0]}' and '{values[1]}'",
                    "set both, or neither",
                )
            return Group(int(values[0]), int(values[1]))
    return Group()
