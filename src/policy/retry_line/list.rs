use super::super::words::nearest;
use super::{
    ParseRetryLineError,
    beside::Beside,
    error::{Fault, Hint},
    words::{Word, whose},
};

/// A list in another proxy's configuration, and the words that it may hold.
pub(super) struct List {
    pub(super) proxy: &'static str,
    pub(super) name: &'static str,
    pub(super) words: Vec<Word>,
    /// Whether the proxy compares them without regard to case.
    pub(super) any_case: bool,
    /// Where the proxy has statuses, if not here.
    pub(super) statuses: Option<&'static str>,
    /// Where to go with a word that begins a line of its own there, if it does.
    pub(super) beside: fn(&str) -> Option<Beside>,
}

impl List {
    pub(super) fn wrong(&self, position: usize, word: &str, fault: Fault) -> ParseRetryLineError {
        ParseRetryLineError {
            proxy: self.proxy,
            list: self.name,
            word: word.to_owned(),
            position,
            fault,
        }
    }

    /// What is said of the list as a whole.
    pub(super) fn wrong_all(&self, fault: Fault) -> ParseRetryLineError {
        self.wrong(0, "", fault)
    }

    /// What is said of a word behind the list's end.
    pub(super) fn after_end(&self, position: usize, word: &str) -> ParseRetryLineError {
        let fault = (self.beside)(word).map_or(Fault::AfterEnd, Fault::Beside);
        self.wrong(position, word, fault)
    }

    /// Finds out whether another line was pasted along.
    ///
    /// # Errors
    ///
    /// It was.
    pub(super) fn check_beside(
        &self,
        position: usize,
        entry: &str,
    ) -> Result<(), ParseRetryLineError> {
        let mut words = entry.split_whitespace();
        match words.find_map(|word| (self.beside)(word).map(|beside| (word, beside))) {
            Some((word, beside)) => Err(self.wrong(position, word, Fault::Beside(beside))),
            None => Ok(()),
        }
    }

    pub(super) fn find(&self, position: usize, word: &str) -> Result<Word, ParseRetryLineError> {
        let is_known = |(known, _): &&Word| {
            *known == word || self.any_case && known.eq_ignore_ascii_case(word)
        };
        self.words.iter().find(is_known).copied().ok_or_else(|| {
            if let Some(beside) = (self.beside)(word) {
                return self.wrong(position, word, Fault::Beside(beside));
            }
            let fault = Fault::Unknown {
                of: whose(word).filter(|proxy| *proxy != self.proxy),
                hint: self.hint(word),
            };
            self.wrong(position, word, fault)
        })
    }

    fn hint(&self, word: &str) -> Hint {
        let near = match (as_status(word), self.statuses) {
            (Some(_), Some(list)) => return Hint::Statuses(list),
            // The same one as this list has it: `503` is `http_503` for nginx.
            (status @ Some(_), None) => self.known().find(|known| as_status(known) == status),
            (None, _) => nearest(word, self.known()),
        };
        near.map_or_else(|| Hint::Known(self.known().collect()), Hint::Near)
    }

    fn known(&self) -> impl Iterator<Item = &'static str> {
        self.words.iter().map(|(word, _)| *word)
    }
}

/// The status that a word of nginx' or HAProxy's is, if it is one.
fn as_status(word: &str) -> Option<&str> {
    let status = word.strip_prefix("http_").unwrap_or(word);
    let is_status = status.len() == 3 && status.bytes().all(|byte| byte.is_ascii_digit());
    is_status.then_some(status)
}
