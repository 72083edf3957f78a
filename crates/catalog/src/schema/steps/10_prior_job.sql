-- Step 10: the copies of a job are looked for by their original, for each job of a restore and each candidate of a Copy Job.
CREATE INDEX IF NOT EXISTS hf_job_prior ON Job (PriorJobId);
