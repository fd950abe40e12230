"""Health, in words: a monitor that runs with training, takes at most 2 % of its time, and says what is wrong.

finding          what is said               judge     what is wrong, from numbers; the thresholds and their reasons
diversity        grids beside grids of real images: are samples too much alike?
pictures         are they near the data?    probes    model and images -> numbers, compiled
first_nonfinite  what was first not finite  budget    when there is time for a probe
messages         what was said already      monitor   all of it beside a run
journal          where it is written        findings_file  what a run's folder holds of it
coverage         what could be judged, and what not and why
"""

from genjax.health.coverage import verdict
from genjax.health.finding import TITLES, Finding, found, share_of
from genjax.health.findings_file import Said, read_findings, still_open
from genjax.health.first_nonfinite import replayer
from genjax.health.journal import Journal
from genjax.health.monitor import Monitor

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
