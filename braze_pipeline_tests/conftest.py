"""How the property tests draw: the same examples each time, or new ones when they are to hunt."""

from hypothesis import settings

# What a change is judged by depends neither on luck nor on how fast a machine is; new cases are
# looked for with `make hunt`.
settings.register_profile("fixed", derandomize=True, deadline=None)
settings.register_profile("hunt", print_blob=True, deadline=None)
settings.load_profile("fixed")
