-- Bacula's catalog, generation 1026, in its PostgreSQL spelling (spec/05 §2): the same tables, columns and types.
-- No foreign keys: there are none in any generation. Unset dates are NULL. What differs from Bacula's own text: File is
-- partitioned by ranges of jobs (its key holds the JobId therefore), and the trigram indexes of MetaEmail are left out,
-- since they need an extension.

CREATE TABLE Path (
    PathId SERIAL PRIMARY KEY,
    Path TEXT NOT NULL
);
ALTER TABLE Path ALTER COLUMN Path SET STATISTICS 1000;
CREATE UNIQUE INDEX path_name_idx ON Path (Path text_pattern_ops);

-- Further partitions are made as JobIds are drawn (partition.rs).
CREATE TABLE File (
    FileId BIGSERIAL NOT NULL,
    FileIndex INTEGER NOT NULL DEFAULT 0,
    JobId INTEGER NOT NULL,
    PathId INTEGER NOT NULL,
    Filename TEXT NOT NULL DEFAULT '',
    DeltaSeq SMALLINT NOT NULL DEFAULT 0,
    MarkId INTEGER NOT NULL DEFAULT 0,
    LStat TEXT NOT NULL,
    Md5 TEXT NOT NULL,
    PRIMARY KEY (FileId, JobId)
) PARTITION BY RANGE (JobId);
CREATE TABLE file_j0 PARTITION OF File FOR VALUES FROM (0) TO (10000);
CREATE TABLE file_j10000 PARTITION OF File FOR VALUES FROM (10000) TO (20000);
CREATE INDEX file_jpfid_idx ON File (JobId, PathId, Filename text_pattern_ops);

CREATE TABLE RestoreObject (
    RestoreObjectId SERIAL PRIMARY KEY,
    ObjectName TEXT NOT NULL,
    RestoreObject BYTEA NOT NULL,
    PluginName TEXT NOT NULL,
    ObjectLength INTEGER DEFAULT 0,
    ObjectFullLength INTEGER DEFAULT 0,
    ObjectIndex INTEGER DEFAULT 0,
    ObjectType INTEGER DEFAULT 0,
    FileIndex INTEGER DEFAULT 0,
    ObjectCompression INTEGER DEFAULT 0,
    JobId INTEGER
);
CREATE INDEX restore_jobid_idx ON RestoreObject (JobId);

CREATE TABLE Job (
    JobId SERIAL PRIMARY KEY,
    Job TEXT NOT NULL,
    Name TEXT NOT NULL,
    Type CHAR(1) NOT NULL,
    Level CHAR(1) NOT NULL,
    ClientId INTEGER DEFAULT 0,
    JobStatus CHAR(1) NOT NULL,
    SchedTime TIMESTAMP,
    StartTime TIMESTAMP,
    EndTime TIMESTAMP,
    RealEndTime TIMESTAMP,
    JobTDate BIGINT DEFAULT 0,
    VolSessionId INTEGER DEFAULT 0,
    VolSessionTime INTEGER DEFAULT 0,
    JobFiles INTEGER DEFAULT 0,
    JobBytes BIGINT DEFAULT 0,
    ReadBytes BIGINT DEFAULT 0,
    JobErrors INTEGER DEFAULT 0,
    JobMissingFiles INTEGER DEFAULT 0,
    PoolId INTEGER DEFAULT 0,
    FileSetId INTEGER DEFAULT 0,
    PriorJobId INTEGER DEFAULT 0,
    PurgedFiles SMALLINT DEFAULT 0,
    HasBase SMALLINT DEFAULT 0,
    HasCache SMALLINT DEFAULT 0,
    Reviewed SMALLINT DEFAULT 0,
    Comment TEXT,
    FileTable TEXT DEFAULT 'File',
    PriorJob TEXT DEFAULT '',
    RealStartTime TIMESTAMP,
    isVirtualFull SMALLINT DEFAULT 0,
    CompressRatio FLOAT DEFAULT 0,
    Rate FLOAT DEFAULT 0,
    LastReadStorageId INTEGER DEFAULT 0,
    LastReadDevice TEXT DEFAULT '',
    WriteStorageId INTEGER DEFAULT 0,
    WriteDevice TEXT DEFAULT '',
    StatusInfo TEXT DEFAULT '',
    Encrypted INTEGER DEFAULT 0
);
CREATE INDEX job_name_idx ON Job (Name text_pattern_ops);
CREATE INDEX job_jobtdate_idx ON Job (JobTDate);

