-- Holdfast's own tables, beside Bacula's. Plain types that both databases read the same way.

CREATE TABLE hf_catalog (
    Uuid VARCHAR(32) NOT NULL PRIMARY KEY,
    CreatedAt BIGINT NOT NULL
);

-- One row per Director name: who is active, in which epoch.
CREATE TABLE hf_leader (
    Director VARCHAR(128) NOT NULL PRIMARY KEY,
    Holder VARCHAR(128) NOT NULL,
    Epoch BIGINT NOT NULL,
    ActivationId VARCHAR(32) NOT NULL,
    Renewal BIGINT NOT NULL DEFAULT 0,
    ActivatedAt BIGINT NOT NULL,
    ClaimedBy VARCHAR(128) NOT NULL DEFAULT '',
    Claim VARCHAR(32) NOT NULL DEFAULT '',
    Released INTEGER NOT NULL DEFAULT 0,
    Heir VARCHAR(128) NOT NULL DEFAULT ''
);

-- A change of the epoch is a change of a key: in PostgreSQL it waits for all writers, which hold the row for key share,
-- while a renewal, which changes no key, does not.
CREATE UNIQUE INDEX hf_leader_epoch ON hf_leader (Director, Epoch);

-- What a job is going to do, resolved at creation (DESIGN §2.4).
CREATE TABLE hf_plan (
    JobId BIGINT NOT NULL PRIMARY KEY,
    Format INTEGER NOT NULL,
    Body TEXT NOT NULL
);

-- Each start of a job. State: open, closed (gone or fenced), ended.
CREATE TABLE hf_attempt (
    JobId BIGINT NOT NULL,
    Attempt INTEGER NOT NULL,
    State VARCHAR(8) NOT NULL,
    Epoch BIGINT NOT NULL,
    Storage VARCHAR(128) NOT NULL DEFAULT '',
    VolSessionId BIGINT NOT NULL DEFAULT 0,
    VolSessionTime BIGINT NOT NULL DEFAULT 0,
    GrantedAt BIGINT NOT NULL,
    EndedAt BIGINT NOT NULL DEFAULT 0,
    JobFiles BIGINT NOT NULL DEFAULT 0,
    JobBytes BIGINT NOT NULL DEFAULT 0,
    ReadBytes BIGINT NOT NULL DEFAULT 0,
    JobErrors BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (JobId, Attempt)
);

-- Open attempts are what an activation looks for among all there ever were.
CREATE INDEX hf_attempt_state ON hf_attempt (State);

-- How far the journal of one attempt on one Storage is in the catalog.
CREATE TABLE hf_journal (
    JobId BIGINT NOT NULL,
    Attempt INTEGER NOT NULL,
    Storage VARCHAR(128) NOT NULL,
    Seq BIGINT NOT NULL,
    PRIMARY KEY (JobId, Attempt, Storage)
);

-- Requests of an SD and the answers that were decided for them.
CREATE TABLE hf_request (
    JobId BIGINT NOT NULL,
    Attempt INTEGER NOT NULL,
    Storage VARCHAR(128) NOT NULL,
    Seq BIGINT NOT NULL,
    Reply TEXT NOT NULL,
    PRIMARY KEY (JobId, Attempt, Storage, Seq)
);

-- The last state of a Volume that the catalog applied, by the SD's own sequence.
CREATE TABLE hf_volume (
    MediaId BIGINT NOT NULL PRIMARY KEY,
    LabelDate BIGINT NOT NULL DEFAULT 0,
    StateSeq BIGINT NOT NULL DEFAULT 0,
    WriteCounter BIGINT NOT NULL DEFAULT 0
);

-- Ranges of Volumes that no session of the catalog owns.
CREATE TABLE hf_unowned (
    MediaId BIGINT NOT NULL,
    StartAddr BIGINT NOT NULL,
    EndAddr BIGINT NOT NULL,
    JobId BIGINT NOT NULL,
    Attempt INTEGER NOT NULL,
    FoundAt BIGINT NOT NULL,
    PRIMARY KEY (MediaId, StartAddr)
);

-- Highest numbers ever given out, so that none is given out twice after rows were deleted.
CREATE TABLE hf_highwater (
    Name VARCHAR(32) NOT NULL PRIMARY KEY,
    Value BIGINT NOT NULL
);

-- Due runs (DESIGN §4 schedule ledger): each exactly once.
CREATE TABLE hf_due (
    Job VARCHAR(128) NOT NULL,
    Schedule VARCHAR(128) NOT NULL,
    RunLine INTEGER NOT NULL,
    DueAt BIGINT NOT NULL,
    JobId BIGINT NOT NULL DEFAULT 0,
    Outcome VARCHAR(16) NOT NULL,
    PRIMARY KEY (Job, Schedule, RunLine, DueAt)
);
CREATE INDEX hf_due_at ON hf_due (DueAt);

-- Up to when the due times of a pair were considered.
CREATE TABLE hf_watermark (
    Job VARCHAR(128) NOT NULL,
    Schedule VARCHAR(128) NOT NULL,
    Until BIGINT NOT NULL,
    PRIMARY KEY (Job, Schedule)
);

-- What an operator has set and a restart must keep.
CREATE TABLE hf_operator (
    Director VARCHAR(128) NOT NULL,
    Kind VARCHAR(32) NOT NULL,
    Name VARCHAR(255) NOT NULL,
    Value TEXT NOT NULL,
    SetAt BIGINT NOT NULL,
    PRIMARY KEY (Director, Kind, Name)
);

-- Starts and ends of scripts.
CREATE TABLE hf_script (
    JobId BIGINT NOT NULL,
    Attempt INTEGER NOT NULL,
    Script INTEGER NOT NULL,
    StartedAt BIGINT NOT NULL,
    EndedAt BIGINT NOT NULL DEFAULT 0,
    ExitCode INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (JobId, Attempt, Script)
);

-- The mark of each writer's last transaction, which tells whether a commit that had no answer was made.
CREATE TABLE hf_writer (
    Director VARCHAR(128) NOT NULL,
    Instance VARCHAR(128) NOT NULL,
    Mark VARCHAR(32) NOT NULL,
    PRIMARY KEY (Director, Instance)
);

-- Which of a Storage and its cold spare serves.
CREATE TABLE hf_storage (
    Director VARCHAR(128) NOT NULL,
    Name VARCHAR(128) NOT NULL,
    Spare VARCHAR(128) NOT NULL,
    Serving VARCHAR(128) NOT NULL,
    Epoch BIGINT NOT NULL,
    ChangedAt BIGINT NOT NULL,
    PRIMARY KEY (Director, Name)
);

-- The copies of a job are looked for by their original, for each job of a restore and each candidate of a Copy Job.
CREATE INDEX hf_job_prior ON Job (PriorJobId);

-- Number of Holdfast's own schema steps done.
CREATE TABLE hf_schema (
    Step INTEGER NOT NULL
);
