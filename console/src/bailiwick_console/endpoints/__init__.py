"""The endpoints: which policies they have, how these stand, and a matrix of who may do what.

Holds: it shows what the API server lets the person read, and says which right is missing for the rest; what a cell says
is what `what-can` says.
"""
