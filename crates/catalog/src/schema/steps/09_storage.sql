-- Step 9: which of a Storage and its cold spare serves (docs/cold-spare.md).
CREATE TABLE IF NOT EXISTS hf_storage (
    Director VARCHAR(128) NOT NULL,
    Name VARCHAR(128) NOT NULL,
    Spare VARCHAR(128) NOT NULL,
    Serving VARCHAR(128) NOT NULL,
    Epoch BIGINT NOT NULL,
    ChangedAt BIGINT NOT NULL,
    PRIMARY KEY (Director, Name)
);