CREATE TABLE JobHisto (
    JobId INTEGER,
    Job TEXT NOT NULL,
    Name TEXT NOT NULL,
    Type CHAR(1) NOT NULL,
    Level CHAR(1) NOT NULL,
    ClientId INTEGER DEFAULT 0,
    JobStatus CHAR(1) NOT NULL,
    SchedTime TIMESTAMP,
    StartTime TIMESTAMP,
    EndTime TIMESTAMP,
    RealEndTime TIMESTAMP,
    JobTDate BIGINT DEFAULT 0,
    VolSessionId INTEGER DEFAULT 0,
    VolSessionTime INTEGER DEFAULT 0,
    JobFiles INTEGER DEFAULT 0,
    JobBytes BIGINT DEFAULT 0,
    ReadBytes BIGINT DEFAULT 0,
    JobErrors INTEGER DEFAULT 0,
    JobMissingFiles INTEGER DEFAULT 0,
    PoolId INTEGER DEFAULT 0,
    FileSetId INTEGER DEFAULT 0,
    PriorJobId INTEGER DEFAULT 0,
    PurgedFiles SMALLINT DEFAULT 0,
    HasBase SMALLINT DEFAULT 0,
    HasCache SMALLINT DEFAULT 0,
    Reviewed SMALLINT DEFAULT 0,
    Comment TEXT,
    FileTable TEXT DEFAULT 'File',
    PriorJob TEXT DEFAULT '',
    RealStartTime TIMESTAMP,
    isVirtualFull SMALLINT DEFAULT 0,
    CompressRatio FLOAT DEFAULT 0,
    Rate FLOAT DEFAULT 0,
    LastReadStorageId INTEGER DEFAULT 0,
    LastReadDevice TEXT DEFAULT '',
    WriteStorageId INTEGER DEFAULT 0,
    WriteDevice TEXT DEFAULT '',
    StatusInfo TEXT DEFAULT '',
    Encrypted INTEGER DEFAULT 0
);
CREATE INDEX jobhisto_idx ON JobHisto (StartTime);

CREATE TABLE Location (
    LocationId SERIAL PRIMARY KEY,
    Location TEXT NOT NULL,
    Cost INTEGER DEFAULT 0,
    Enabled SMALLINT
);

CREATE TABLE LocationLog (
    LocLogId SERIAL PRIMARY KEY,
    Date TIMESTAMP,
    Comment TEXT NOT NULL,
    MediaId INTEGER DEFAULT 0,
    LocationId INTEGER DEFAULT 0,
    NewVolStatus TEXT NOT NULL CHECK (NewVolStatus IN ('Full', 'Archive', 'Append', 'Recycle', 'Purged', 'Read-Only', 'Disabled', 'Error', 'Busy', 'Used',
        'Cleaning', 'Scratch')),
    NewEnabled SMALLINT CHECK (NewEnabled IN (0, 1, 2))
);

CREATE TABLE Log (
    LogId SERIAL PRIMARY KEY,
    JobId INTEGER NOT NULL,
    Time TIMESTAMP,
    LogText TEXT NOT NULL
);
CREATE INDEX log_name_idx ON Log (JobId);

CREATE TABLE FileSet (
    FileSetId SERIAL PRIMARY KEY,
    FileSet TEXT NOT NULL,
    MD5 TEXT NOT NULL,
    CreateTime TIMESTAMP NOT NULL,
    Content TEXT DEFAULT ''
);
CREATE INDEX fileset_name_idx ON FileSet (FileSet text_pattern_ops);

