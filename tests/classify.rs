//! What errors prove, shown with real clients against real peers on loopback.
//!
//! Every client records what it writes. Whenever an error is read as `NotSent`, the record is searched for
//! the request (`support::Wire`): a proof that is none fails whichever test stumbles upon it.

#[path = "classify/support.rs"]
mod support;

#[cfg(feature = "hyper")]
#[path = "classify/bodies.rs"]
mod bodies;
#[cfg(feature = "hyper")]
#[path = "classify/connect.rs"]
mod connect;
#[cfg(feature = "hyper")]
#[path = "classify/http1.rs"]
mod http1;
#[cfg(feature = "hyper")]
#[path = "classify/http2.rs"]
mod http2;
#[path = "classify/layers.rs"]
mod layers;
#[cfg(feature = "reqwest")]
#[path = "classify/reqwest.rs"]
mod reqwest;
#[cfg(feature = "hyper")]
#[path = "classify/reuse.rs"]
mod reuse;
#[cfg(feature = "hyper")]
#[path = "classify/tls.rs"]
mod tls;
