//! Words as the configuration files of nginx and HAProxy have them: set apart by space, in quotes or
//! not, with comments from `#` to the end of the line.

use super::error::Fault;

/// Splits a line, or several: a line's end is space.
///
/// `end` closes the directive; nothing but comments may follow.
pub(super) fn words(text: &str, end: Option<char>) -> Result<Vec<&str>, Fault> {
    let mut words = Vec::new();
    let mut ended = false;
    let mut rest = text.trim_ascii();
    while let Some(first) = rest.chars().next() {
        let after = &rest[first.len_utf8()..];
        rest = match first {
            '#' => after.split_once('\n').map_or("", |(_, next)| next),
            _ if ended => return Err(Fault::AfterEnd),
            '"' | '\'' => {
                let (word, next) = after.split_once(first).ok_or(Fault::Unclosed)?;
                words.push(word);
                next
            }
            _ if Some(first) == end => {
                ended = true;
                after
            }
            _ => {
                let stops = |char: char| char.is_ascii_whitespace() || Some(char) == end;
                let length = rest.find(stops).unwrap_or(rest.len());
                words.push(&rest[..length]);
                &rest[length..]
            }
        }
        .trim_ascii_start();
    }
    Ok(words)
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
            assert_eq!(words(line, None), Ok(split), "{line:?}");
        }
        assert_eq!(words("'error", None), Err(Fault::Unclosed));
        assert_eq!(words("error \"", None), Err(Fault::Unclosed));
    }

    #[test]
    fn nothing_but_comments_may_stand_after_the_end() {
        for line in [
            "error timeout;",
            "error timeout ; ",
            "error timeout; # so\n # and so",
        ] {
            assert_eq!(
                words(line, Some(';')),
                Ok(vec!["error", "timeout"]),
                "{line:?}"
            );
        }
        for line in ["error; timeout;", "error;;", ";\nerror", "error;'timeout'"] {
            assert_eq!(words(line, Some(';')), Err(Fault::AfterEnd), "{line:?}");
        }
    }
}
