"""The types of arrays that models, features and offers pass to one another."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

#: Of any size of number: codes and counts of lists are kept in as few bytes as will do.
Reals = NDArray[np.floating[Any]]
Integers = NDArray[np.integer[Any]]
