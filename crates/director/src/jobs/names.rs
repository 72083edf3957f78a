//! Unique names of jobs and console sessions (spec/01 §7.1).

use crate::text;
use std::sync::Mutex;
use types::Timestamp;

/// Longest unique name in bytes.
const NAME_BYTES_MAX: usize = 127;

/// Draws names. One per Director.
#[derive(Default)]
pub(crate) struct Names {
    last: Mutex<(Timestamp, u32)>,
}

impl Names {
    /// `<name>.<YYYY-MM-DD_HH.MM.SS>_<NN>`, unlike any other of this process: with more than 60 in one second the time in the
    /// name runs ahead of the clock instead of making the caller wait.
    pub(crate) fn draw(&self, name: &str, now: Timestamp) -> String {
        let mut last = self.last.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let number = (last.1 + 1) % 60;
        let mut at = Timestamp(last.0.0.max(now.0));
        if number == 0 && at == last.0 {
            at = Timestamp(at.0 + 1);
        }
        *last = (at, number);
        format(name, at, number)
    }
}

fn format(name: &str, at: Timestamp, number: u32) -> String {
    let suffix = format!(".{}_{number:02}", text::job_name_time(at));
    let mut cut = NAME_BYTES_MAX - suffix.len();
    while !name.is_char_boundary(cut.min(name.len())) {
        cut -= 1;
    }
    let name = &name[..cut.min(name.len())];
    format!("{}{suffix}", name.replace(' ', "_"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_unique_and_short_enough() {
        let names = Names::default();
        let now = Timestamp(1_795_446_327);
        let drawn: BTreeSet<String> = (0..500).map(|_| names.draw("Back Up", now)).collect();
        assert_eq!(drawn.len(), 500);
        assert!(drawn.iter().all(|name| name.starts_with("Back_Up.20") && name.len() == 30), "{drawn:?}");
        assert_eq!(names.draw(&"é".repeat(100), now).len(), NAME_BYTES_MAX);
    }
}
