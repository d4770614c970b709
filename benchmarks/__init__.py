"""How fast: this project beside MySQL's own replication, on the same backlog, in the same run. `python -m benchmarks`.

run.py is the order of things; read it first. backlog.py writes what is to be caught up with, contenders.py are the two that
do, measure.py takes the time, processes.py what they cost, results.py makes medians, ratios and tables of it.
"""
