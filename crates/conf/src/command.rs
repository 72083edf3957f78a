//! Commands and names in directives: their %-codes. Pure.

/// Replaces %-codes; `value` gives a code's text, or `None` to leave it as it is.
#[must_use]
pub fn expand(text: &str, value: impl Fn(char) -> Option<String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        match chars.next() {
            None => out.push('%'),
            Some('%') => out.push('%'),
            Some(code) => match value(code) {
                Some(text) => out.push_str(&text),
                None => {
                    out.push('%');
                    out.push(code);
                }
            },
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_replaced_and_unknown_ones_left() {
        let text = expand("a=%a p=%p %% %", |c| (c == 'a').then(|| "1".to_owned()));
        assert_eq!(text, "a=1 p=%p % %");
    }
}
