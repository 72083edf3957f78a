-- Bacula's catalog, generation 1026, in its SQLite spelling (spec/05 §2 and §3).
-- No foreign keys: there are none in any generation. Unset dates are 0.

CREATE TABLE Path (
    PathId INTEGER PRIMARY KEY,
    Path TEXT DEFAULT ''
);
CREATE INDEX inx2 ON Path (Path);

CREATE TABLE File (
    FileId INTEGER PRIMARY KEY,
    FileIndex INTEGER DEFAULT 0,
    JobId INTEGER UNSIGNED NOT NULL,
    PathId INTEGER UNSIGNED NOT NULL,
    Filename TEXT NOT NULL DEFAULT '',
    DeltaSeq SMALLINT UNSIGNED DEFAULT 0,
    MarkId INTEGER UNSIGNED DEFAULT 0,
    LStat VARCHAR(255) NOT NULL,
    MD5 VARCHAR(255) NOT NULL
);
CREATE INDEX inx3 ON File (JobId);
CREATE INDEX file_jpf_idx ON File (JobId, PathId, Filename);

CREATE TABLE RestoreObject (
    RestoreObjectId INTEGER PRIMARY KEY,
    ObjectName TEXT DEFAULT '',
    RestoreObject TEXT DEFAULT '',
    PluginName TEXT DEFAULT '',
    ObjectLength INTEGER DEFAULT 0,
    ObjectFullLength INTEGER DEFAULT 0,
    ObjectIndex INTEGER DEFAULT 0,
    ObjectType INTEGER DEFAULT 0,
    FileIndex INTEGER DEFAULT 0,
    ObjectCompression INTEGER DEFAULT 0,
    JobId INTEGER UNSIGNED NOT NULL
);
CREATE INDEX restore_jobid_idx ON RestoreObject (JobId);

CREATE TABLE Job (
    JobId INTEGER PRIMARY KEY,
    Job VARCHAR(128) NOT NULL,
    Name VARCHAR(128) NOT NULL,
    Type CHAR(1) NOT NULL,
    Level CHAR(1) NOT NULL,
    ClientId INTEGER DEFAULT 0,
    JobStatus CHAR(1) NOT NULL,
    SchedTime DATETIME NOT NULL,
    StartTime DATETIME DEFAULT 0,
    EndTime DATETIME DEFAULT 0,
    RealEndTime DATETIME DEFAULT 0,
    JobTDate BIGINT UNSIGNED DEFAULT 0,
    VolSessionId INTEGER UNSIGNED DEFAULT 0,
    VolSessionTime INTEGER UNSIGNED DEFAULT 0,
    JobFiles INTEGER UNSIGNED DEFAULT 0,
    JobBytes BIGINT UNSIGNED DEFAULT 0,
    ReadBytes BIGINT UNSIGNED DEFAULT 0,
    JobErrors INTEGER UNSIGNED DEFAULT 0,
    JobMissingFiles INTEGER UNSIGNED DEFAULT 0,
    PoolId INTEGER UNSIGNED DEFAULT 0,
    FileSetId INTEGER UNSIGNED DEFAULT 0,
    PriorJobId INTEGER UNSIGNED DEFAULT 0,
    PurgedFiles TINYINT DEFAULT 0,
    HasBase TINYINT DEFAULT 0,
    HasCache TINYINT DEFAULT 0,
    Reviewed TINYINT DEFAULT 0,
    Comment TEXT,
    FileTable TEXT DEFAULT 'File',
    PriorJob VARCHAR(128) DEFAULT '',
    RealStartTime DATETIME DEFAULT 0,
    isVirtualFull TINYINT DEFAULT 0,
    CompressRatio FLOAT DEFAULT 0,
    Rate FLOAT DEFAULT 0,
    LastReadStorageId INTEGER UNSIGNED DEFAULT 0,
    LastReadDevice TEXT DEFAULT '',
    WriteStorageId INTEGER UNSIGNED DEFAULT 0,
    WriteDevice TEXT DEFAULT '',
    StatusInfo TEXT DEFAULT '',
    Encrypted INTEGER DEFAULT 0
);
CREATE INDEX inx6 ON Job (Name);
CREATE INDEX job_jobtdate_inx ON Job (JobTDate);