CREATE TABLE JobMedia (
    JobMediaId SERIAL PRIMARY KEY,
    JobId INTEGER NOT NULL,
    MediaId INTEGER NOT NULL,
    FirstIndex INTEGER DEFAULT 0,
    LastIndex INTEGER DEFAULT 0,
    StartFile INTEGER DEFAULT 0,
    EndFile INTEGER DEFAULT 0,
    StartBlock BIGINT DEFAULT 0,
    EndBlock BIGINT DEFAULT 0,
    VolIndex INTEGER DEFAULT 0
);
CREATE INDEX job_media_job_id_media_id_idx ON JobMedia (JobId, MediaId);
CREATE INDEX job_media_media_id_idx ON JobMedia (MediaId);

CREATE TABLE FileMedia (
    JobId INTEGER NOT NULL,
    FileIndex INTEGER NOT NULL,
    MediaId INTEGER NOT NULL,
    BlockAddress BIGINT DEFAULT 0,
    RecordNo INTEGER DEFAULT 0,
    FileOffset BIGINT DEFAULT 0
);
CREATE INDEX file_media_idx ON FileMedia (JobId, FileIndex);

CREATE TABLE Media (
    MediaId SERIAL PRIMARY KEY,
    VolumeName TEXT NOT NULL,
    Slot INTEGER DEFAULT 0,
    PoolId INTEGER DEFAULT 0,
    MediaType TEXT NOT NULL,
    MediaTypeId INTEGER DEFAULT 0,
    LabelType INTEGER DEFAULT 0,
    FirstWritten TIMESTAMP,
    LastWritten TIMESTAMP,
    LabelDate TIMESTAMP,
    VolJobs INTEGER DEFAULT 0,
    VolFiles INTEGER DEFAULT 0,
    VolBlocks INTEGER DEFAULT 0,
    LastPartBytes BIGINT DEFAULT 0,
    VolMounts INTEGER DEFAULT 0,
    VolBytes BIGINT DEFAULT 0,
    VolABytes BIGINT DEFAULT 0,
    VolAPadding BIGINT DEFAULT 0,
    VolHoleBytes BIGINT DEFAULT 0,
    VolHoles INTEGER DEFAULT 0,
    VolType INTEGER DEFAULT 0,
    VolParts INTEGER DEFAULT 0,
    VolCloudParts INTEGER DEFAULT 0,
    VolErrors INTEGER DEFAULT 0,
    VolWrites BIGINT DEFAULT 0,
    VolCapacityBytes BIGINT DEFAULT 0,
    VolStatus TEXT NOT NULL CHECK (VolStatus IN ('Full', 'Archive', 'Append', 'Recycle', 'Purged', 'Read-Only', 'Disabled', 'Error', 'Busy', 'Used',
        'Cleaning', 'Scratch')),
    Enabled SMALLINT DEFAULT 1 CHECK (Enabled IN (0, 1, 2)),
    Recycle SMALLINT DEFAULT 0,
    ActionOnPurge SMALLINT DEFAULT 0,
    CacheRetention BIGINT DEFAULT 0,
    VolRetention BIGINT DEFAULT 0,
    VolUseDuration BIGINT DEFAULT 0,
    MaxVolJobs INTEGER DEFAULT 0,
    MaxVolFiles INTEGER DEFAULT 0,
    MaxVolBytes BIGINT DEFAULT 0,
    InChanger SMALLINT DEFAULT 0,
    StorageId INTEGER DEFAULT 0,
    DeviceId INTEGER DEFAULT 0,
    MediaAddressing SMALLINT DEFAULT 0,
    VolReadTime BIGINT DEFAULT 0,
    VolWriteTime BIGINT DEFAULT 0,
    EndFile INTEGER DEFAULT 0,
    EndBlock BIGINT DEFAULT 0,
    LocationId INTEGER DEFAULT 0,
    RecycleCount INTEGER DEFAULT 0,
    InitialWrite TIMESTAMP,
    ScratchPoolId INTEGER DEFAULT 0,
    RecyclePoolId INTEGER DEFAULT 0,
    Comment TEXT,
    Protected SMALLINT DEFAULT 0,
    UseProtect SMALLINT DEFAULT 0,
    VolEncrypted SMALLINT DEFAULT 0
);
CREATE UNIQUE INDEX media_volumename_id ON Media (VolumeName text_pattern_ops);
CREATE INDEX media_poolid_idx ON Media (PoolId);
CREATE INDEX media_storageid_idx ON Media (StorageId);

