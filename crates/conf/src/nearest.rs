//! The right word that a wrong one probably meant.

use crate::table::squeeze;

/// Similarity below which a suggestion would only confuse.
const SIMILARITY_MIN: f64 = 0.8;

/// The candidate nearest to `word`, if one is near.
pub(crate) fn nearest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let key = squeeze(word);
    candidates
        .map(|candidate| (strsim::jaro_winkler(&key, &squeeze(candidate)), candidate))
        .filter(|(similarity, _)| *similarity >= SIMILARITY_MIN)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}
