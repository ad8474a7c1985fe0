"""Which stages does changed code leave as they are?

``verdicts``: a short run with the code before and with the code now, for each GPU stage that is
stale by code alone; ``earlier_code``: where the code that a result was made with is found.
"""