CREATE TABLE MediaType (
    MediaTypeId SERIAL PRIMARY KEY,
    MediaType TEXT NOT NULL,
    ReadOnly SMALLINT DEFAULT 0
);

CREATE TABLE Storage (
    StorageId SERIAL PRIMARY KEY,
    Name TEXT NOT NULL,
    AutoChanger INTEGER DEFAULT 0
);

CREATE TABLE Device (
    DeviceId SERIAL PRIMARY KEY,
    Name TEXT NOT NULL,
    MediaTypeId INTEGER NOT NULL,
    StorageId INTEGER NOT NULL,
    DevMounts INTEGER DEFAULT 0,
    DevReadBytes BIGINT DEFAULT 0,
    DevWriteBytes BIGINT DEFAULT 0,
    DevReadBytesSinceCleaning BIGINT DEFAULT 0,
    DevWriteBytesSinceCleaning BIGINT DEFAULT 0,
    DevReadTime BIGINT DEFAULT 0,
    DevWriteTime BIGINT DEFAULT 0,
    DevReadTimeSinceCleaning BIGINT DEFAULT 0,
    DevWriteTimeSinceCleaning BIGINT DEFAULT 0,
    CleaningDate TIMESTAMP,
    CleaningPeriod BIGINT DEFAULT 0
);

CREATE TABLE Pool (
    PoolId SERIAL PRIMARY KEY,
    Name TEXT NOT NULL,
    NumVols INTEGER DEFAULT 0,
    MaxVols INTEGER DEFAULT 0,
    UseOnce SMALLINT DEFAULT 0,
    UseCatalog SMALLINT DEFAULT 1,
    AcceptAnyVolume SMALLINT DEFAULT 0,
    CacheRetention BIGINT DEFAULT 0,
    VolRetention BIGINT DEFAULT 0,
    VolUseDuration BIGINT DEFAULT 0,
    MaxVolJobs INTEGER DEFAULT 0,
    MaxVolFiles INTEGER DEFAULT 0,
    MaxVolBytes BIGINT DEFAULT 0,
    MaxPoolBytes BIGINT DEFAULT 0,
    AutoPrune SMALLINT DEFAULT 0,
    Recycle SMALLINT DEFAULT 0,
    ActionOnPurge SMALLINT DEFAULT 0,
    PoolType TEXT CHECK (PoolType IN ('Backup', 'Copy', 'Cloned', 'Archive', 'Migration', 'Scratch')),
    LabelType INTEGER DEFAULT 0,
    LabelFormat TEXT NOT NULL,
    Enabled SMALLINT DEFAULT 1,
    ScratchPoolId INTEGER DEFAULT 0,
    RecyclePoolId INTEGER DEFAULT 0,
    NextPoolId INTEGER DEFAULT 0,
    MigrationHighBytes BIGINT DEFAULT 0,
    MigrationLowBytes BIGINT DEFAULT 0,
    MigrationTime BIGINT DEFAULT 0
);
CREATE INDEX pool_name_idx ON Pool (Name text_pattern_ops);

CREATE TABLE Client (
    ClientId SERIAL PRIMARY KEY,
    Name TEXT NOT NULL,
    Uname TEXT NOT NULL,
    AutoPrune SMALLINT DEFAULT 0,
    FileRetention BIGINT DEFAULT 0,
    JobRetention BIGINT DEFAULT 0,
    Plugins TEXT DEFAULT ''
);
CREATE UNIQUE INDEX client_name_idx ON Client (Name text_pattern_ops);

CREATE TABLE BaseFiles (
    BaseId BIGSERIAL PRIMARY KEY,
    BaseJobId INTEGER,
    JobId INTEGER NOT NULL,
    FileId BIGINT NOT NULL,
    FileIndex INTEGER DEFAULT 0
);
CREATE INDEX basefiles_jobid_idx ON BaseFiles (JobId);

CREATE TABLE UnsavedFiles (
    UnsavedId INTEGER PRIMARY KEY,
    JobId INTEGER NOT NULL,
    PathId INTEGER NOT NULL,
    Filename TEXT NOT NULL
);

