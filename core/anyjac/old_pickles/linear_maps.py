"""What pickles look for in the module ``anyjac.linear_maps`` of then."""

from anyjac import Pullback, Pushforward

__all__ = ["Pullback", "Pushforward"]