CREATE TABLE JobHisto (
    JobId INTEGER,
    Job VARCHAR(128) NOT NULL,
    Name VARCHAR(128) NOT NULL,
    Type CHAR(1) NOT NULL,
    Level CHAR(1) NOT NULL,
    ClientId INTEGER DEFAULT 0,
    JobStatus CHAR(1) NOT NULL,
    SchedTime DATETIME NOT NULL,
    StartTime DATETIME DEFAULT 0,
    EndTime DATETIME DEFAULT 0,
    RealEndTime DATETIME DEFAULT 0,
    JobTDate BIGINT UNSIGNED DEFAULT 0,
    VolSessionId INTEGER UNSIGNED DEFAULT 0,
    VolSessionTime INTEGER UNSIGNED DEFAULT 0,
    JobFiles INTEGER UNSIGNED DEFAULT 0,
    JobBytes BIGINT UNSIGNED DEFAULT 0,
    ReadBytes BIGINT UNSIGNED DEFAULT 0,
    JobErrors INTEGER UNSIGNED DEFAULT 0,
    JobMissingFiles INTEGER UNSIGNED DEFAULT 0,
    PoolId INTEGER UNSIGNED DEFAULT 0,
    FileSetId INTEGER UNSIGNED DEFAULT 0,
    PriorJobId INTEGER UNSIGNED DEFAULT 0,
    PurgedFiles TINYINT DEFAULT 0,
    HasBase TINYINT DEFAULT 0,
    HasCache TINYINT DEFAULT 0,
    Reviewed TINYINT DEFAULT 0,
    Comment TEXT,
    FileTable TEXT DEFAULT 'File',
    PriorJob VARCHAR(128) DEFAULT '',
    RealStartTime DATETIME DEFAULT 0,
    isVirtualFull TINYINT DEFAULT 0,
    CompressRatio FLOAT DEFAULT 0,
    Rate FLOAT DEFAULT 0,
    LastReadStorageId INTEGER UNSIGNED DEFAULT 0,
    LastReadDevice TEXT DEFAULT '',
    WriteStorageId INTEGER UNSIGNED DEFAULT 0,
    WriteDevice TEXT DEFAULT '',
    StatusInfo TEXT DEFAULT '',
    Encrypted INTEGER DEFAULT 0
);
CREATE INDEX inx61 ON JobHisto (StartTime);

CREATE TABLE Location (
    LocationId INTEGER PRIMARY KEY,
    Location TEXT NOT NULL,
    Cost INTEGER DEFAULT 0,
    Enabled TINYINT
);

CREATE TABLE LocationLog (
    LocLogId INTEGER PRIMARY KEY,
    Date DATETIME NOT NULL,
    Comment TEXT NOT NULL,
    MediaId INTEGER UNSIGNED DEFAULT 0,
    LocationId INTEGER UNSIGNED DEFAULT 0,
    NewVolStatus VARCHAR(20) NOT NULL,
    NewEnabled TINYINT NOT NULL
);

CREATE TABLE Log (
    LogId INTEGER PRIMARY KEY,
    JobId INTEGER UNSIGNED NOT NULL,
    Time DATETIME NOT NULL,
    LogText TEXT NOT NULL
);
CREATE INDEX LogInx1 ON Log (JobId);

CREATE TABLE FileSet (
    FileSetId INTEGER PRIMARY KEY,
    FileSet VARCHAR(128) NOT NULL,
    MD5 VARCHAR(25) NOT NULL,
    CreateTime DATETIME DEFAULT 0,
    Content TEXT DEFAULT ''
);
CREATE INDEX fileset_name_idx ON FileSet (FileSet);