CREATE TABLE Version (
    VersionId INTEGER NOT NULL
);

CREATE TABLE Counters (
    Counter TEXT NOT NULL PRIMARY KEY,
    MinValue INTEGER DEFAULT 0,
    MaxValue INTEGER DEFAULT 0,
    CurrentValue INTEGER DEFAULT 0,
    WrapCounter TEXT NOT NULL
);

CREATE TABLE CDImages (
    MediaId INTEGER NOT NULL PRIMARY KEY,
    LastBurn TIMESTAMP NOT NULL
);

CREATE TABLE PathHierarchy (
    PathId INTEGER NOT NULL PRIMARY KEY,
    PPathId INTEGER NOT NULL
);
CREATE INDEX pathhierarchy_ppathid ON PathHierarchy (PPathId);

CREATE TABLE PathVisibility (
    PathId INTEGER NOT NULL,
    JobId INTEGER NOT NULL,
    Size BIGINT DEFAULT 0,
    Files INTEGER DEFAULT 0,
    PRIMARY KEY (JobId, PathId)
);
CREATE INDEX pathvisibility_jobid ON PathVisibility (JobId);

CREATE TABLE Snapshot (
    SnapshotId SERIAL PRIMARY KEY,
    Name TEXT NOT NULL,
    JobId INTEGER DEFAULT 0,
    FileSetId INTEGER DEFAULT 0,
    CreateTDate BIGINT DEFAULT 0,
    CreateDate TIMESTAMP NOT NULL,
    ClientId INTEGER DEFAULT 0,
    Volume TEXT NOT NULL,
    Device TEXT NOT NULL,
    Type TEXT NOT NULL,
    Retention INTEGER DEFAULT 0,
    Comment TEXT
);
CREATE UNIQUE INDEX snapshot_idx ON Snapshot (Device, Volume, Name);

CREATE TABLE Status (
    JobStatus CHAR(1) NOT NULL PRIMARY KEY,
    JobStatusLong TEXT,
    Severity INT
);

CREATE TABLE TagJob (
    JobId INTEGER NOT NULL,
    Tag TEXT NOT NULL,
    PRIMARY KEY (JobId, Tag)
);

CREATE TABLE TagClient (
    ClientId INTEGER NOT NULL,
    Tag TEXT NOT NULL,
    PRIMARY KEY (ClientId, Tag)
);

CREATE TABLE TagMedia (
    MediaId INTEGER NOT NULL,
    Tag TEXT NOT NULL,
    PRIMARY KEY (MediaId, Tag)
);

CREATE TABLE TagObject (
    ObjectId INTEGER NOT NULL,
    Tag TEXT NOT NULL,
    PRIMARY KEY (ObjectId, Tag)
);

CREATE TABLE Object (
    ObjectId BIGSERIAL PRIMARY KEY,
    JobId INTEGER NOT NULL,
    Path TEXT NOT NULL,
    Filename TEXT NOT NULL,
    PluginName TEXT NOT NULL,
    FileIndex INTEGER NOT NULL DEFAULT 0,
    ObjectCategory TEXT NOT NULL,
    ObjectType TEXT NOT NULL,
    ObjectName TEXT NOT NULL,
    ObjectSource TEXT NOT NULL,
    ObjectUUID TEXT NOT NULL,
    ObjectSize BIGINT NOT NULL,
    ObjectStatus CHAR(1) NOT NULL DEFAULT 'U',
    ObjectCount INTEGER NOT NULL DEFAULT 1
);
CREATE INDEX object_jobid_idx ON Object (JobId);
CREATE INDEX object_category_idx ON Object (ObjectCategory);
CREATE INDEX object_type_idx ON Object (ObjectType);
CREATE INDEX object_name_idx ON Object (ObjectName);
CREATE INDEX object_source_idx ON Object (ObjectSource);
CREATE INDEX object_status_idx ON Object (ObjectStatus);

