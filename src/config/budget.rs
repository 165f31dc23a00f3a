use serde::{Deserialize, Serialize};

use crate::{ConfigError, limits::Budget};

/// A [`Budget`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct BudgetConfig {
    /// Retries per request, from 0 to 10.
    pub ratio: f64,
    /// Retries per second on top of them.
    pub per_second: u32,
    /// The most that can be saved up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub burst: Option<u32>,
    /// The share that one request may take of what there is; none by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_request: Option<f64>,
}

impl BudgetConfig {
    pub(super) fn budget(&self) -> Result<Budget, ConfigError> {
        let mut budget = Budget::new(self.ratio, self.per_second)?;
        if let Some(burst) = self.burst {
            budget = budget.burst(burst)?;
        }
        match self.per_request {
            Some(share) => budget.per_request(share),
            None => Ok(budget),
        }
    }
}

/// [`Budget::default`].
impl Default for BudgetConfig {
    fn default() -> Self {
        Self {
            ratio: Budget::RATIO,
            per_second: Budget::PER_SECOND,
            burst: None,
            per_request: None,
        }
    }
}
