-- What was used of Braze's rate limits (SQLite). Holds counts only.
CREATE TABLE limits (
    name TEXT PRIMARY KEY,           -- the company or workspace, and the endpoint
    used TEXT NOT NULL               -- JSON, see braze.rate_limiter.Budget
);
