//! What is measured: the proxy by what the kernel says of it, the load by what wrk says, and the upstreams by their own counts.

mod accounts;
mod upstreams;
mod wrk;

pub(crate) use self::{
    accounts::{Account, Clock, peak_memory, resident_memory, stolen, tree},
    upstreams::{Counts, Upstreams},
    wrk::{Load, Outcome},
};
