//! What the instances' words come to.

use std::fmt;

use super::ask::{Word, one_line};
use super::place::Place;
use crate::exit::Exit;

/// How well a cluster is; the words and numbers are those of monitoring plugins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Grade {
    Ok,
    Warning,
    Critical,
    Unknown,
}

impl fmt::Display for Grade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "OK",
            Self::Warning => "WARNING",
            Self::Critical => "CRITICAL",
            Self::Unknown => "UNKNOWN",
        })
    }
}

impl From<Grade> for Exit {
    fn from(grade: Grade) -> Self {
        match grade {
            Grade::Ok => Self::Good,
            Grade::Warning => Self::Bad,
            Grade::Critical => Self::Critical,
            Grade::Unknown => Self::Unknown,
        }
    }
}

/// An instance and its word, or why there is none.
pub(crate) type Asked = (Place, Result<Word, String>);

/// Whether an instance says that it is active.
pub(crate) fn is_active((_, word): &Asked) -> bool {
    matches!(word, Ok(word) if word.role == "active")
}

/// The grade, and one line that says why.
pub(crate) fn verdict(asked: &[Asked]) -> (Grade, String) {
    let (leaders, others): (Vec<&Asked>, Vec<&Asked>) = asked.iter().partition(|one| is_active(one));
    let leaders: Vec<(&Place, &Word)> =
        leaders.into_iter().filter_map(|(place, word)| Some((place, word.as_ref().ok()?))).collect();
    let (mut grade, first) = match leaders.as_slice() {
        [] => (Grade::Critical, Some("no instance is active".to_owned())),
        [(_, Word { held: Some(why), .. })] => (Grade::Warning, Some(one_line(why))),
        [_] => (Grade::Ok, None),
        several => (Grade::Critical, Some(format!("{} instances are active", several.len()))),
    };
    let mut parts: Vec<String> = first.into_iter().collect();
    parts.extend(leaders.iter().map(|(place, word)| leader(place, word)));
    for (place, word) in others {
        let (own, text) = standby(place, word, leaders.first().map(|(_, word)| *word));
        grade = own.max(grade);
        parts.push(text);
    }
    (grade, parts.join("; "))
}

fn leader(place: &Place, word: &Word) -> String {
    match word.epoch {
        Some(epoch) => format!("{} is active (epoch {epoch})", place.name),
        None => format!("{} is active", place.name),
    }
}

/// How an instance that is not active is to be seen; never worse than a warning, since another may be active.
fn standby(place: &Place, word: &Result<Word, String>, leader: Option<&Word>) -> (Grade, String) {
    let name = &place.name;
    let word = match word {
        Ok(word) => word,
        Err(why) => return (Grade::Warning, format!("{name} is missing: {why}")),
    };
    if let Some(why) = &word.config_held_back {
        return (Grade::Warning, format!("{name} does not take over: {}", one_line(why)));
    }
    if word.role != "standby" {
        return (Grade::Warning, format!("{name} is {}", word.role));
    }
    if let Some(why) = &word.config_refused {
        return (Grade::Warning, format!("{name} refuses the configuration: {}", one_line(why)));
    }
    let same =
        |leader: &Word| leader.config.is_empty() || word.config.is_empty() || leader.config == word.config;
    if !leader.is_none_or(same) {
        return (Grade::Warning, format!("{name} has another configuration"));
    }
    (Grade::Ok, format!("{name} stands by"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(name: &str, role: &str, config: &str) -> Asked {
        let epoch = (role == "active").then_some(7);
        let word = Word {
            instance: name.into(),
            role: role.into(),
            config: config.into(),
            epoch,
            ..Word::default()
        };
        (place(name), Ok(word))
    }

    fn place(name: &str) -> Place {
        Place { name: name.into(), address: "10.1.0.1".into(), port: 9101, alone: false }
    }

    fn away(name: &str) -> Asked {
        (place(name), Err("connection refused".into()))
    }

    #[track_caller]
    fn check(asked: &[Asked], expected: &str) {
        let (grade, text) = verdict(asked);
        assert_eq!(format!("{}: {text}", Exit::from(grade).code()), expected);
    }

    #[test]
    fn one_active_and_the_others_standing_by_is_well() {
        check(
            &[word("a", "active", "x"), word("b", "standby", "x")],
            "0: a is active (epoch 7); b stands by",
        );
        // An older version says nothing of its configuration.
        check(&[word("a", "active", "x"), word("b", "standby", "")], "0: a is active (epoch 7); b stands by");
        check(&[word("a", "active", "")], "0: a is active (epoch 7)");
    }

    #[test]
    fn a_standby_that_would_not_take_over_is_a_warning() {
        let active = || word("a", "active", "x");
        check(&[active(), away("b")], "1: a is active (epoch 7); b is missing: connection refused");
        check(&[active(), word("b", "held back", "x")], "1: a is active (epoch 7); b is held back");
        check(
            &[active(), word("b", "standby", "y")],
            "1: a is active (epoch 7); b has another configuration",
        );
    }

    #[test]
    fn a_catalog_that_is_being_reconciled_is_a_warning() {
        let (place, word) = word("a", "active", "x");
        let word = word.map(|word| Word { held: Some("the catalog has gone back".into()), ..word });
        check(&[(place, word)], "1: the catalog has gone back; a is active (epoch 7)");
    }

    #[test]
    fn none_or_two_active_is_critical() {
        check(
            &[word("a", "standby", "x"), away("b")],
            "2: no instance is active; a stands by; b is missing: connection refused",
        );
        check(
            &[word("a", "active", "x"), word("b", "active", "x")],
            "2: 2 instances are active; a is active (epoch 7); b is active (epoch 7)",
        );
    }
}