CREATE TABLE JobMedia (
    JobMediaId INTEGER PRIMARY KEY,
    JobId INTEGER UNSIGNED NOT NULL,
    MediaId INTEGER UNSIGNED NOT NULL,
    FirstIndex INTEGER UNSIGNED NOT NULL,
    LastIndex INTEGER UNSIGNED NOT NULL,
    StartFile INTEGER UNSIGNED DEFAULT 0,
    EndFile INTEGER UNSIGNED DEFAULT 0,
    StartBlock INTEGER UNSIGNED DEFAULT 0,
    EndBlock INTEGER UNSIGNED DEFAULT 0,
    VolIndex INTEGER UNSIGNED DEFAULT 0
);
CREATE INDEX inx7 ON JobMedia (JobId, MediaId);
CREATE INDEX inx71 ON JobMedia (MediaId);

CREATE TABLE FileMedia (
    JobId INTEGER UNSIGNED NOT NULL,
    FileIndex INTEGER UNSIGNED NOT NULL,
    MediaId INTEGER UNSIGNED NOT NULL,
    BlockAddress BIGINT UNSIGNED DEFAULT 0,
    RecordNo INTEGER UNSIGNED DEFAULT 0,
    FileOffset BIGINT UNSIGNED DEFAULT 0
);
CREATE INDEX file_media_idx ON FileMedia (JobId, FileIndex);

CREATE TABLE Media (
    MediaId INTEGER PRIMARY KEY,
    VolumeName VARCHAR(128) NOT NULL,
    Slot INTEGER DEFAULT 0,
    PoolId INTEGER UNSIGNED DEFAULT 0,
    MediaType VARCHAR(128) NOT NULL,
    MediaTypeId INTEGER UNSIGNED DEFAULT 0,
    LabelType TINYINT DEFAULT 0,
    FirstWritten DATETIME DEFAULT 0,
    LastWritten DATETIME DEFAULT 0,
    LabelDate DATETIME DEFAULT 0,
    VolJobs INTEGER UNSIGNED DEFAULT 0,
    VolFiles INTEGER UNSIGNED DEFAULT 0,
    VolBlocks INTEGER UNSIGNED DEFAULT 0,
    LastPartBytes BIGINT UNSIGNED DEFAULT 0,
    VolMounts INTEGER UNSIGNED DEFAULT 0,
    VolBytes BIGINT UNSIGNED DEFAULT 0,
    VolABytes BIGINT UNSIGNED DEFAULT 0,
    VolAPadding BIGINT UNSIGNED DEFAULT 0,
    VolHoleBytes BIGINT UNSIGNED DEFAULT 0,
    VolHoles INTEGER UNSIGNED DEFAULT 0,
    VolType INTEGER UNSIGNED DEFAULT 0,
    VolParts INTEGER UNSIGNED DEFAULT 0,
    VolCloudParts INTEGER UNSIGNED DEFAULT 0,
    VolErrors INTEGER UNSIGNED DEFAULT 0,
    VolWrites BIGINT UNSIGNED DEFAULT 0,
    VolCapacityBytes BIGINT UNSIGNED DEFAULT 0,
    VolStatus VARCHAR(20) NOT NULL,
    Enabled TINYINT DEFAULT 1,
    Recycle TINYINT DEFAULT 0,
    ActionOnPurge TINYINT DEFAULT 0,
    CacheRetention BIGINT UNSIGNED DEFAULT 0,
    VolRetention BIGINT UNSIGNED DEFAULT 0,
    VolUseDuration BIGINT UNSIGNED DEFAULT 0,
    MaxVolJobs INTEGER UNSIGNED DEFAULT 0,
    MaxVolFiles INTEGER UNSIGNED DEFAULT 0,
    MaxVolBytes BIGINT UNSIGNED DEFAULT 0,
    InChanger TINYINT DEFAULT 0,
    StorageId INTEGER UNSIGNED DEFAULT 0,
    DeviceId INTEGER UNSIGNED DEFAULT 0,
    MediaAddressing TINYINT DEFAULT 0,
    VolReadTime BIGINT UNSIGNED DEFAULT 0,
    VolWriteTime BIGINT UNSIGNED DEFAULT 0,
    EndFile INTEGER UNSIGNED DEFAULT 0,
    EndBlock INTEGER UNSIGNED DEFAULT 0,
    LocationId INTEGER UNSIGNED DEFAULT 0,
    RecycleCount INTEGER UNSIGNED DEFAULT 0,
    InitialWrite DATETIME DEFAULT 0,
    ScratchPoolId INTEGER UNSIGNED DEFAULT 0,
    RecyclePoolId INTEGER UNSIGNED DEFAULT 0,
    Comment TEXT,
    Protected TINYINT DEFAULT 0,
    UseProtect TINYINT DEFAULT 0,
    VolEncrypted TINYINT DEFAULT 0
);
CREATE UNIQUE INDEX Media_Volumename_Id ON Media (VolumeName);
CREATE INDEX inx8 ON Media (PoolId);
CREATE INDEX inx9 ON Media (StorageId);

