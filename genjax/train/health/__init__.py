"""Health, in words: a monitor that runs with training, takes at most 2 % of its time, and says what is wrong.

finding    what is said                     judge    what is wrong, from numbers; the thresholds and their reasons
diversity  grids beside grids of real images: are samples too much alike?
pictures   are they near the data?          probes   model and images -> numbers, compiled
origin     what was first not finite        budget   when there is time for a probe
telling    what was said already            monitor  all of it beside a run
journal    where it is written              reading  what a run's folder holds of it
looked     what could be judged, and what not and why
"""

from genjax.train.health.finding import TITLES, Finding, found, share_of
from genjax.train.health.journal import Journal
from genjax.train.health.looked import verdict
from genjax.train.health.monitor import Monitor
from genjax.train.health.origin import replayer
from genjax.train.health.reading import Said, read_findings, still_open

__all__ = [
    "TITLES",
    "Finding",
    "Journal",
    "Monitor",
    "Said",
    "found",
    "read_findings",
    "replayer",
    "share_of",
    "still_open",
    "verdict",
]
