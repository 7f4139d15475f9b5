"""A client of Sandbar's API, typed from its document."""

from .api import Sandbar
from .transport import SandbarError

__all__ = ["Sandbar", "SandbarError"]
