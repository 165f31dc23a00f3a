//! Policies made of policies.

mod and;
mod limited;
mod only_if;
mod or;
mod unless;

use http::{request, response};

pub use self::{and::And, limited::Limited, only_if::OnlyIf, or::Or, unless::Unless};
use super::Policy;

/// Makes policies of policies.
pub trait PolicyExt: Policy + Sized {
    /// Tries again only when `other` agrees; see [`And`].
    fn and<P: Policy>(self, other: P) -> And<Self, P> {
        And::new(self, other)
    }

    /// Tries again also when `other` wants to; see [`Or`].
    fn or<P: Policy>(self, other: P) -> Or<Self, P> {
        Or::new(self, other)
    }

    /// Tries a request again no more than `retries` times on this policy's word; see [`Limited`].
    fn limited(self, retries: u32) -> Limited<Self> {
        Limited::new(self, retries)
    }

    /// Tries again only those requests whose head `condition` holds for; see [`OnlyIf`].
    fn only_if<F>(self, condition: F) -> OnlyIf<Self, F>
    where
        F: Fn(&request::Parts) -> bool,
    {
        OnlyIf::new(self, condition)
    }

    /// Tries nothing again after responses whose head `condition` holds for; see [`Unless`].
    fn unless<F>(self, condition: F) -> Unless<Self, F>
    where
        F: Fn(&response::Parts) -> bool,
    {
        Unless::new(self, condition)
    }
}

impl<P: Policy> PolicyExt for P {}
