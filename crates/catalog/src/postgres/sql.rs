//! SQL text: parameters in PostgreSQL's spelling.

/// `?1` becomes `$1`, but for what stands in literals, quoted names and comments.
pub(super) fn rewrite(sql: &str) -> String {
    let mut out = String::with_capacity(sql.len());
    let mut rest = sql;
    while let Some(at) = rest.find(['?', '\'', '"', '-']) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let taken = match rest.as_bytes() {
            [b'?', digit, ..] if digit.is_ascii_digit() => {
                out.push('$');
                rest = &rest[1..];
                0
            }
            [b'-', b'-', ..] => rest.find('\n').unwrap_or(rest.len()),
            [quote @ (b'\'' | b'"'), ..] => closing(rest, char::from(*quote)),
            _ => 1,
        };
        out.push_str(&rest[..taken]);
        rest = &rest[taken..];
    }
    out.push_str(rest);
    out
}

/// Length of the quoted text that `text` begins with, both quotes included. A doubled quote ends one and begins the next.
fn closing(text: &str, quote: char) -> usize {
    text[1..].find(quote).map_or(text.len(), |at| at + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(from: &str, to: &str) {
        assert_eq!(rewrite(from), to);
    }

    #[test]
    fn parameters_outside_of_quotes_are_rewritten() {
        check("SELECT ?1, ?12 FROM t WHERE a = ?1", "SELECT $1, $12 FROM t WHERE a = $1");
        check("SELECT '?1', 'it''s ?2', \"?3\", ?4", "SELECT '?1', 'it''s ?2', \"?3\", $4");
        check("SELECT 1 -- what ?1\n, ?2 - ?3", "SELECT 1 -- what ?1\n, $2 - $3");
        check("SELECT a ? 'b', '?1", "SELECT a ? 'b', '?1");
        check("", "");
    }
}
