"""How property tests choose examples: the same each time, or new ones for `make hunt`."""

from hypothesis import settings

# The result of a test depends neither on luck nor on the speed of the machine; `make hunt` looks
# for new cases.
settings.register_profile("fixed", derandomize=True, deadline=None)
settings.register_profile("hunt", print_blob=True, deadline=None)
settings.load_profile("fixed")
