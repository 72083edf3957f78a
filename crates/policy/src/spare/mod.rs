//! A Storage and its cold spare (`Cold Spare For`): which of the two serves, and what it takes to let the other one serve.
//!
//! [`Standings`] says who serves; [`plan`] what a change of that moves, what is missing at the new place, and what speaks against
//! it. Of a pair exactly one serves, in a storage epoch that grows with each change (DESIGN §4 "Volumes").

mod plan;

pub use plan::{Blocker, Ground, Lack, Located, Missing, OnMissing, Side, SparePlan, plan};

use types::StorageEpoch;

/// Who serves of a Storage and its cold spare.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The Storage resource that jobs and Pools name.
    pub main: String,
    /// Its cold spare.
    pub spare: String,
    /// Which of them serves.
    pub serving: String,
    /// Grows whenever `serving` changes.
    pub epoch: StorageEpoch,
}

impl Standing {
    /// Of a pair whose place was never changed.
    #[must_use]
    pub fn first(main: &str, spare: &str) -> Self {
        Self {
            main: main.to_owned(),
            spare: spare.to_owned(),
            serving: main.to_owned(),
            epoch: StorageEpoch::FIRST,
        }
    }

    /// The one that does not serve.
    #[must_use]
    pub fn resting(&self) -> &str {
        if self.serving == self.main { &self.spare } else { &self.main }
    }

    /// Whether the main Storage serves.
    #[must_use]
    pub fn is_at_home(&self) -> bool {
        self.serving == self.main
    }

    /// After the other one has taken its place, above every epoch that is known.
    #[must_use]
    pub fn changed(&self, known: StorageEpoch) -> Self {
        Self { serving: self.resting().to_owned(), epoch: self.epoch.max(known).next(), ..self.clone() }
    }

    /// Why its resting Storage is not used, and how it is again.
    #[must_use]
    pub fn why_not(&self) -> String {
        let (resting, serving, epoch) = (self.resting(), &self.serving, self.epoch);
        let how = if self.is_at_home() {
            format!("it is the cold spare of \"{serving}\", which serves (storage epoch {epoch})")
        } else {
            format!("its cold spare \"{serving}\" serves (storage epoch {epoch})")
        };
        format!(
            "Storage \"{resting}\" is not used: {how}; \"storage activate={resting}\" lets it take the place"
        )
    }
}

/// The standings of all pairs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standings(Vec<Standing>);

impl Standings {
    /// Of the configuration's pairs (main, spare) and what the catalog has recorded. A spare that serves does so whatever the
    /// configuration says by now.
    #[must_use]
    pub fn new<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>, recorded: Vec<Standing>) -> Self {
        let mut standings = recorded;
        let mut configured: Vec<&str> = Vec::new();
        for (main, spare) in pairs {
            configured.push(main);
            match standings.iter_mut().find(|known| known.main == main) {
                Some(known) if known.is_at_home() => spare.clone_into(&mut known.spare),
                Some(_) => {}
                None => standings.push(Standing::first(main, spare)),
            }
        }
        // A pair that was dissolved at home is none any more.
        standings.retain(|known| !known.is_at_home() || configured.contains(&known.main.as_str()));
        Self(standings)
    }

    /// The pair that a Storage belongs to.
    #[must_use]
    pub fn of(&self, storage: &str) -> Option<&Standing> {
        self.0.iter().find(|standing| standing.main == storage || standing.spare == storage)
    }

    /// The Storage that serves in the place of this one: itself, when it belongs to no pair.
    #[must_use]
    pub fn serving_for<'a>(&'a self, storage: &'a str) -> &'a str {
        self.of(storage).map_or(storage, |standing| standing.serving.as_str())
    }

    /// The pair of a Storage that does not serve; none when it may be used.
    #[must_use]
    pub fn resting(&self, storage: &str) -> Option<&Standing> {
        self.of(storage).filter(|standing| standing.serving != storage)
    }

    /// All pairs.
    pub fn iter(&self) -> impl Iterator<Item = &Standing> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_pair_one_serves_for_both_names() {
        let standings = Standings::new([("sd1", "spare")], Vec::new());
        for name in ["sd1", "spare"] {
            assert_eq!(standings.serving_for(name), "sd1");
        }
        assert_eq!(standings.serving_for("sd2"), "sd2");
        assert!(standings.resting("sd1").is_none() && standings.resting("sd2").is_none());
        assert!(
            standings.resting("spare").unwrap().why_not().contains("cold spare of \"sd1\", which serves")
        );

        let moved = standings.of("spare").unwrap().changed(StorageEpoch(7));
        assert_eq!((moved.serving.as_str(), moved.epoch), ("spare", StorageEpoch(8)));
        let standings = Standings::new([("sd1", "spare")], vec![moved.clone()]);
        assert_eq!(standings.serving_for("sd1"), "spare");
        let why = standings.resting("sd1").unwrap().why_not();
        assert!(why.contains("its cold spare \"spare\" serves (storage epoch 8)"), "{why}");
        assert_eq!(moved.changed(StorageEpoch(2)).epoch, StorageEpoch(9));
    }

    #[test]
    fn a_spare_that_serves_outlasts_the_directive() {
        let away = Standing::first("sd1", "spare").changed(StorageEpoch::FIRST);
        for pairs in [vec![], vec![("sd1", "other")]] {
            let standings = Standings::new(pairs, vec![away.clone()]);
            assert_eq!(standings.serving_for("sd1"), "spare");
            assert!(standings.of("other").is_none());
        }
        let back = away.changed(StorageEpoch::FIRST);
        assert_eq!(Standings::new([], vec![back.clone()]), Standings::default());
        let other = Standings::new([("sd1", "other")], vec![back]);
        assert_eq!(other.of("other").map(|standing| standing.epoch), Some(StorageEpoch(3)));
    }
}
