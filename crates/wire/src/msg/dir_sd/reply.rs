//! An SD's answers.

use types::VolSession;

use crate::line_message;
use crate::scan::{self, Fields, MsgError};

line_message! {
    /// Answer to `JobId=`: the job's session and the key that its client must have.
    JobReply = "3000 OK Job " {
        "SDid" session_id: u32,
        "SDtime" session_time: u32,
        "Authorization" key: String,
    } "\n"
}

impl JobReply {
    /// The job's session.
    #[must_use]
    pub fn session(&self) -> VolSession {
        VolSession { id: self.session_id, time: self.session_time }
    }
}

line_message! {
    /// Answer to `use storage`: the device reserved. A 15 Director requires all three fields, others ignore the last two.
    UseDeviceReply = "3000 OK use device " {
        "device" device: String,
        "protect" protect: Option<bool>,
        "encrypt" encrypt: Option<bool>,
    } "\n"
}

/// `3000 OK label. VolBytes=… … Volume="…" Device=…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelReply {
    /// Bytes of the label.
    pub vol_bytes: u64,
    /// Aligned bytes.
    pub vol_a_bytes: u64,
    /// Kind of Volume (spec/03 §3.2).
    pub vol_type: u32,
    /// `UseProtect=` and `VolEncrypted=`, which a 15 Director requires.
    pub protection: Option<(bool, bool)>,
    /// Name.
    pub volume: String,
    /// As printed: `"Name" (path)`.
    pub device: String,
}

impl LabelReply {
    /// Reads the answer.
    ///
    /// # Errors
    /// Any other answer.
    pub fn parse(line: &[u8]) -> Result<Self, MsgError> {
        let rest = scan::after(line, "3000 OK label. ").ok_or_else(|| MsgError::unknown(line))?;
        let fields = Fields::new(rest);
        let volume: String = fields.get("Volume")?;
        let protection =
            match (fields.get::<Option<bool>>("UseProtect")?, fields.get::<Option<bool>>("VolEncrypted")?) {
                (Some(protect), Some(encrypted)) => Some((protect, encrypted)),
                _ => None,
            };
        Ok(Self {
            vol_bytes: fields.get("VolBytes")?,
            vol_a_bytes: fields.get("VolABytes")?,
            vol_type: fields.get("VolType")?,
            protection,
            volume: volume.trim_matches('"').to_owned(),
            device: fields.rest("Device").map(scan::text).unwrap_or_default(),
        })
    }

    /// The answer as it is sent.
    #[must_use]
    pub fn format(&self) -> Vec<u8> {
        let protection = match self.protection {
            Some((protect, encrypted)) => {
                format!(" UseProtect={} VolEncrypted={}", u8::from(protect), u8::from(encrypted))
            }
            None => String::new(),
        };
        format!(
            "3000 OK label. VolBytes={} VolABytes={} VolType={}{protection} Volume=\"{}\" Device={}\n",
            self.vol_bytes, self.vol_a_bytes, self.vol_type, self.volume, self.device
        )
        .into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_answers_of_both_ages() {
        for line in [
            "3000 OK label. VolBytes=201 VolABytes=0 VolType=1 Volume=\"Vol-1\" Device=\"FileDev1\" (/srv/vol)\n",
            "3000 OK label. VolBytes=201 VolABytes=0 VolType=1 UseProtect=0 VolEncrypted=0 Volume=\"Vol-1\" Device=\"F\" (/v)\n",
        ] {
            let reply = LabelReply::parse(line.as_bytes()).unwrap();
            assert_eq!(reply.volume, "Vol-1");
            assert_eq!(String::from_utf8(reply.format()).unwrap(), line);
        }
    }
}
