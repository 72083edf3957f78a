//! `Cloud` (spec/04 §2.15).

use std::time::Duration;

use crate::table::{Kind, resource, word_enum};

word_enum! {
    /// Which object storage.
    CloudDriver {
        /// S3.
        S3 = "S3";
        /// A directory, for tests.
        File = "File";
        /// Amazon's own driver.
        Amazon = "Amazon";
        /// Windows Azure.
        Was = "Was";
    }
}

word_enum! {
    /// How it is reached.
    CloudProtocol {
        /// With TLS.
        Https = "HTTPS";
        /// In the clear.
        Http = "HTTP";
    }
}

word_enum! {
    /// Where the bucket's name stands.
    UriStyle {
        /// In the host name.
        VirtualHost = "VirtualHost";
        /// In the path.
        Path = "Path";
    }
}

word_enum! {
    /// When the local cache is emptied.
    TruncateCache {
        /// By hand.
        No = "No";
        /// After each upload.
        AfterUpload = "AfterUpload";
        /// At the end of a job.
        AtEndOfJob = "AtEndOfJob";
    }
}

word_enum! {
    /// When parts are uploaded.
    Upload {
        /// By hand.
        No = "No";
        /// By hand.
        Manual = "Manual";
        /// Each part when it is full.
        EachPart = "EachPart";
        /// At the end of a job.
        AtEndOfJob = "AtEndOfJob";
    }
}

word_enum! {
    /// How soon archived objects are wanted back.
    TransferPriority {
        /// Soon.
        High = "High";
        /// Later.
        Medium = "Medium";
        /// Cheaply.
        Low = "Low";
    }
}

resource! {
    /// Object storage for Volumes.
    Cloud = Cloud "Cloud", pending {
        /// Which object storage.
        "Driver" => driver: CloudDriver = Kind::Words(CloudDriver::WORDS), required(), example("S3");
        /// How it is reached.
        "Protocol" => protocol: CloudProtocol = Kind::Words(CloudProtocol::WORDS), default("HTTPS");
        /// Host.
        "Host Name" => host_name: Option<String> = Kind::Str128;
        /// Bucket.
        "Bucket Name" => bucket_name: String = Kind::Str128, required(), example("backups");
        /// Region.
        "Region" => region: Option<String> = Kind::Str128;
        /// Access key.
        "Access Key" => access_key: Option<String> = Kind::Str128;
        /// Secret key.
        "Secret Key" => secret_key: Option<String> = Kind::Str128;
        /// Where the bucket's name stands.
        "Uri Style" => uri_style: UriStyle = Kind::Words(UriStyle::WORDS), default("VirtualHost");
        /// When the local cache is emptied.
        "Truncate Cache" => truncate_cache: TruncateCache = Kind::Words(TruncateCache::WORDS), default("No");
        /// When parts are uploaded.
        "Upload" => upload: Upload = Kind::Words(Upload::WORDS), default("No");
        /// Uploads at once.
        "Maximum Concurrent Uploads" => maximum_concurrent_uploads: u32 = Kind::Uint, default("3");
        /// Downloads at once.
        "Maximum Concurrent Downloads" => maximum_concurrent_downloads: u32 = Kind::Uint, default("3");
        /// Limit of uploads; 0 for none.
        "Maximum Upload Bandwidth" => maximum_upload_bandwidth: u64 = Kind::Speed, default("0");
        /// Limit of downloads; 0 for none.
        "Maximum Download Bandwidth" => maximum_download_bandwidth: u64 = Kind::Speed, default("0");
        /// Program of the driver.
        "Driver Command" => driver_command: Option<String> = Kind::Str128, since("11");
        /// How soon archived objects are wanted back.
        "Transfer Priority" => transfer_priority: TransferPriority = Kind::Words(TransferPriority::WORDS),
            default("High"), since("11");
        /// How long they then stay.
        "Transfer Retention" => transfer_retention: Duration = Kind::Time, default("5 days"), since("11");
        /// Class of new objects.
        "Storage Class" => storage_class: Option<String> = Kind::Str128, since("15");
    }
    also {
        /// Endpoint of another service.
        "Blob Endpoint" = Kind::Str128, since("11");
        /// Endpoint of another service.
        "File Endpoint" = Kind::Str128, since("11");
        /// Endpoint of another service.
        "Queue Endpoint" = Kind::Str128, since("11");
        /// Endpoint of another service.
        "Table Endpoint" = Kind::Str128, since("11");
        /// Suffix of endpoints.
        "Endpoint Suffix" = Kind::Str128, since("11");
    }
}
