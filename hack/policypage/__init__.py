"""What the page of the policy is made of: fields from the models, and the words that no model has.

Holds: nothing here writes; `generate_policy_reference` does, and holds what is there against it.
"""
