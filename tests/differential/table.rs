//! The results as a Markdown table, and what is wrong with them.

use crate::{expectations::Known, lines::Line, outcome::Outcome, scenarios::Scenario};

/// One request, through the peer and through ours.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) line: &'static Line,
    pub(crate) scenario: Scenario,
    /// `None` if there is no such peer here.
    pub(crate) theirs: Option<Outcome>,
    pub(crate) ours: Outcome,
}

/// What a row comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Absent,
    Same,
    /// By the known difference at this index.
    Explained(usize),
    Unexplained,
    /// The known difference at this index is not there, or another.
    Gone(usize),
}

#[derive(Debug)]
pub(crate) struct Table {
    peer: &'static str,
    version: Option<String>,
    known: &'static [Known],
    rows: Vec<(Row, Verdict)>,
}

impl Table {
    /// An empty one; `version` is the peer's, or `None` if it is not here.
    pub(crate) fn new(
        peer: &'static str,
        version: Option<String>,
        known: &'static [Known],
    ) -> Self {
        Self {
            peer,
            version,
            known,
            rows: Vec::new(),
        }
    }

    pub(crate) fn push(&mut self, row: Row) {
        let verdict = self.judge(&row);
        self.rows.push((row, verdict));
    }

    fn judge(&self, row: &Row) -> Verdict {
        let Row {
            line,
            scenario,
            theirs,
            ours,
        } = row;
        let Some(theirs) = theirs else {
            return Verdict::Absent;
        };
        let covering = self.known.iter().enumerate();
        let mut covering = covering.filter(|(_, known)| known.covers(line, scenario));
        let Some((index, known)) = covering.next() else {
            return if theirs == ours {
                Verdict::Same
            } else {
                Verdict::Unexplained
            };
        };
        let twice = covering.next();
        assert!(twice.is_none(), "{line}, {scenario}: {known:?}, {twice:?}");
        if !known.holds(theirs, ours) {
            Verdict::Gone(index)
        } else if theirs == ours {
            // A race that ended alike.
            Verdict::Same
        } else {
            Verdict::Explained(index)
        }
    }

    /// Prints it, the reasons, and the sums.
    pub(crate) fn print(&self) {
        let version = self.version.as_deref().unwrap_or("absent");
        println!("\n## {}: {version}\n", self.peer);
        println!("| line | scenario | method | {} | ours | |", self.peer);
        println!("|---|---|---|---|---|---|");
        for (row, verdict) in &self.rows {
            let Row {
                line,
                scenario,
                theirs,
                ours,
            } = row;
            let theirs = theirs
                .as_ref()
                .map_or("absent".to_owned(), Outcome::to_string);
            let method = scenario.method.name();
            let verdict = match verdict {
                Verdict::Absent => String::new(),
                Verdict::Same => "same".to_owned(),
                Verdict::Explained(index) => format!("[{}]", index + 1),
                Verdict::Unexplained => "UNEXPLAINED".to_owned(),
                Verdict::Gone(index) => format!("NOT AS IN [{}]", index + 1),
            };
            println!("| `{line}` | `{scenario}` | {method} | {theirs} | {ours} | {verdict} |");
        }
        println!();
        if self.version.is_none() {
            println!("{}: absent", self.peer);
            return;
        }
        for (index, known) in self.known.iter().enumerate() {
            let rows = self.count(|verdict| verdict == Verdict::Explained(index));
            println!("- [{}] {rows} times: {}", index + 1, known.reason);
        }
        let compared = self.rows.len();
        let same = self.count(|verdict| verdict == Verdict::Same);
        let explained = self.count(|verdict| matches!(verdict, Verdict::Explained(_)));
        println!(
            "\n{}: {compared} compared, {same} the same, {explained} explained, {} wrong",
            self.peer,
            self.wrong(),
        );
    }

    /// # Panics
    ///
    /// If anything differs that is not known to, or does not that is.
    pub(crate) fn check(&self) {
        for known in self.known {
            let covers = |(row, _): &(Row, Verdict)| known.covers(row.line, &row.scenario);
            assert!(self.rows.iter().any(covers), "covers nothing: {known:?}");
        }
        assert_eq!(self.wrong(), 0, "{}: see the table", self.peer);
    }

    fn wrong(&self) -> usize {
        self.count(|verdict| matches!(verdict, Verdict::Unexplained | Verdict::Gone(_)))
    }

    fn count(&self, wanted: impl Fn(Verdict) -> bool) -> usize {
        self.rows
            .iter()
            .filter(|(_, verdict)| wanted(*verdict))
            .count()
    }
}
