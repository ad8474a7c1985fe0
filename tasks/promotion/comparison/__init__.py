"""How do two models differ on the same records?

``comparison`` finds it out (metrics, slices, calibration, flipped records), ``headed`` does for
models with another head than classification, ``schema`` describes the result key by key,
``serving`` measures what serving costs, and ``page`` shows it all on one HTML page.
"""
