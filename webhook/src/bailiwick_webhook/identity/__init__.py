"""Who calls, who is called about, and who acts.

Standing: below `http` and `pipeline`. `proof` is what the request authenticator asks; `subject` and `development`
answer it. `tokens` and `offline` say whose a service account's token is, `people` whose a person's; `certificates`
names enforcers, `apiuser` whom the API server has authenticated; `jwt` says only whether a token counts. Holds: an
enforcer's word about others counts only where the endpoint says `verification: Asserted`, or in development.
"""
