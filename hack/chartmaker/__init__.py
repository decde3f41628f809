"""What of the chart is generated: templates from the models, schema and README from the comments, the dashboard.

Holds: nothing here writes; `generate_chart` does, and holds what is there against it.
"""
