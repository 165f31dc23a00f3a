//! What is said of a word that is on no list.

use std::fmt::{self, Write};

/// A word as it stands in a message: cut short, and with nothing in it that a terminal would act on.
pub(super) struct Excerpt<'a>(pub(super) &'a str);

impl Excerpt<'_> {
    const LONGEST: usize = 40;
}

impl fmt::Display for Excerpt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('`')?;
        let mut chars = self.0.chars();
        for char in chars.by_ref().take(Self::LONGEST) {
            match char {
                '"' | '\'' | '\\' => f.write_char(char)?,
                _ => write!(f, "{}", char.escape_debug())?,
            }
        }
        f.write_str(if chars.next().is_some() { "…`" } else { "`" })
    }
}

/// Finds the known word that was probably meant.
///
/// Case, and hyphens for underscores, are no difference. A number is: `http_502` was not meant by who
/// wrote `http_501`.
pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // No known word is near to a longer one, and measuring that takes its time.
    const LONGEST: usize = 64;
    if word.len() > LONGEST {
        return None;
    }
    let plain = plain(word);
    known
        .into_iter()
        .filter(|known| digits(known).eq(digits(word)))
        .map(|known| (distance(&plain, known), known))
        .filter(|(distance, known)| *distance <= furthest(known))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

fn plain(word: &str) -> String {
    word.to_ascii_lowercase().replace('_', "-")
}

fn digits(word: &str) -> impl Iterator<Item = char> {
    word.chars().filter(char::is_ascii_digit)
}

fn distance(word: &str, known: &str) -> usize {
    strsim::damerau_levenshtein(word, &plain(known))
}

/// Two slips, or a third of the word; one in the shortest, of which two leave nothing.
fn furthest(known: &str) -> usize {
    match known.len() {
        0..=3 => 1,
        4..=8 => 2,
        length => length / 3,
    }
}

/// Words in a row, as a message lists them.
pub(super) struct Listed<'a>(pub(super) &'a [&'a str]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, word) in self.0.iter().enumerate() {
            f.write_str(if index == 0 { "" } else { ", " })?;
            f.write_str(word)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 5] = ["reset", "gateway-error", "5xx", "http_502", "http_503"];

    #[test]
    fn slip_is_seen_through() {
        let slips = [
            ("rest", "reset"),
            ("Reset", "reset"),
            ("resett", "reset"),
            ("gateway_error", "gateway-error"),
            ("gatewayerrors", "gateway-error"),
            ("5XX", "5xx"),
            ("5x", "5xx"),
            ("htp_503", "http_503"),
            ("http-502", "http_502"),
        ];
        for (slip, meant) in slips {
            assert_eq!(nearest(slip, KNOWN), Some(meant), "{slip}");
        }
    }

    #[test]
    fn another_word_is_no_slip() {
        for word in [
            "",
            "ok",
            "yes",
            "4xx",
            "http_501",
            "ｒｅｓｅｔ",
            "gate",
            &"reset".repeat(99),
        ] {
            assert_eq!(nearest(word, KNOWN), None, "{word}");
        }
    }

    #[test]
    fn excerpt_is_short_and_harmless() {
        let excerpts = [
            ("5xx", "`5xx`"),
            ("", "``"),
            ("it's \"so\" \\ ", "`it's \"so\" \\ `"),
            ("a\u{1b}[31m\n\0", "`a\\u{1b}[31m\\n\\0`"),
            ("\u{202e}\u{200b}", "`\\u{202e}\\u{200b}`"),
            ("é５", "`é５`"),
        ];
        for (word, excerpt) in excerpts {
            assert_eq!(Excerpt(word).to_string(), excerpt);
        }
        let whole = "x".repeat(Excerpt::LONGEST);
        assert_eq!(Excerpt(&whole).to_string(), format!("`{whole}`"));
        assert_eq!(
            Excerpt(&"x".repeat(9_999)).to_string(),
            format!("`{whole}…`")
        );
    }
}