CREATE TABLE MediaType (
    MediaTypeId INTEGER PRIMARY KEY,
    MediaType VARCHAR(128) NOT NULL,
    ReadOnly TINYINT DEFAULT 0
);

CREATE TABLE Storage (
    StorageId INTEGER PRIMARY KEY,
    Name VARCHAR(128) NOT NULL,
    AutoChanger TINYINT DEFAULT 0
);

CREATE TABLE Device (
    DeviceId INTEGER PRIMARY KEY,
    Name VARCHAR(128) NOT NULL,
    MediaTypeId INTEGER UNSIGNED NOT NULL,
    StorageId INTEGER UNSIGNED,
    DevMounts INTEGER UNSIGNED DEFAULT 0,
    DevReadBytes BIGINT UNSIGNED DEFAULT 0,
    DevWriteBytes BIGINT UNSIGNED DEFAULT 0,
    DevReadBytesSinceCleaning BIGINT UNSIGNED DEFAULT 0,
    DevWriteBytesSinceCleaning BIGINT UNSIGNED DEFAULT 0,
    DevReadTime BIGINT UNSIGNED DEFAULT 0,
    DevWriteTime BIGINT UNSIGNED DEFAULT 0,
    DevReadTimeSinceCleaning BIGINT UNSIGNED DEFAULT 0,
    DevWriteTimeSinceCleaning BIGINT UNSIGNED DEFAULT 0,
    CleaningDate DATETIME DEFAULT 0,
    CleaningPeriod BIGINT UNSIGNED DEFAULT 0
);

CREATE TABLE Pool (
    PoolId INTEGER PRIMARY KEY,
    Name VARCHAR(128) NOT NULL,
    NumVols INTEGER UNSIGNED DEFAULT 0,
    MaxVols INTEGER UNSIGNED DEFAULT 0,
    UseOnce TINYINT DEFAULT 0,
    UseCatalog TINYINT DEFAULT 1,
    AcceptAnyVolume TINYINT DEFAULT 0,
    CacheRetention BIGINT UNSIGNED DEFAULT 0,
    VolRetention BIGINT UNSIGNED DEFAULT 0,
    VolUseDuration BIGINT UNSIGNED DEFAULT 0,
    MaxVolJobs INTEGER UNSIGNED DEFAULT 0,
    MaxVolFiles INTEGER UNSIGNED DEFAULT 0,
    MaxVolBytes BIGINT UNSIGNED DEFAULT 0,
    MaxPoolBytes BIGINT UNSIGNED DEFAULT 0,
    AutoPrune TINYINT DEFAULT 0,
    Recycle TINYINT DEFAULT 0,
    ActionOnPurge TINYINT DEFAULT 0,
    PoolType VARCHAR(20) NOT NULL,
    LabelType TINYINT DEFAULT 0,
    LabelFormat VARCHAR(128) NOT NULL,
    Enabled TINYINT DEFAULT 1,
    ScratchPoolId INTEGER UNSIGNED DEFAULT 0,
    RecyclePoolId INTEGER UNSIGNED DEFAULT 0,
    NextPoolId INTEGER UNSIGNED DEFAULT 0,
    MigrationHighBytes BIGINT UNSIGNED DEFAULT 0,
    MigrationLowBytes BIGINT UNSIGNED DEFAULT 0,
    MigrationTime BIGINT UNSIGNED DEFAULT 0
);
CREATE UNIQUE INDEX pool_name_idx ON Pool (Name);

