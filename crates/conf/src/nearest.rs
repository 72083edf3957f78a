//! The right word that a wrong one probably meant.

use crate::table::squeeze;

/// Similarity below which a suggestion would only confuse.
const SIMILARITY_MIN: f64 = 0.8;

/// The candidate nearest to `word`, if one is near.
pub(crate) fn nearest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let key = squeeze(word);
    candidates
        .map(|candidate| (similarity(&key, &squeeze(candidate)), candidate))
        .filter(|(similarity, _)| *similarity >= SIMILARITY_MIN)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// Likeness from 0 to 1. One slip counts as near even in a short word (`mno`), where the measure for long ones fails.
fn similarity(word: &str, candidate: &str) -> f64 {
    let measured = strsim::jaro_winkler(word, candidate);
    if word.len() >= 3 && strsim::damerau_levenshtein(word, candidate) == 1 {
        measured.max(0.9)
    } else {
        measured
    }
}
