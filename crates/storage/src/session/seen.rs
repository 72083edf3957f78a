//! Which FileIndexes of each section were found: ranges, since they come in order.

use std::collections::HashMap;

use types::FileIndex;

/// Found FileIndexes by section.
#[derive(Debug, Default)]
pub(crate) struct Seen(HashMap<usize, Vec<(i32, i32)>>);

impl Seen {
    /// Notes one.
    pub(crate) fn note(&mut self, section: usize, index: FileIndex) {
        let ranges = self.0.entry(section).or_default();
        match ranges.last_mut() {
            Some(last) if index.0 >= last.0 && index.0 <= last.1 => {}
            Some(last) if index.0 == last.1 + 1 => last.1 = index.0,
            Some(_) | None => ranges.push((index.0, index.0)),
        }
    }

    /// Whether one was found.
    pub(crate) fn has(&self, section: usize, index: FileIndex) -> bool {
        let Some(ranges) = self.0.get(&section) else { return false };
        let place = ranges.partition_point(|(_, end)| *end < index.0);
        ranges.get(place).is_some_and(|(start, _)| *start <= index.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_grow_and_are_found() {
        let mut seen = Seen::default();
        for n in [1, 1, 2, 3, 7, 8] {
            seen.note(0, FileIndex(n));
        }
        let got: Vec<i32> = (0..10).filter(|n| seen.has(0, FileIndex(*n))).collect();
        assert_eq!(got, [1, 2, 3, 7, 8]);
        assert!(!seen.has(1, FileIndex(1)));
    }
}
