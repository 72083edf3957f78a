-- Step 2: open attempts are what an activation looks for among all there ever were.
CREATE INDEX IF NOT EXISTS hf_attempt_state ON hf_attempt (State);
