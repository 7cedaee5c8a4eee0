"""The `recommendations` section of the policy: how product lists are made."""

from typing import Annotated

from pydantic import Field

from include.policy.base import Section


class Als(Section):
    """Settings of implicit's alternating least squares."""

    factors: Annotated[int, Field(ge=1, le=1024)]
    regularization: Annotated[float, Field(ge=0)]
    alpha: Annotated[float, Field(gt=0)]
    iterations: Annotated[int, Field(ge=1, le=200)]


class Recommendations(Section):
    """How product lists are made."""

    half_life_days: Annotated[float, Field(gt=0)]
    list_length: Annotated[int, Field(ge=1, le=100)]
    als: Als
