/// A peer's name as clients may see it: without the user information of a URI.
///
/// `None` when it cannot be told where user information would end: behind the authority there is
/// another `@`, and it may be a password that has a slash in it.
pub(super) fn next_hop(name: &str) -> Option<String> {
    // A colon before it makes it part of a password.
    let scheme = name
        .find("://")
        .filter(|&end| !name[..end].contains([':', '@']));
    let (scheme, rest) = name.split_at(scheme.map_or(0, |end| end + 3));
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    if path.contains('@') {
        return None;
    }
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    Some(format!("{scheme}{host}{path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_without_user_information_stays_as_it_is() {
        for name in [
            "http://[::1]:80/a?b#c",
            "10.0.0.1:80",
            "backend-a",
            "",
            "a b",
        ] {
            assert_eq!(next_hop(name).as_deref(), Some(name));
        }
    }

    #[test]
    fn user_information_is_left_out() {
        for (name, seen) in [
            ("http://me:secret@host:80/path", "http://host:80/path"),
            ("http://me:sec@ret@host", "http://host"),
            ("me:secret@host:80", "host:80"),
            ("http://me@", "http://"),
        ] {
            assert_eq!(next_hop(name).as_deref(), Some(seen));
        }
    }

    #[test]
    fn what_may_be_user_information_is_not_shown() {
        for name in [
            "http://me:sec/ret@host",
            "http://me:sec?ret@host/",
            "http://me:sec#ret@host",
            "me/secret@host",
            "me:sec://ret@host",
            "http://host/a@b",
        ] {
            assert_eq!(next_hop(name), None, "{name}");
        }
    }
}