CREATE TABLE Client (
    ClientId INTEGER PRIMARY KEY,
    Name VARCHAR(128) NOT NULL,
    Uname VARCHAR(255) NOT NULL,
    AutoPrune TINYINT DEFAULT 0,
    FileRetention BIGINT UNSIGNED DEFAULT 0,
    JobRetention BIGINT UNSIGNED DEFAULT 0,
    Plugins TEXT DEFAULT ''
);
CREATE UNIQUE INDEX client_name_idx ON Client (Name);

CREATE TABLE BaseFiles (
    BaseId INTEGER PRIMARY KEY,
    BaseJobId INTEGER UNSIGNED NOT NULL,
    JobId INTEGER UNSIGNED NOT NULL,
    FileId INTEGER UNSIGNED NOT NULL,
    FileIndex INTEGER DEFAULT 0
);
CREATE INDEX basefiles_jobid_idx ON BaseFiles (JobId);

CREATE TABLE UnsavedFiles (
    UnsavedId INTEGER PRIMARY KEY,
    JobId INTEGER UNSIGNED NOT NULL,
    PathId INTEGER UNSIGNED NOT NULL,
    Filename TEXT NOT NULL
);

CREATE TABLE Version (
    VersionId INTEGER UNSIGNED NOT NULL
);

CREATE TABLE Counters (
    Counter TEXT NOT NULL PRIMARY KEY,
    MinValue INTEGER DEFAULT 0,
    MaxValue INTEGER DEFAULT 0,
    CurrentValue INTEGER DEFAULT 0,
    WrapCounter TEXT NOT NULL
);

CREATE TABLE CDImages (
    MediaId INTEGER UNSIGNED NOT NULL PRIMARY KEY,
    LastBurn DATETIME NOT NULL
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
    SnapshotId INTEGER PRIMARY KEY,
    Name TEXT NOT NULL,
    JobId INTEGER DEFAULT 0,
    FileSetId INTEGER DEFAULT 0,
    CreateTDate BIGINT DEFAULT 0,
    CreateDate DATETIME NOT NULL,
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
    JobStatusLong BLOB,
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
    ObjectId INTEGER PRIMARY KEY,
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
    EventsId INTEGER PRIMARY KEY,
    EventsCode TEXT NOT NULL,
    EventsType TEXT NOT NULL,
    EventsTime DATETIME,
    EventsInsertTime DATETIME DEFAULT CURRENT_TIMESTAMP,
    EventsDaemon TEXT NOT NULL,
    EventsSource TEXT NOT NULL,
    EventsRef TEXT NOT NULL,
    EventsText TEXT NOT NULL
);
CREATE INDEX events_time_idx ON Events (EventsTime);

CREATE TABLE MetaEmail (
    EmailTenant TEXT,
    EmailOwner TEXT,
    EmailId TEXT,
    EmailTime DATETIME,
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
    EmailIsRead TINYINT,
    EmailIsDraft TINYINT,
    EmailHasAttachment TINYINT,
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
    AttachmentIsInline TINYINT,
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
    Id INTEGER PRIMARY KEY,
    Time DATETIME DEFAULT CURRENT_TIMESTAMP,
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
