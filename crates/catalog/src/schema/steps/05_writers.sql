-- Step 5: the mark of each writer's last transaction, which tells whether a commit that had no answer was made.
CREATE TABLE IF NOT EXISTS hf_writer (
    Director VARCHAR(128) NOT NULL,
    Instance VARCHAR(128) NOT NULL,
    Mark VARCHAR(32) NOT NULL,
    PRIMARY KEY (Director, Instance)
);
