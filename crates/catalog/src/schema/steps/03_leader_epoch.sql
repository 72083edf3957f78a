-- Step 3: a change of the epoch is a change of a key: in PostgreSQL it waits for all writers, which hold the row for key
-- share, while a renewal, which changes no key, does not.
CREATE UNIQUE INDEX IF NOT EXISTS hf_leader_epoch ON hf_leader (Director, Epoch);
