use std::{error::Error as StdError, fmt};

/// A setting that cannot be meant; it names the value and what would be accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    setting: &'static str,
    value: String,
    expected: String,
}

impl ConfigError {
    pub(crate) fn new(
        setting: &'static str,
        value: impl fmt::Display,
        expected: impl Into<String>,
    ) -> Self {
        Self {
            setting,
            value: value.to_string(),
            expected: expected.into(),
        }
    }

    /// Which setting it was.
    pub fn setting(&self) -> &'static str {
        self.setting
    }

    /// The value as it was given.
    pub fn value(&self) -> &str {
        &self.value
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            setting,
            value,
            expected,
        } = self;
        write!(f, "{setting}: {value} is not {expected}")
    }
}

impl StdError for ConfigError {}
