//! Sessions that lie in each other on a Volume are read one after another.
//!
//! Jobs that were written at the same time have their blocks mixed. A client puts files together one at a time: a file whose records were
//! interrupted by those of another session would end there. So what a bootstrap selects is read in as few passes as keep
//! each session whole, in the bootstrap's order.

use std::collections::HashMap;

use types::VolAddr;
use volume::{Bsr, Section};

/// Where a session lies on a Volume: from its first wanted address to its last.
#[derive(Debug, Clone, Copy)]
struct Hull {
    start: VolAddr,
    end: VolAddr,
}

/// The sessions of one pass, by Volume.
type Hulls<'a> = HashMap<&'a str, Vec<(Session<'a>, Hull)>>;

/// What tells one session from another in a section.
type Session<'a> = (&'a [std::ops::RangeInclusive<u32>], &'a [u32]);

/// The parts of a bootstrap, each to be read in one pass.
pub(super) fn passes(bsr: &Bsr) -> Vec<Bsr> {
    let mut passes: Vec<Bsr> = Vec::new();
    let mut hulls = Hulls::new();
    for section in &bsr.sections {
        if passes.is_empty() || is_mixed(section, &hulls) {
            passes.push(Bsr::default());
            hulls.clear();
        }
        note(section, &mut hulls);
        if let Some(pass) = passes.last_mut() {
            pass.sections.push(section.clone());
        }
    }
    passes
}

fn session(section: &Section) -> Session<'_> {
    (&section.session_ids, &section.session_times)
}

/// `None` for a section without addresses: it has one pass with the others, as with Bacula.
fn hull(section: &Section) -> Option<Hull> {
    let start = section.addresses.iter().map(|range| *range.start()).min()?;
    let end = section.addresses.iter().map(|range| *range.end()).max()?;
    Some(Hull { start, end })
}

/// Whether another session of the pass may have its blocks among those of the section.
fn is_mixed(section: &Section, hulls: &Hulls<'_>) -> bool {
    let Some(own) = hull(section) else { return false };
    let on_volumes = section.volumes.iter().filter_map(|volume| hulls.get(volume.name.as_str())).flatten();
    let mut others = on_volumes.filter(|(other, _)| *other != session(section));
    others.any(|(_, other)| own.start <= other.end && other.start <= own.end)
}

fn note<'a>(section: &'a Section, hulls: &mut Hulls<'a>) {
    let Some(own) = hull(section) else { return };
    for volume in &section.volumes {
        let sessions = hulls.entry(volume.name.as_str()).or_default();
        match sessions.iter_mut().find(|(known, _)| *known == session(section)) {
            Some((_, known)) => {
                *known = Hull { start: known.start.min(own.start), end: known.end.max(own.end) };
            }
            None => sessions.push((session(section), own)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(sections: &[(&str, u32, &str)], expected: &[usize]) {
        let text: String = sections
            .iter()
            .map(|(volume, id, addresses)| {
                format!("Volume=\"{volume}\"\nVolSessionId={id}\nVolSessionTime=9\nVolAddr={addresses}\nFileIndex=1-3\n")
            })
            .collect();
        let bsr: Bsr = text.parse().unwrap();
        let passes = passes(&bsr);
        assert_eq!(passes.iter().map(|pass| pass.sections.len()).collect::<Vec<_>>(), expected, "{text}");
        let all: Vec<_> = passes.into_iter().flat_map(|pass| pass.sections).collect();
        assert_eq!(all, bsr.sections);
    }

    #[test]
    fn only_sessions_that_are_mixed_need_another_pass() {
        check(&[("A", 1, "200-900"), ("A", 2, "901-1500")], &[2]);
        check(&[("A", 1, "200-900"), ("A", 2, "800-1500")], &[1, 1]);
        check(&[("A", 1, "200-900"), ("B", 2, "200-1500")], &[2]);
        // Two spans of one session, which overlap in the block that they share.
        check(&[("A", 1, "200-900"), ("A", 1, "900-1500"), ("A", 2, "300-400")], &[2, 1]);
        check(&[("A", 2, "300-400"), ("A", 1, "200-900"), ("A", 3, "1000-1100")], &[1, 2]);
    }
}
