"""Who decided what, on which evidence?

``subject`` is what a review is of; ``requests`` makes one, once for each subject; ``report`` is
what its reviewer reads, ``markdown`` the same for terminals and Prefect's pages; ``store`` finds
reviews again; ``decisions`` checks a decision, claims it and carries it out, for a person or the
policy; ``signatures`` signs one and checks it; ``pending`` lists what waits for a decision.
"""
