//! x
#[cfg(feature = "balance")]
pub mod balance;
mod config_error;
mod error;
pub mod failure;
mod future;
pub mod gateway;
mod head;
mod layer;
pub mod limits;
pub mod policy;
pub mod replay;
pub mod report;
mod service;
pub mod trail;
pub mod upstream;

pub use self::{
    config_error::ConfigError, error::Error, future::ResponseFuture, layer::FailoverLayer,
    policy::Policy, replay::ReplayBody, service::Failover,
};

/// Any error.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
