//! How the vocabulary is written in a stored plan: letters as in the catalog, times as Unix seconds.

macro_rules! letter_serde {
    ($($module:ident: $type:ty;)*) => {$(
        pub(super) mod $module {
            use serde::{Deserialize, Deserializer, Serializer, de::Error};

            pub(crate) fn serialize<S: Serializer>(value: &$type, out: S) -> Result<S::Ok, S::Error> {
                out.serialize_char(value.letter())
            }

            pub(crate) fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<$type, D::Error> {
                let letter = char::deserialize(input)?;
                <$type>::from_letter(letter)
                    .ok_or_else(|| D::Error::custom(format!("no {}: {letter:?}", stringify!($module))))
            }
        }
    )*};
}

letter_serde! {
    job_type: types::JobType;
    job_level: types::JobLevel;
    replace: types::Replace;
}

pub(super) mod timestamp {
    use serde::{Deserialize, Deserializer, Serializer};
    use types::Timestamp;

    pub(crate) fn serialize<S: Serializer>(value: &Timestamp, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_i64(value.0)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Timestamp, D::Error> {
        i64::deserialize(input).map(Timestamp)
    }
}

pub(super) mod timestamp_opt {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use types::Timestamp;

    pub(crate) fn serialize<S: Serializer>(value: &Option<Timestamp>, out: S) -> Result<S::Ok, S::Error> {
        value.map(|t| t.0).serialize(out)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Option<Timestamp>, D::Error> {
        Ok(Option::<i64>::deserialize(input)?.map(Timestamp))
    }
}

pub(super) mod vol_session {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use types::VolSession;

    pub(crate) fn serialize<S: Serializer>(value: &VolSession, out: S) -> Result<S::Ok, S::Error> {
        (value.id, value.time).serialize(out)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<VolSession, D::Error> {
        let (id, time) = <(u32, u32)>::deserialize(input)?;
        Ok(VolSession { id, time })
    }
}
