"""Named points x faults: nothing is lost, and a way leads on from each."""
