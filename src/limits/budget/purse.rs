use super::{Budget, Source};

/// What one request has to do with the budget: one retry set aside at a time, and given back when it is
/// dropped unspent.
#[derive(Default)]
pub(crate) struct Purse {
    /// How many more retries the request may have; `None` until it first asks.
    allowance: Option<u64>,
    /// The retry that is set aside.
    set_aside: Option<Withdrawal>,
}

impl Purse {
    /// Sets a retry aside; returns whether there was one. What was set aside before and not spent goes
    /// back first.
    pub(crate) fn set_aside(&mut self, budget: &Budget) -> bool {
        self.release();
        if self.allowance(budget) == 0 {
            return false;
        }
        self.set_aside = budget.withdraw();
        self.set_aside.is_some()
    }

    /// Gives back what was set aside and not spent.
    pub(crate) fn release(&mut self) {
        self.set_aside = None;
    }

    /// The retry takes place.
    pub(crate) fn spend(&mut self) {
        if let Some(Withdrawal { spent, .. }) = &mut self.set_aside {
            *spent = true;
            self.allowance = self.allowance.map(|left| left.saturating_sub(1));
        }
    }

    /// It turned out that no peer was called.
    pub(crate) fn unspend(&mut self) {
        if let Some(Withdrawal { spent, .. }) = &mut self.set_aside {
            if std::mem::take(spent) {
                self.allowance = self.allowance.map(|left| left.saturating_add(1));
            }
        }
    }

    fn allowance(&mut self, budget: &Budget) -> u64 {
        *self
            .allowance
            .get_or_insert_with(|| budget.allowance().unwrap_or(u64::MAX))
    }
}

/// One retry, taken out of a budget, and given back when it is dropped unspent.
struct Withdrawal {
    source: Source,
    spent: bool,
}

impl Budget {
    fn withdraw(&self) -> Option<Withdrawal> {
        self.source.take().then(|| Withdrawal {
            source: self.source.clone(),
            spent: false,
        })
    }
}

impl Drop for Withdrawal {
    fn drop(&mut self) {
        if !self.spent {
            self.source.give_back();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(retries: u32) -> Budget {
        Budget::new(0.0, 0).unwrap().starting_with(retries).unwrap()
    }

    fn spend(purse: &mut Purse, budget: &Budget) -> bool {
        let granted = purse.set_aside(budget);
        purse.spend();
        granted
    }

    #[test]
    fn retry_that_was_never_started_is_given_back() {
        let budget = budget(1);
        let mut purse = Purse::default();
        assert!(purse.set_aside(&budget));
        assert_eq!(budget.available(), 0);
        drop(purse);
        assert_eq!(budget.available(), 1);
    }

    #[test]
    fn retry_that_was_started_is_not() {
        let budget = budget(1);
        let mut purse = Purse::default();
        assert!(spend(&mut purse, &budget) && !purse.set_aside(&budget));
        drop(purse);
        assert_eq!(budget.available(), 0);
    }

    #[test]
    fn retry_that_called_nobody_is_given_back() {
        let budget = budget(1);
        let mut purse = Purse::default();
        assert!(spend(&mut purse, &budget));
        purse.unspend();
        assert!(purse.set_aside(&budget));
    }

    #[test]
    fn setting_aside_again_costs_no_second_retry() {
        let budget = budget(1);
        let mut purse = Purse::default();
        assert!(purse.set_aside(&budget) && purse.set_aside(&budget));
    }

    #[test]
    fn request_may_take_its_share_and_no_more() {
        for (share, granted) in [(0.5, 5), (0.35, 3), (1.0, 10), (2.0, 10)] {
            let budget = budget(10).per_request(share).unwrap();
            let mut purse = Purse::default();
            let grants = (0..99).filter(|_| spend(&mut purse, &budget));
            assert_eq!(grants.count(), granted, "{share}");
        }
    }

    #[test]
    fn share_that_is_less_than_a_retry_is_one() {
        let budget = budget(10).per_request(0.01).unwrap();
        let mut purse = Purse::default();
        assert!(spend(&mut purse, &budget) && !spend(&mut purse, &budget));
        assert_eq!(budget.available(), 9);
    }

    #[test]
    fn share_is_of_what_there_was_at_first() {
        let budget = budget(4).per_request(0.5).unwrap();
        let (mut one, mut other) = (Purse::default(), Purse::default());
        assert!(spend(&mut one, &budget));
        assert!(spend(&mut other, &budget));
        // Half of the 3 that it found is 1.
        assert!(spend(&mut one, &budget) && !spend(&mut other, &budget));
    }

    #[test]
    fn retry_that_called_nobody_does_not_count_for_the_share() {
        let budget = budget(10).per_request(0.2).unwrap();
        let mut purse = Purse::default();
        for _ in 0..5 {
            assert!(spend(&mut purse, &budget));
            purse.unspend();
        }
        assert!(spend(&mut purse, &budget) && spend(&mut purse, &budget));
        assert!(!spend(&mut purse, &budget));
    }
}
