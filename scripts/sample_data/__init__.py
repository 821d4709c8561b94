"""How the sample data in ``data/`` is made: real orders, and people who do not exist.

``python -m scripts.sample_data --lines FILE --names FOLDER --out data`` makes it; the same inputs
give the same files. ``data/README.md`` says what is real and what is made.
"""
