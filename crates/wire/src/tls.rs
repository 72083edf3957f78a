//! Which protection two ends agree on (spec/01 §4).

/// How much an end wants a kind of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Need {
    /// Not offered.
    #[default]
    No,
    /// Used if the peer can.
    Ok,
    /// The session fails without.
    Required,
}

impl Need {
    /// 0, 1 or 2.
    #[must_use]
    pub const fn number(self) -> u32 {
        self as u32
    }

    /// From a peer's number; what is above 2 counts as required.
    #[must_use]
    pub const fn from_number(number: u32) -> Self {
        match number {
            0 => Self::No,
            1 => Self::Ok,
            _ => Self::Required,
        }
    }
}

/// What an end announces in `tlspsk=` (spec/01 §4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct TlsNeeds {
    /// TLS with certificates.
    pub certificates: Need,
    /// TLS keyed by the shared secret.
    pub psk: Need,
}

impl TlsNeeds {
    /// No TLS of any kind.
    pub const CLEAR: Self = Self { certificates: Need::No, psk: Need::No };
    /// PSK welcome: what a fresh installation announces.
    pub const PSK: Self = Self { certificates: Need::No, psk: Need::Ok };

    /// From the directives TLS Enable, TLS Require and TLS PSK Enable.
    #[must_use]
    pub const fn from_directives(enable: bool, require: bool, psk: bool) -> Self {
        match (enable, require, psk) {
            (false, _, false) => Self::CLEAR,
            (false, false, true) => Self::PSK,
            (false, true, true) => Self { certificates: Need::No, psk: Need::Required },
            (true, false, false) => Self { certificates: Need::Ok, psk: Need::No },
            (true, false, true) => Self { certificates: Need::Ok, psk: Need::Ok },
            (true, true, false) => Self { certificates: Need::Required, psk: Need::No },
            (true, true, true) => Self { certificates: Need::Required, psk: Need::Required },
        }
    }

    /// The number on the wire: certificates + 100 × PSK; "one of the two required" is 202.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.certificates.number() + 100 * self.psk.number()
    }

    /// From the number on the wire.
    #[must_use]
    pub const fn from_number(number: u32) -> Self {
        Self { certificates: Need::from_number(number % 100), psk: Need::from_number(number / 100) }
    }

    /// Whether a session in clear is out of the question.
    #[must_use]
    pub const fn is_required(self) -> bool {
        matches!(self.certificates, Need::Required) || matches!(self.psk, Need::Required)
    }
}

/// What a session is protected with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum TlsKind {
    /// Nothing.
    #[default]
    Clear,
    /// TLS keyed by the shared secret.
    Psk,
    /// TLS with certificates.
    Certificates,
}

/// No protection that both ends can agree to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TlsMismatch {
    /// This end requires what the other does not offer.
    #[error("authorization problem: the peer did not advertise required TLS support")]
    RemoteLacks,
    /// The other end requires what this one does not offer.
    #[error("authorization problem: the peer requires TLS, which is not configured here")]
    LocalLacks,
}

/// The kind of early TLS between peers that both announce `tlspsk=` (spec/01 §4.3); certificates win.
///
/// # Errors
/// [`TlsMismatch`] when one side requires TLS and no kind is common.
pub fn choose_early(local: TlsNeeds, remote: TlsNeeds) -> Result<TlsKind, TlsMismatch> {
    if local.certificates > Need::No && remote.certificates > Need::No {
        Ok(TlsKind::Certificates)
    } else if local.psk > Need::No && remote.psk > Need::No {
        Ok(TlsKind::Psk)
    } else if local.is_required() {
        Err(TlsMismatch::RemoteLacks)
    } else if remote.is_required() {
        Err(TlsMismatch::LocalLacks)
    } else {
        Ok(TlsKind::Clear)
    }
}

/// The late decision by the `ssl=` numbers of both challenges (spec/01 §4.4); PSK is impossible there.
///
/// # Errors
/// [`TlsMismatch`] when one side requires TLS and the other has none, or this side requires PSK.
pub fn choose_late(local: TlsNeeds, remote_ssl: u32) -> Result<TlsKind, TlsMismatch> {
    let remote = TlsNeeds { certificates: Need::from_number(remote_ssl), psk: Need::No };
    choose_early(local, remote)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_follow_the_directives() {
        let number = |e, r, p| TlsNeeds::from_directives(e, r, p).number();
        assert_eq!(number(false, false, false), 0);
        assert_eq!(number(false, false, true), 100);
        assert_eq!(number(false, true, true), 200);
        assert_eq!(number(true, false, false), 1);
        assert_eq!(number(true, false, true), 101);
        assert_eq!(number(true, true, false), 2);
        assert_eq!(number(true, true, true), 202);
        for needs in [0, 1, 2, 100, 101, 200, 202] {
            assert_eq!(TlsNeeds::from_number(needs).number(), needs);
        }
    }

    #[test]
    fn early_choice() {
        let choose = |a, b| choose_early(TlsNeeds::from_number(a), TlsNeeds::from_number(b));
        assert_eq!(choose(100, 100), Ok(TlsKind::Psk));
        assert_eq!(choose(101, 101), Ok(TlsKind::Certificates));
        assert_eq!(choose(202, 1), Ok(TlsKind::Certificates));
        assert_eq!(choose(100, 0), Ok(TlsKind::Clear));
        assert_eq!(choose(100, 1), Ok(TlsKind::Clear));
        assert_eq!(choose(200, 0), Err(TlsMismatch::RemoteLacks));
        assert_eq!(choose(100, 2), Err(TlsMismatch::LocalLacks));
        assert_eq!(choose(2, 0), Err(TlsMismatch::RemoteLacks));
        assert_eq!(choose(1, 200), Err(TlsMismatch::LocalLacks));
    }

    #[test]
    fn late_choice_knows_certificates_only() {
        let choose = |a, b| choose_late(TlsNeeds::from_number(a), b);
        assert_eq!(choose(1, 1), Ok(TlsKind::Certificates));
        assert_eq!(choose(100, 0), Ok(TlsKind::Clear));
        assert_eq!(choose(200, 0), Err(TlsMismatch::RemoteLacks));
        assert_eq!(choose(0, 2), Err(TlsMismatch::LocalLacks));
    }
}
