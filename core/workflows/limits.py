"""Where runs end that would not end by themselves. Numbers are runs, steps and depth as stored."""

MAX_CHAIN = 8
MAX_STEPS = 100
MAX_LOST_LEASES = 10
RUNS_PER_RECORD_AND_HOUR = 60
# A batch that starts more runs of one workflow than this goes behind what people do by hand.
FLOOD = 200

DEPTH, CYCLE, RATE, STEPS = "depth", "cycle", "rate", "steps"
REASONS = {
    DEPTH: f"Stopped: a chain of more than {MAX_CHAIN} workflow runs.",
    CYCLE: "Stopped: this workflow had already run on this record in the same chain.",
    RATE: f"Stopped: more than {RUNS_PER_RECORD_AND_HOUR} runs of this workflow on one record in an hour.",
    STEPS: f"Stopped: more than {MAX_STEPS} steps in one run.",
}
