/// A peer's checks, counted: it is well at first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tally {
    rise: u32,
    fall: u32,
    down: bool,
    /// How many in a row have spoken against what it is now.
    against: u32,
}

impl Tally {
    pub(super) fn new(rise: u32, fall: u32) -> Self {
        Self {
            rise,
            fall,
            down: false,
            against: 0,
        }
    }

    pub(super) fn is_down(&self) -> bool {
        self.down
    }

    /// Counts a check. Returns whether the peer has changed by it.
    pub(super) fn count(&mut self, passed: bool) -> bool {
        if passed != self.down {
            self.against = 0;
            return false;
        }
        self.against += 1;
        let enough = if self.down { self.rise } else { self.fall };
        if self.against < enough {
            return false;
        }
        self.down = !self.down;
        self.against = 0;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a peer is after each check: `-` is one that failed, and `v` is down.
    fn after(rise: u32, fall: u32, checks: &str) -> String {
        let mut tally = Tally::new(rise, fall);
        let states = checks.chars().map(|check| {
            let before = tally.is_down();
            let changed = tally.count(check == '+');
            assert_eq!(changed, before != tally.is_down());
            if tally.is_down() { 'v' } else { '^' }
        });
        states.collect()
    }

    #[test]
    fn so_many_in_a_row_bring_a_peer_down_and_back() {
        assert_eq!(after(2, 3, "+---++"), "^^^vv^");
        assert_eq!(after(1, 1, "-+-+"), "v^v^");
    }

    #[test]
    fn one_in_between_starts_the_count_anew() {
        assert_eq!(after(2, 3, "--+--+---"), "^^^^^^^^v");
        assert_eq!(after(2, 3, "---+-+-++"), "^^vvvvvv^");
    }
}
