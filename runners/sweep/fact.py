"""Names of the facts that coordinators store with a trial, or with the study."""

METRICS, TRAINED, DETECTED, ORIGIN = "metrics", "train_digest", "detect_digest", "origin"
COORDINATOR, RETRY_OF, RESUMES = "coordinator", "retry_of", "goes_on_from"
SKIPPED, REASON, LOST = "skipped", "reason", "lost"
OVER_BUDGET = "over_budget"  # ms over the budget; above 0 is infeasible
BASE_MS = "base_ms"  # of the study: the base's median in the first session
COMMITS = "commits"  # of the study: the sources under which its times were taken
