//! Values as they stand in YAML, JSON or a header.

/// The value behind its key, if one of `keys` stands before it, without quotes and comment.
pub(super) fn value<'a>(text: &'a str, keys: &[&str]) -> &'a str {
    let text = text.split(" #").next().unwrap_or_default().trim();
    let value = text.split_once(':').and_then(|(key, value)| {
        let key = unquoted(key.trim());
        keys.contains(&key).then(|| value.trim())
    });
    // In JSON a comma follows, and nothing means nothing here.
    let value = value.unwrap_or(text).trim_end_matches(',').trim_end();
    unquoted(value).trim()
}

/// What stands between brackets, if anything does.
pub(super) fn unbracketed(text: &str) -> &str {
    within(text, '[', ']').unwrap_or(text)
}

fn unquoted(text: &str) -> &str {
    let quoted = within(text, '"', '"').or_else(|| within(text, '\'', '\''));
    quoted.unwrap_or(text)
}

fn within(text: &str, open: char, close: char) -> Option<&str> {
    text.strip_prefix(open)?.strip_suffix(close)
}

/// The entries of a list that are not empty, with their places, counted from 1.
pub(super) fn entries(list: &str) -> impl Iterator<Item = (usize, &str)> {
    let entries = list.split(',').map(str::trim).enumerate();
    let entries = entries.map(|(index, entry)| (index + 1, entry));
    entries.filter(|(_, entry)| !entry.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn value_is_found_behind_key_and_quotes() {
        let texts = [
            "5xx,reset",
            " 5xx,reset\n",
            "\"5xx,reset\"",
            "' 5xx,reset '",
            "retry_on: 5xx,reset",
            "retry_on:5xx,reset # both",
            "retry_on : '5xx,reset'",
            "\"retry_on\": \"5xx,reset\",",
            "retryOn: \"5xx,reset\" # both",
        ];
        for text in texts {
            assert_eq!(value(text, &["retry_on", "retryOn"]), "5xx,reset", "{text}");
        }
        for (text, left) in [
            ("retries: 5xx", "retries: 5xx"),
            ("\"5xx", "\"5xx"),
            ("\"5xx'", "\"5xx'"),
            ("\"", "\""),
            ("x#y", "x#y"),
            ("", ""),
        ] {
            assert_eq!(value(text, &["retry_on"]), left, "{text}");
        }
    }

    #[test]
    fn empty_entries_are_none() {
        let list = entries("503, ,429,,").collect::<Vec<_>>();
        assert_eq!(list, [(1, "503"), (3, "429")]);
        assert_eq!(entries(unbracketed("[503]")).next(), Some((1, "503")));
        assert_eq!(entries("").next(), None);
    }
}
