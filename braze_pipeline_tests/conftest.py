"""How the property tests draw: the same examples each time, or new ones when they are to hunt."""

from hypothesis import settings

# What a change is judged by does not depend on luck; new cases are looked for with `make hunt`.
settings.register_profile("fixed", derandomize=True)
settings.register_profile("hunt", print_blob=True)
settings.load_profile("fixed")
