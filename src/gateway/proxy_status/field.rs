//! Values of structured fields (RFC 8941).

/// A token, if the text is one (section 3.3.4).
pub(super) fn token(text: &str) -> Option<String> {
    let starts = text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '*');
    (starts && text.bytes().all(is_in_token)).then(|| text.to_owned())
}

fn is_in_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~:/".contains(&byte)
}

/// A string, if the text can be one: printable ASCII only (section 3.3.3).
pub(super) fn string(text: &str) -> Option<String> {
    let printable = |byte: u8| matches!(byte, b' '..=b'~');
    if !text.bytes().all(printable) {
        return None;
    }
    let escaped = text.replace('\\', r"\\").replace('"', r#"\""#);
    Some(format!("\"{escaped}\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_is_what_the_grammar_says() {
        for text in ["a", "*", "edge.example.com:8080", "A!#$%&'*+-.^_`|~/9"] {
            assert_eq!(token(text).as_deref(), Some(text));
        }
    }

    #[test]
    fn other_text_is_no_token() {
        let others = [
            "", "10.0.0.1", "-a", ":a", "a b", "a\"", "a,b", "a;b", "a=b", "a@b", "(a)", "a\\",
            "é", "a\n",
        ];
        for text in others {
            assert_eq!(token(text), None, "{text:?}");
        }
    }

    #[test]
    fn string_is_quoted_and_escaped() {
        assert_eq!(string("").unwrap(), r#""""#);
        assert_eq!(string(r#"a "b" \c~"#).unwrap(), r#""a \"b\" \\c~""#);
    }

    #[test]
    fn text_that_is_not_printable_ascii_is_no_string() {
        for text in ["é", "a\0", "a\tb", "a\r\nb: c", "\x7f"] {
            assert_eq!(string(text), None, "{text:?}");
        }
    }
}
