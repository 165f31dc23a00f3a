//! Words as the configuration files of nginx and HAProxy have them: set apart by space, in quotes or
//! not, with comments from `#` to the end of the line.

use super::error::Fault;

/// A line, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Split<'a> {
    pub(super) words: Vec<&'a str>,
    /// The first of what stands behind the end, where nothing should.
    pub(super) after: Option<&'a str>,
}

/// Splits a line, or several: a line's end is space.
///
/// `end` closes the directive; nothing but comments should follow.
pub(super) fn words(text: &str, end: Option<char>) -> Result<Split<'_>, Fault> {
    let is_end = |char| Some(char) == end;
    let mut words = Vec::new();
    let mut ended = false;
    let mut rest = text.trim_ascii();
    while let Some(first) = rest.chars().next() {
        let after = &rest[first.len_utf8()..];
        rest = match first {
            '#' => after.split_once('\n').map_or("", |(_, next)| next),
            _ if ended => {
                let after = rest.split_ascii_whitespace().next();
                let after = after.map(|word| match word.split_once(is_end) {
                    Some((word, _)) if !word.is_empty() => word,
                    _ => word,
                });
                return Ok(Split { words, after });
            }
            '"' | '\'' => {
                let (word, next) = after.split_once(first).ok_or(Fault::Unclosed)?;
                words.push(word);
                next
            }
            _ if is_end(first) => {
                ended = true;
                after
            }
            _ => {
                let stops = |char: char| char.is_ascii_whitespace() || is_end(char);
                let length = rest.find(stops).unwrap_or(rest.len());
                words.push(&rest[..length]);
                &rest[length..]
            }
        }
        .trim_ascii_start();
    }
    Ok(Split { words, after: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stand_apart_by_space() {
        let lines = [
            ("", vec![]),
            (" \t\r\n ", vec![]),
            ("error", vec!["error"]),
            (
                "error  timeout\thttp_503\n",
                vec!["error", "timeout", "http_503"],
            ),
            (
                "error # or\n timeout # not\r\n# http_503",
                vec!["error", "timeout"],
            ),
            ("'error' \"timeout\"", vec!["error", "timeout"]),
            ("'# a'", vec!["# a"]),
            ("a#b", vec!["a#b"]),
            ("a'b'", vec!["a'b'"]),
            ("''", vec![""]),
            ("é\u{3000}é", vec!["é\u{3000}é"]),
            ("error;", vec!["error;"]),
        ];
        for (line, split) in lines {
            assert_eq!(words(line, None).unwrap().words, split, "{line:?}");
        }
        assert_eq!(words("'error", None), Err(Fault::Unclosed));
        assert_eq!(words("error \"", None), Err(Fault::Unclosed));
    }

    #[test]
    fn what_stands_after_the_end_is_told_unless_it_is_a_comment() {
        for line in [
            "error timeout;",
            "error timeout ; ",
            "error timeout; # so\n # and so",
        ] {
            let split = Split {
                words: vec!["error", "timeout"],
                after: None,
            };
            assert_eq!(words(line, Some(';')), Ok(split), "{line:?}");
        }
        for (line, after, before) in [
            ("error; timeout 503;", "timeout", vec!["error"]),
            ("error; timeout;", "timeout", vec!["error"]),
            ("error;;", ";", vec!["error"]),
            (";\nerror", "error", vec![]),
            ("error;'timeout'", "'timeout'", vec!["error"]),
            ("a b; # so\n }", "}", vec!["a", "b"]),
        ] {
            let split = Split {
                words: before,
                after: Some(after),
            };
            assert_eq!(words(line, Some(';')), Ok(split), "{line:?}");
        }
    }
}
