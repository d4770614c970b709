"""The main job, to be seen: `python -m demo` starts servers, writes orders on both sides at once, and compares the sides.

story.py is the order of events; read it first. orders.py is the work of a shop on one connection, load.py many of them on
one side; pulse.py measures latency; figures.py reads how far each direction is; screen.py draws it; compare.py judges.
"""
