"""The edge towards kopf: it watches, and hands over each event. Beside `main` the only place that knows kopf.

Holds: handlers decide nothing and return None; they annotate nothing, finalize nothing, and write nothing.
"""