CREATE TABLE Events (
    EventsId SERIAL PRIMARY KEY,
    EventsCode TEXT NOT NULL,
    EventsType TEXT NOT NULL,
    EventsTime TIMESTAMP,
    EventsInsertTime TIMESTAMP DEFAULT now(),
    EventsDaemon TEXT DEFAULT '',
    EventsSource TEXT DEFAULT '',
    EventsRef TEXT DEFAULT '',
    EventsText TEXT NOT NULL
);
CREATE INDEX events_time_idx ON Events (EventsTime);

CREATE TABLE MetaEmail (
    EmailTenant TEXT,
    EmailOwner TEXT,
    EmailId TEXT,
    EmailTime TIMESTAMP,
    EmailTags TEXT,
    EmailSubject TEXT,
    EmailFolderName TEXT,
    EmailFrom TEXT,
    EmailTo TEXT,
    EmailCc TEXT,
    EmailInternetMessageId TEXT,
    EmailBodyPreview TEXT,
    EmailImportance TEXT,
    EmailConversationId TEXT,
    EmailIsRead SMALLINT,
    EmailIsDraft SMALLINT,
    EmailHasAttachment SMALLINT,
    EmailSize INTEGER,
    Plugin TEXT,
    FileIndex INTEGER,
    JobId INTEGER
);
CREATE INDEX meta_emailid ON MetaEmail (EmailId);
CREATE INDEX meta_emailjobid ON MetaEmail (JobId);

CREATE TABLE MetaAttachment (
    AttachmentTenant TEXT,
    AttachmentOwner TEXT,
    AttachmentName TEXT,
    AttachmentEmailId TEXT,
    AttachmentContentType TEXT,
    AttachmentIsInline SMALLINT,
    AttachmentSize INTEGER,
    Plugin TEXT,
    FileIndex INTEGER,
    JobId INTEGER
);
CREATE INDEX meta_attachmentemailid ON MetaAttachment (AttachmentEmailId);
CREATE INDEX meta_attachmentjobid ON MetaAttachment (JobId);

CREATE TABLE MalwareMD5 (MD5 CHAR(22));
CREATE INDEX malware_md5_idx ON MalwareMD5 (MD5);

CREATE TABLE MalwareSHA256 (MD5 CHAR(65));
CREATE INDEX malware_sha256_idx ON MalwareSHA256 (MD5);

CREATE TABLE FileEvents (
    Id BIGSERIAL PRIMARY KEY,
    Time TIMESTAMP DEFAULT now(),
    SourceJobId INTEGER,
    JobId INTEGER,
    FileIndex INTEGER,
    Type CHAR(1),
    Description TEXT,
    Severity INTEGER,
    Source TEXT
);
CREATE INDEX fileevents_jobid_idx ON FileEvents (JobId, FileIndex);
CREATE INDEX fileevents_sourcejobid_idx ON FileEvents (SourceJobId);

INSERT INTO Status (JobStatus, JobStatusLong, Severity) VALUES
    ('C', 'Created, not yet running', 15),
    ('R', 'Running', 15),
    ('B', 'Blocked', 15),
    ('T', 'Completed successfully', 10),
    ('W', 'Terminated normally with warnings', 25),
    ('E', 'Terminated with errors', 25),
    ('e', 'Non-fatal error', 20),
    ('f', 'Fatal error', 100),
    ('D', 'Verify found differences', 15),
    ('A', 'Canceled by user', 90),
    ('I', 'Incomplete Job', 25),
    ('F', 'Waiting for Client', 15),
    ('S', 'Waiting for Storage daemon', 15),
    ('m', 'Waiting for new media', NULL),
    ('M', 'Waiting for media mount', 15),
    ('s', 'Waiting for storage resource', 15),
    ('j', 'Waiting for job resource', 15),
    ('c', 'Waiting for client resource', 15),
    ('d', 'Waiting on maximum jobs', 15),
    ('t', 'Waiting on start time', 15),
    ('p', 'Waiting on higher priority jobs', 15),
    ('a', 'SD despooling attributes', 15),
    ('i', 'Doing batch insert file records', 15),
    ('l', 'Doing data despooling', 15),
    ('L', 'Committing data (last despool)', 15),
    ('q', 'Queued waiting for device', 15),
    ('u', 'Cloud upload', 15),
    ('w', 'Cloud download', 15);

INSERT INTO Version (VersionId) VALUES (1026);
